import { assert, assertEquals, assertFalse, assertGreater } from "@std/assert";
import { pages } from "../docs/generate.ts";
import { World } from "./cli/fake_engine.ts";
import { eventNames } from "./support/schemas.ts";

const ROOT = new URL("../", import.meta.url);

function read(path: string): Promise<string> {
  return Deno.readTextFile(new URL(path, ROOT));
}

async function exists(path: string): Promise<boolean> {
  return await Deno.stat(new URL(path, ROOT)).then(() => true, () => false);
}

/** Returns the blocks of code in a language. */
function blocks(text: string, language: string): string[] {
  return [...text.matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\`$`, "gms"))].map(([, code]) => code!);
}

Deno.test("docs/options.md and docs/json.md are what `deno task docs` writes", async () => {
  for (const [name, text] of Object.entries(await pages())) {
    assertEquals(await read(`docs/${name}`), text, `docs/${name} is behind: run \`deno task docs\``);
  }
});

Deno.test("docs/options.md names every command and every option that help shows, docs/json.md every event", async () => {
  const options = await read("docs/options.md");
  const help = new World();
  await help.run("--help");
  const commands = [...help.terminal.stdout.text.matchAll(/^ {2}([a-z]+)(?:\|[a-z]+)? .*(?:\[|<)/gm)].map(([, name]) =>
    name!
  );
  assertGreater(commands.length, 6);
  for (const command of commands) {
    assert(options.includes(`## shoal ${command}`), command);
    const world = new World();
    await world.run(command, "--help");
    for (const [flag] of world.terminal.stdout.text.matchAll(/(?<=^ {2}.{0,6})--[a-z0-9-]+/gm)) {
      if (flag !== "--help") assert(options.includes(flag), `${command} ${flag}`);
    }
  }
  const json = await read("docs/json.md");
  for (const name of eventNames()) assert(json.includes(`### ${name}\n`), name);
});

Deno.test("the docs name only source files that exist", async () => {
  const missing: string[] = [];
  for (const page of ["README.md", "CONTRIBUTING.md", "docs/architecture.md"]) {
    for (const [, path] of (await read(page)).matchAll(/`((?:[a-z_]+\/)+[a-z_]+\.ts)`/g)) {
      const places = [path!, `src/${path}`];
      if (!(await Promise.all(places.map(exists))).includes(true)) missing.push(`${page}: ${path}`);
    }
  }
  assertEquals(missing, []);
});

Deno.test("what docs/config.md shows is taken by every command", async () => {
  const shown = blocks(await read("docs/config.md"), "toml");
  assertGreater(shown.length, 0);
  for (const config of shown) {
    for (
      const args of [["missing.torrent"], ["seed", "missing.torrent", "."], ["create", "x"], [
        "tracker",
        "--bind",
        "192.0.2.1",
      ]]
    ) {
      const world = new World();
      world.config = config;
      assert(await world.run(...args) > 0);
      assertEquals(world.configReads, 1);
      assertFalse(world.terminal.stderr.text.includes("config.toml"), world.terminal.stderr.text);
    }
  }
});

Deno.test("docs/v2.md shows commands whose options exist", async () => {
  const commands = blocks(await read("docs/v2.md"), "sh").flatMap((block) => block.trim().split("\n"));
  assertGreater(commands.length, 3);
  for (const line of commands) {
    const [program, ...args] = line.replace(/ *#.*/, "").split(" ");
    assertEquals(program, "shoal");
    const world = new World();
    // There is nothing to make a torrent of here, which is not the fault of the command line.
    assertEquals(await world.run(...args), 1, `${line}: ${world.terminal.stderr.text}`);
  }
});
