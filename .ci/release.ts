/**
 * Builds the release: an archive for each target of `deno compile`, and their checksums.
 *
 *     deno task release                         all targets; fails if one can't be built
 *     deno task release --only host             this machine's target alone (DENORT_BIN names its runtime, if need be)
 *     deno task release --allow-missing         as many as can be built
 *     deno task release --tag v0.1.0            also checks that the tag is the version and that CHANGELOG.md has it
 *
 * @module
 */

import { toHex } from "../src/base/bytes.ts";
import { VERSION } from "../src/base/version.ts";
import { type ArchivedFile, tarGz, zip } from "./archive.ts";

/** Values of `deno compile --target`. */
export const TARGETS = [
  "x86_64-unknown-linux-gnu",
  "aarch64-unknown-linux-gnu",
  "x86_64-apple-darwin",
  "aarch64-apple-darwin",
  "x86_64-pc-windows-msvc",
] as const;
/** One of {@linkcode TARGETS}. */
export type Target = typeof TARGETS[number];

const ROOT = new URL("..", import.meta.url);
const FOLDER = "dist/release";
/** Files that are added to each archive. */
const DOCUMENTS = ["LICENSE", "README.md", "CHANGELOG.md"];
const USAGE = "usage: deno task release [--only host|TARGET]... [--allow-missing] [--tag vX.Y.Z]";

/** Options of the command line. */
export interface ReleaseOptions {
  readonly targets: readonly Target[];
  readonly allowMissing: boolean;
  readonly tag: string | null;
}

/**
 * Parses the command line.
 *
 * @param args Arguments.
 * @param host This machine's target.
 * @throws {Error} If the arguments are invalid.
 */
export function parseArgs(args: readonly string[], host: string): ReleaseOptions {
  const targets: Target[] = [];
  let allowMissing = false;
  let tag: string | null = null;
  const rest = [...args];
  for (let word = rest.shift(); word !== undefined; word = rest.shift()) {
    if (word === "--allow-missing") allowMissing = true;
    else if (word === "--tag") tag = rest.shift() ?? fail(`--tag needs a value; ${USAGE}`);
    else if (word === "--only") {
      const name = rest.shift() ?? "";
      const target = TARGETS.find((target) => target === (name === "host" ? host : name)) ??
        fail(`${name || "nothing"} is no target; there are: host, ${TARGETS.join(", ")}`);
      targets.push(target);
    } else fail(`what is ${word}? ${USAGE}`);
  }
  return { targets: targets.length === 0 ? TARGETS : targets, allowMissing, tag };
}

/** Facts that have to agree for a release. */
export interface ReleaseFacts {
  /** Version in the source. */
  readonly version: string;
  /** Version in deno.json. */
  readonly manifest: string;
  /** Text of CHANGELOG.md. */
  readonly changelog: string;
  /** Tag of the commit, or `null` if it has none. */
  readonly tag: string | null;
}

/**
 * Returns what prevents a release, in one sentence for each problem.
 *
 * @param facts See {@linkcode ReleaseFacts}.
 */
export function disagreements({ version, manifest, changelog, tag }: ReleaseFacts): string[] {
  const found: string[] = [];
  if (manifest !== version) found.push(`deno.json says version ${manifest}, src/base/version.ts ${version}`);
  if (tag !== null && tag !== `v${version}`) found.push(`the tag is ${tag}, the version ${version}`);
  const headings = changelog.split("\n").flatMap((line) => /^## \[?([^\s\]]+)/.exec(line)?.[1] ?? []);
  if (tag === null ? headings.length === 0 : !headings.includes(version)) {
    found.push(`CHANGELOG.md has no heading "## ${version}"`);
  }
  return found;
}

/** Options for {@linkcode compileArgs}. */
export interface CompileArgsOptions {
  /** Target to build. */
  readonly target: Target;
  /** Path of the program. */
  readonly output: string;
}

/**
 * Returns the arguments of `deno` that build a target. They are derived from the task `compile`, which is the only
 * place with permissions and lock file.
 *
 * @param task Command of the task.
 * @param options See {@linkcode CompileArgsOptions}.
 * @throws {Error} If the task has an unexpected form.
 */
export function compileArgs(task: string, options: CompileArgsOptions): string[] {
  const [command] = task.split(" || "); // what follows explains a failure
  // `release` bundles once for all targets, and its own task sets the same variables that precede the command.
  const [program, verb, ...words] = command!.replace(/^.* && /, "").split(" ");
  const output = words.indexOf("--output");
  if (program !== "deno" || verb !== "compile" || output < 0 || /["'$]/.test(command!)) {
    fail("the task compile looks strange");
  }
  words.splice(output, 2, "--target", options.target, "--output", options.output);
  return [verb!, ...words];
}

/**
 * Returns the content of SHA256SUMS, as `sha256sum -c` reads it.
 *
 * @param files Archives by name.
 */
export async function checksums(files: ReadonlyMap<string, Uint8Array<ArrayBuffer>>): Promise<string> {
  const lines: string[] = [];
  for (const name of [...files.keys()].sort()) {
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", files.get(name)!));
    lines.push(`${toHex(digest)}  ${name}\n`);
  }
  return lines.join("");
}

function fail(message: string): never {
  throw new Error(message);
}

function say(text: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${text}\n`));
}

/** Joins the program's modules, as the task `compile` does. */
async function bundle(): Promise<void> {
  const { success } = await new Deno.Command(Deno.execPath(), {
    args: ["task", "--quiet", "bundle"],
    cwd: ROOT,
    stdin: "null",
    stdout: "inherit",
    stderr: "inherit",
  }).output();
  if (!success) fail("the program's modules couldn't be joined");
}

/** Builds a target and its archive. Throws with the reason if the target can't be built. */
async function build(
  target: Target,
  task: string,
): Promise<{ readonly name: string; readonly archive: Uint8Array<ArrayBuffer> }> {
  const isWindows = target.includes("windows");
  const name = `shoal-${VERSION}-${target}`;
  const program = isWindows ? "shoal.exe" : "shoal";
  const output = `${FOLDER}/${name}/${program}`;
  const env = Deno.env.toObject();
  // DENORT_BIN names a runtime for this machine.
  if (target !== Deno.build.target) delete env.DENORT_BIN;
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: compileArgs(task, { target, output }),
    cwd: ROOT,
    env,
    clearEnv: true,
    stdin: "null",
    stdout: "inherit",
    stderr: "piped",
  }).output();
  if (!success) {
    // deno-lint-ignore no-control-regex
    const text = new TextDecoder().decode(stderr).replace(/\x1b\[[\d;]*m/g, "").trim();
    const isFetch = /download|sending request|dns error|connect|denort|403|404|502|503/i.test(text);
    const url = /sending request for url \(([^)]*)\)/.exec(text)?.[1];
    const why = url === undefined ? /^error: (.*)$/m.exec(text)?.[1] ?? text : `no answer from ${new URL(url).host}`;
    const hint = target === Deno.build.target ? "; DENORT_BIN can name one of the same Deno version" : "";
    throw new Error(
      isFetch ? `the runtime can't be downloaded (${why})${hint}` : `deno compile failed (${why})`,
    );
  }
  const files: ArchivedFile[] = [{
    name: `${name}/${program}`,
    bytes: await Deno.readFile(new URL(output, ROOT)),
    executable: true,
  }];
  for (const document of DOCUMENTS) {
    files.push({ name: `${name}/${document}`, bytes: await Deno.readFile(new URL(document, ROOT)) });
  }
  return isWindows
    ? { name: `${name}.zip`, archive: await zip(files) }
    : { name: `${name}.tar.gz`, archive: await tarGz(files) };
}

/** Builds the release. Returns the exit code, which is 0 if everything that was requested was built. */
async function release(args: readonly string[]): Promise<number> {
  const { targets, allowMissing, tag } = parseArgs(args, Deno.build.target);
  const { version: manifest, tasks } = JSON.parse(await Deno.readTextFile(new URL("deno.json", ROOT)));
  const changelog = await Deno.readTextFile(new URL("CHANGELOG.md", ROOT));
  const wrong = disagreements({ version: VERSION, manifest, changelog, tag });
  if (wrong.length > 0) fail(wrong.join("; "));
  const folder = new URL(`${FOLDER}/`, ROOT);
  await Deno.remove(folder, { recursive: true }).catch((error) => {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  });
  await Deno.mkdir(folder, { recursive: true });
  await bundle();
  const archives = new Map<string, Uint8Array<ArrayBuffer>>();
  const missing: string[] = [];
  for (const target of targets) {
    try {
      const { name, archive } = await build(target, tasks.compile.command);
      await Deno.writeFile(new URL(name, folder), archive);
      archives.set(name, archive);
      say(`${target}: ${FOLDER}/${name}, ${(archive.length / 1e6).toFixed(1)} MB`);
    } catch (error) {
      missing.push(target);
      say(`${target}: NOT BUILT: ${error instanceof Error ? error.message : error}`);
    }
  }
  if (archives.size > 0) await Deno.writeTextFile(new URL("SHA256SUMS", folder), await checksums(archives));
  say(
    `${archives.size} of ${targets.length} targets of version ${VERSION} were built${
      missing.length > 0 ? `; missing: ${missing.join(", ")}` : ""
    }`,
  );
  return archives.size === 0 || (missing.length > 0 && !allowMissing) ? 1 : 0;
}

if (import.meta.main) {
  try {
    Deno.exit(await release(Deno.args));
  } catch (error) {
    Deno.stderr.writeSync(new TextEncoder().encode(`release: ${error instanceof Error ? error.message : error}\n`));
    Deno.exit(2);
  }
}
