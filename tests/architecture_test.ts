import { assertEquals, assertGreater, assertStringIncludes } from "@std/assert";
import {
  forbiddenImports,
  importCycles,
  type ImportGraph,
  outsideUses,
  withoutCommentsAndStrings,
} from "./support/architecture.ts";
import { TEST_FLAGS } from "./support/from_source.ts";

const ROOT = new URL("../", import.meta.url);
Deno.test("the house rules hold: no forbidden import, no cycle", async () => {
  const graph = await importGraph();
  assertGreater(graph.size, 5, "the graph is too small to be the project's");
  assertEquals([...forbiddenImports(graph), ...importCycles(graph)], []);
});

Deno.test("the house rules hold: only src/platform touches the outside", async () => {
  const violations: string[] = [];
  for await (const file of sourceFiles("src")) {
    const source = await Deno.readTextFile(new URL(file, ROOT));
    violations.push(...outsideUses(file, source));
  }
  assertEquals(violations, []);
});

Deno.test("forbiddenImports() names an arrow from a lower room to a higher", () => {
  const graph = graphOf({ "src/peer/connection.ts": ["src/swarm/torrent.ts"], "src/swarm/torrent.ts": [] });
  assertEquals(forbiddenImports(graph), [
    "src/peer/connection.ts imports src/swarm/torrent.ts: peer may not import swarm",
  ]);
});

Deno.test("forbiddenImports() lets every room import base and platform, but base imports nothing", () => {
  const graph = graphOf({
    "src/wire/messages.ts": ["src/base/bytes.ts", "src/platform/platform.ts", "src/wire/frames.ts"],
    "src/platform/platform.ts": ["src/base/bytes.ts"],
    "src/base/bytes.ts": ["src/platform/platform.ts"],
  });
  assertEquals(forbiddenImports(graph), [
    "src/base/bytes.ts imports src/platform/platform.ts: base may not import platform",
  ]);
});

Deno.test("forbiddenImports() refuses node modules outside platform, files outside src, and rooms it does not know", () => {
  const graph = graphOf({
    "src/platform/deno.ts": ["node:crypto"],
    "src/ui/table.ts": ["npm:log-update@7.0.1", "node:tty", "tests/support/fake.ts"],
    "src/utils/misc.ts": [],
  });
  assertEquals(forbiddenImports(graph), [
    "src/ui/table.ts imports node:tty; only src/platform may",
    "src/ui/table.ts imports tests/support/fake.ts, which is outside src",
    'src/utils/misc.ts is in the room "utils", which the house rules do not know',
  ]);
});

Deno.test("importCycles() names the files of a cycle, also inside one room", () => {
  const graph = graphOf({
    "src/swarm/a.ts": ["src/swarm/b.ts"],
    "src/swarm/b.ts": ["src/swarm/c.ts", "src/base/bytes.ts"],
    "src/swarm/c.ts": ["src/swarm/a.ts", "src/base/bytes.ts"],
    "src/base/bytes.ts": [],
  });
  assertEquals(importCycles(graph), [
    "import cycle: src/swarm/a.ts -> src/swarm/b.ts -> src/swarm/c.ts -> src/swarm/a.ts",
  ]);
});

Deno.test("importCycles() takes a diamond for what it is", () => {
  assertEquals(importCycles(graphOf({ a: ["b", "c"], b: ["d"], c: ["d"], d: [] })), []);
});

Deno.test("outsideUses() finds clocks, timers, randomness and sockets, and where", () => {
  const source =
    "const now = () =>\n  Date.now();\nsetTimeout(() => fetch(url), Math.random());\nawait Deno.open(`x`);\n";
  assertEquals(outsideUses("src/swarm/choking/choker.ts", source), [
    "src/swarm/choking/choker.ts:4 uses Deno.; only src/platform may",
    "src/swarm/choking/choker.ts:2 uses Date.now; only src/platform may",
    "src/swarm/choking/choker.ts:3 uses Math.random; only src/platform may",
    "src/swarm/choking/choker.ts:3 uses setTimeout; only src/platform may",
    "src/swarm/choking/choker.ts:3 uses fetch(; only src/platform may",
  ]);
  assertEquals(outsideUses("src/platform/deno_platform.ts", source), []);
});

Deno.test("outsideUses() looks into templates, but not at comments, strings, regular expressions or own members", () => {
  const harmless = [
    "// Deno.open and Date.now",
    "/** `crypto.subtle` */ const a = 'fetch(x)' + \"setTimeout\" + `Deno.args ${1}`;",
    "const r = /Deno\\.open[/'\"]/.test(a); const q = a / 2 / 3;",
    "this.crypto.sign(); http.fetch(url); this.#fetch(); const made = new Date(5); const { d } = dates;",
  ].join("\n");
  assertEquals(outsideUses("src/wire/x.ts", harmless), []);
  assertEquals(outsideUses("src/wire/x.ts", "const t = `a ${b({ c: `${performance.now()}` })} d`;").length, 1);
  assertEquals(outsideUses("src/wire/x.ts", "const t = new Date();").length, 1);
});

Deno.test("withoutCommentsAndStrings() keeps the lines and the code", () => {
  const code = withoutCommentsAndStrings("a; /* 1\n2 */ b('\\'');\n`x${c}\ny` // d\ne");
  assertEquals(code.split("\n").length, 5);
  for (const kept of ["a;", "b(", "c", "e"]) assertStringIncludes(code, kept);
  assertEquals(/[12xyd]/.test(code), false);
});

Deno.test("forbiddenImports() takes a folder within a room for a room, which may import what the room around it may", () => {
  const graph = graphOf({
    "src/swarm/torrent.ts": ["src/swarm/pieces/endgame.ts", "src/swarm/events.ts"],
    "src/swarm/web_seeds/web_run.ts": ["src/swarm/pieces/endgame.ts", "src/metainfo/mod.ts", "src/base/bytes.ts"],
    "src/swarm/pieces/endgame.ts": [
      "src/peer/mod.ts",
      "src/swarm/events.ts",
      "src/swarm/peers/peer_set.ts",
      "src/ui/table.ts",
    ],
    "src/swarm/corner/x.ts": [],
  });
  assertEquals(forbiddenImports(graph), [
    "src/swarm/pieces/endgame.ts imports src/swarm/events.ts: swarm/pieces may not import swarm",
    "src/swarm/pieces/endgame.ts imports src/swarm/peers/peer_set.ts: swarm/pieces may not import swarm/peers",
    "src/swarm/pieces/endgame.ts imports src/ui/table.ts: swarm/pieces may not import ui",
    'src/swarm/corner/x.ts is in the room "swarm/corner", which the house rules do not know',
  ]);
});

function graphOf(files: Record<string, readonly string[]>): ImportGraph {
  return new Map(Object.entries(files));
}

async function* sourceFiles(folder: string): AsyncGenerator<string> {
  for await (const entry of Deno.readDir(new URL(folder, ROOT))) {
    const path = `${folder}/${entry.name}`;
    if (entry.isDirectory) yield* sourceFiles(path);
    else if (entry.name.endsWith(".ts")) yield path;
  }
}

/** The parts of `deno info --json` that the test reads. */
interface Info {
  readonly modules: readonly {
    readonly specifier: string;
    readonly error?: string;
    readonly dependencies?: readonly {
      readonly specifier: string;
      readonly code?: { readonly specifier?: string };
      readonly type?: { readonly specifier?: string };
    }[];
  }[];
}

/** Returns the import graph of main.ts and of every file in src, including files that nothing imports. */
async function importGraph(): Promise<ImportGraph> {
  const files = [];
  for await (const file of sourceFiles("src")) files.push(file);
  const folder = await Deno.makeTempDir();
  try {
    const entry = `${folder}/all.ts`;
    const imports = ["main.ts", ...files].map((file) => `import ${JSON.stringify(new URL(file, ROOT).href)};\n`);
    await Deno.writeTextFile(entry, imports.join(""));
    return toGraph(await denoInfo(entry));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

function toGraph(info: Info): ImportGraph {
  const graph = new Map<string, string[]>();
  for (const module of info.modules) {
    if (module.error !== undefined) throw new Error(`${module.specifier}: ${module.error}`);
    const file = localPath(module.specifier);
    if (!/^(main\.ts$|src\/)/.test(file)) continue;
    const targets = (module.dependencies ?? []).flatMap((dependency) =>
      [dependency.code?.specifier, dependency.type?.specifier].filter((target) => target !== undefined)
    );
    graph.set(file, [...new Set(targets.map(localPath))]);
  }
  return graph;
}

function localPath(specifier: string): string {
  return specifier.startsWith(ROOT.href) ? decodeURI(specifier.slice(ROOT.href.length)) : specifier;
}

async function denoInfo(entry: string): Promise<Info> {
  // The Deno that runs this test, which need not be the one on the PATH.
  const output = await new Deno.Command(Deno.execPath(), {
    args: ["info", "--json", ...TEST_FLAGS, entry],
    env: { NO_COLOR: "1" },
  }).output();
  const text = new TextDecoder().decode(output.stdout);
  if (!output.success) throw new Error(`deno info failed: ${new TextDecoder().decode(output.stderr)}${text}`);
  return JSON.parse(text);
}
