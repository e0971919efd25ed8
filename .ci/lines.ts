/**
 * Warns of files with more than {@linkcode MANY} lines, which may do more than one job. Never fails.
 *
 * @module
 */

const MANY = 600;

async function* sourceFiles(folder: string): AsyncGenerator<string> {
  for await (const entry of Deno.readDir(folder)) {
    const path = `${folder}/${entry.name}`;
    if (entry.isDirectory) yield* sourceFiles(path);
    else if (entry.name.endsWith(".ts")) yield path;
  }
}

for (const folder of ["src", "tests", "bench"]) {
  for await (const file of sourceFiles(folder)) {
    const lines = (await Deno.readTextFile(file)).split("\n").length - 1;
    // deno-lint-ignore no-console
    if (lines > MANY) console.log(`${file}: ${lines} lines. Is it one job?`);
  }
}
