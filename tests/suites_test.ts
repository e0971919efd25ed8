import { assertEquals, assertGreater } from "@std/assert";

const TESTS = new URL("./", import.meta.url);
/** Folders whose tests have tasks of their own. */
const OTHER_TASKS = ["e2e", "hostile", "interop", "plug"];

/** Paths below `tests`, with their text. */
async function sources(folder = "", files = new Map<string, string>()): Promise<Map<string, string>> {
  for await (const { name, isDirectory } of Deno.readDir(new URL(folder, TESTS))) {
    const path = folder + name;
    if (isDirectory) {
      if (!OTHER_TASKS.includes(path)) await sources(`${path}/`, files);
    } else if (name.endsWith(".ts")) files.set(path, await Deno.readTextFile(new URL(path, TESTS)));
  }
  return files;
}

/** Returns the tests that the suites in a folder import, with repetitions. */
function listed(files: ReadonlyMap<string, string>, folder: string): string[] {
  const suites = [...files].filter(([path]) => path.slice(0, path.lastIndexOf("/")) === folder);
  return suites.flatMap(([path, text]) =>
    [...text.matchAll(/^import "([^"]+)";$/gm)].map(([, to]) =>
      new URL(to!, new URL(path, TESTS)).pathname.slice(TESTS.pathname.length)
    )
  ).sort();
}

Deno.test("every test is in one suite, and in test:fuzz if it has cases that take long", async () => {
  const files = await sources();
  const tests = [...files.keys()].filter((path) => path.endsWith("_test.ts")).sort();
  const long = tests.filter((path) =>
    /\b(?:tries|cases|casesToTry|longTest|isTried)\b.* from "[./]+support\/property\.ts"/.test(files.get(path)!)
  );
  assertGreater(long.length, 10);
  const [unit, fuzz] = [listed(files, "suites"), listed(files, "suites/fuzz")];
  const onlyFuzz = fuzz.filter((path) => !long.includes(path));
  assertEquals(fuzz, [...onlyFuzz, ...long].sort(), "tests/suites/fuzz");
  assertEquals([...unit, ...onlyFuzz].sort(), tests, "tests/suites");
});
