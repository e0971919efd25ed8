/**
 * Rules on imports and on uses of the outside world, as pure functions: an import graph or source text in, violations
 * out.
 *
 * @module
 */

/** Files and the files that each imports, as paths relative to the project's folder with forward slashes. */
export type ImportGraph = ReadonlyMap<string, readonly string[]>;

/** Rooms that every room may import: the common vocabulary, and access to the operating system. */
const SHARED = ["base", "platform"];

/**
 * The rooms that each room may import, besides itself and {@linkcode SHARED}. A room is the first folder below `src`;
 * `mod` is `src/mod.ts` and `main` is `main.ts`. A file in a room that isn't listed is a violation. A folder within a
 * room is a room, too, named with a slash: it may import the rooms that its parent may, but within the parent only the
 * folders listed here.
 */
export const ARROWS: Readonly<Record<string, readonly string[]>> = {
  main: ["cli"],
  mod: ["session", "metainfo", "tracker_server", "stream"],
  cli: ["ui", "session", "metainfo", "tracker_server", "stream"],
  ui: ["session"],
  stream: ["session", "metainfo"],
  session: ["swarm", "dht", "lsd", "nat", "tracker", "metainfo", "storage", "transport"],
  swarm: [
    "swarm/choking",
    "swarm/hashes",
    "swarm/metadata",
    "swarm/peers",
    "swarm/pieces",
    "swarm/web_seeds",
    "peer",
    "storage",
    "metainfo",
  ],
  "swarm/choking": ["swarm/pieces"],
  "swarm/hashes": ["swarm/pieces"],
  "swarm/metadata": [],
  "swarm/peers": [],
  "swarm/pieces": [],
  "swarm/web_seeds": ["swarm/pieces"],
  peer: ["wire", "transport"],
  wire: ["bencode"],
  tracker: ["bencode"],
  tracker_server: ["tracker", "bencode"],
  dht: ["bencode"],
  metainfo: ["bencode"],
  storage: ["bencode"],
  lsd: [],
  nat: [],
  transport: [],
  bencode: [],
  platform: [],
  base: [],
};

/** Uses of the outside world in source text, with their names in messages. Only `src/platform/` may contain them. */
const OUTSIDE: readonly (readonly [pattern: RegExp, name: string])[] = [
  [/(?<![.\w$#])Deno\s*\./, "Deno."],
  [/(?<![.\w$#])globalThis\b/, "globalThis"],
  [/(?<![.\w$#])process\s*\./, "process."],
  [/(?<![.\w$#])Date\s*\.\s*now\b/, "Date.now"],
  [/(?<![.\w$#])new\s+Date\s*(?:\(\s*\)|(?![\w\s(]))/, "new Date()"],
  [/(?<![.\w$#])Math\s*\.\s*random\b/, "Math.random"],
  [/(?<![.\w$#])setTimeout\b/, "setTimeout"],
  [/(?<![.\w$#])setInterval\b/, "setInterval"],
  [/(?<![.\w$#])crypto\s*\./, "crypto."],
  [/(?<![.\w$#])performance\s*\./, "performance."],
  [/(?<![.\w$#])fetch\s*\(/, "fetch("],
  [/(?<![.\w$#])new\s+Worker\b/, "new Worker"],
];

/**
 * Returns the room of a file.
 *
 * @param file Path relative to the project's folder.
 * @returns `main`, `mod`, the folder below `src` (`peer`, or `swarm/pieces` for a folder within a room), or `null` for
 * a file outside `src`.
 */
export function roomOf(file: string): string | null {
  if (file === "main.ts") return "main";
  if (file === "src/mod.ts") return "mod";
  return /^src\/(.+)\/[^/]+$/.exec(file)?.[1] ?? null;
}

/** Returns the rooms that a room may import, or `undefined` if the room is unknown. */
function allowedIn(room: string, arrows: typeof ARROWS): readonly string[] | undefined {
  const own = arrows[room];
  const [outer] = room.split("/");
  if (own === undefined || outer === room) return own;
  // The parent's own folders are allowed only where they are listed.
  const around = arrows[outer!]?.filter((other) => !other.startsWith(`${outer}/`)) ?? [];
  return [...own, ...around];
}

/**
 * Finds imports that break the rules.
 *
 * @returns One sentence for each forbidden import, in the order of the graph.
 */
export function forbiddenImports(graph: ImportGraph, arrows = ARROWS): string[] {
  const violations: string[] = [];
  for (const [file, imports] of graph) {
    const room = roomOf(file);
    if (room === null) continue;
    const allowed = allowedIn(room, arrows);
    if (allowed === undefined) {
      violations.push(`${file} is in the room "${room}", which the house rules do not know`);
      continue;
    }
    for (const target of imports) {
      if (target.startsWith("node:")) {
        if (room !== "platform") violations.push(`${file} imports ${target}; only src/platform may`);
        continue;
      }
      const other = roomOf(target);
      if (other === null) {
        if (!target.startsWith("npm:")) violations.push(`${file} imports ${target}, which is outside src`);
      } else if (other !== room && !allowed.includes(other) && !isShared(room, other)) {
        violations.push(`${file} imports ${target}: ${room} may not import ${other}`);
      }
    }
  }
  return violations;
}

function isShared(room: string, other: string): boolean {
  // `base` imports no other room, and `platform` only `base`.
  return SHARED.includes(other) && room !== "base";
}

/**
 * Finds import cycles.
 *
 * @returns One sentence for each cycle that a depth-first search closes.
 */
export function importCycles(graph: ImportGraph): string[] {
  const cycles: string[] = [];
  const done = new Set<string>();
  const path: string[] = [];
  const visit = (file: string): void => {
    const seen = path.indexOf(file);
    if (seen >= 0) {
      cycles.push(`import cycle: ${[...path.slice(seen), file].join(" -> ")}`);
      return;
    }
    if (done.has(file)) return;
    path.push(file);
    for (const target of graph.get(file) ?? []) visit(target);
    path.pop();
    done.add(file);
  };
  for (const file of graph.keys()) visit(file);
  return cycles;
}

/**
 * Finds uses of the outside world in a file outside `src/platform/`.
 *
 * @param file Path relative to the project's folder.
 * @returns One sentence for each kind of use, with the line of its first occurrence.
 */
export function outsideUses(file: string, source: string): string[] {
  if (roomOf(file) === "platform") return [];
  const code = withoutCommentsAndStrings(source);
  const violations: string[] = [];
  for (const [pattern, name] of OUTSIDE) {
    const match = pattern.exec(code);
    if (match === null) continue;
    const line = code.slice(0, match.index).split("\n").length;
    violations.push(`${file}:${line} uses ${name}; only src/platform may`);
  }
  return violations;
}

const WORD_BEFORE_REGEXP = /(?:^|[^\w$.])(?:return|typeof|case|in|of|yield|await|throw|void|delete|else|do)$/;

/**
 * Blanks out comments, string contents and regular expressions. Line breaks and the code in the `${}` of templates are
 * kept.
 *
 * @returns Text with the same number of lines.
 */
export function withoutCommentsAndStrings(source: string): string {
  let out = "";
  let at = 0;
  // Brace depth inside each open `${`, innermost last.
  const templates: number[] = [];
  const skipTo = (end: number): void => {
    out += source.slice(at, end).replace(/[^\n]+/g, " ");
    at = end;
  };
  const template = (): void => {
    while (at < source.length) {
      const char = source[at];
      if (char === "\\") skipTo(at + 2);
      else if (char === "`") return skipTo(at + 1);
      else if (char === "$" && source[at + 1] === "{") {
        templates.push(0);
        return skipTo(at + 2);
      } else skipTo(at + 1);
    }
  };
  while (at < source.length) {
    const char = source[at]!;
    if (source.startsWith("//", at)) {
      const end = source.indexOf("\n", at);
      skipTo(end < 0 ? source.length : end);
    } else if (source.startsWith("/*", at)) {
      const end = source.indexOf("*/", at + 2);
      skipTo(end < 0 ? source.length : end + 2);
    } else if (char === '"' || char === "'") {
      skipTo(endOfQuoted(source, at, char));
    } else if (char === "`") {
      skipTo(at + 1);
      template();
    } else if (char === "/" && regexpMayStart(out)) {
      skipTo(endOfRegexp(source, at));
    } else if (char === "}" && templates.at(-1) === 0) {
      templates.pop();
      skipTo(at + 1);
      template();
    } else {
      if (templates.length > 0 && char === "{") templates[templates.length - 1]!++;
      if (templates.length > 0 && char === "}") templates[templates.length - 1]!--;
      out += char;
      at++;
    }
  }
  return out;
}

function regexpMayStart(before: string): boolean {
  const text = before.trimEnd();
  const last = text.at(-1);
  return last === undefined || "(,=:[!&|?{};+-*%<>~^".includes(last) || WORD_BEFORE_REGEXP.test(text.slice(-12));
}

function endOfQuoted(source: string, start: number, quote: string): number {
  let at = start + 1;
  while (at < source.length && source[at] !== quote && source[at] !== "\n") at += source[at] === "\\" ? 2 : 1;
  return Math.min(at + 1, source.length);
}

function endOfRegexp(source: string, start: number): number {
  let at = start + 1;
  let inClass = false;
  while (at < source.length && source[at] !== "\n" && (inClass || source[at] !== "/")) {
    if (source[at] === "[") inClass = true;
    if (source[at] === "]") inClass = false;
    at += source[at] === "\\" ? 2 : 1;
  }
  return Math.min(at + 1, source.length);
}
