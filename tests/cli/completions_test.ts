import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { World } from "./fake_engine.ts";

/** Returns the help of a command, which shows its commands and options. */
async function helpOf(...command: string[]): Promise<string> {
  const world = new World();
  assertEquals(await world.run(...command, "--help"), 0);
  return world.terminal.stdout.text;
}

async function scriptOf(shell: string): Promise<string> {
  const world = new World();
  assertEquals(await world.run("completions", shell), 0);
  assertEquals(world.terminal.stderr.text, "");
  return world.terminal.stdout.text;
}

Deno.test("completions knows every command and every option that help shows, for every shell", async () => {
  const help = await helpOf();
  const commands = [...help.matchAll(/^ {2}([a-z]+)(?:\|[a-z]+)? .*/gm)].map(([, name]) => name!)
    .filter((name) => name !== "shoal");
  assert(commands.length >= 8, commands.join(" "));
  const options = new Map<string, string[]>();
  for (const command of commands) {
    const shown = [...(await helpOf(command)).matchAll(/^ {2}(?:-\w, |\s+)?(--[a-z0-9-]+)/gm)].map(([, long]) => long!);
    assert(shown.includes("--help"), command);
    options.set(command, shown);
  }
  for (const shell of ["bash", "zsh", "fish"]) {
    const script = await scriptOf(shell);
    for (const [command, flags] of options) {
      assertStringIncludes(script, command, shell);
      for (const flag of flags) {
        assertStringIncludes(script, shell === "fish" ? `-l ${flag.slice(2)} ` : flag, `${shell}: ${command} ${flag}`);
      }
    }
  }
});

Deno.test("completions knows that help takes a command", async () => {
  const words = "download seed create info verify tracker share demo completions help";
  assertStringIncludes(await scriptOf("bash"), `    help) options='-h --help' kinds=('${words}') last=other ;;`);
  for (const shell of ["zsh", "fish"]) assertStringIncludes(await scriptOf(shell), words, shell);
});

Deno.test("completions refuses other shells, and says which there are", async () => {
  for (const args of [["completions", "tcsh"], ["completions"]]) {
    const world = new World();
    assertEquals(await world.run(...args), 2);
    assertEquals([world.terminal.stdout.text, world.terminal.stderr.lines.length], ["", 1]);
    if (args.length === 2) assertStringIncludes(world.terminal.stderr.text, "bash, zsh, fish");
  }
});
