/**
 * `shoal help`, and the error for a command that doesn't exist.
 *
 * @module
 */

import type { Command } from "commander";
import { ShoalError } from "../base/errors.ts";
import type { Context } from "./context.ts";
import { nearest } from "./nearest.ts";

/** Adds `shoal help` to the program. */
export function register(program: Command): void {
  program
    .command("help")
    .summary("show the help of a command")
    .description("Shows the help of a command, or what commands there are. The same as `--help`.")
    .argument("[command]", "name of a command")
    .action(async (name: string | undefined) => {
      if (name === undefined) return program.outputHelp();
      const command = program.commands.find((command) => namesOf(command).includes(name));
      if (command === undefined) throw unknownCommand(name, await nearest(name, mainNames(program)));
      command.outputHelp();
    });
}

/**
 * Checks that the first word of a command line is not a mistyped command. It would be taken for a file to download, and
 * the words behind it as well.
 *
 * @param args Command-line arguments after the program's name.
 * @param program The program with all of its commands.
 * @param context The environment.
 * @throws {ShoalError} Of kind `usage` if the word resembles a command, and no file has that name.
 */
export async function checkCommand(
  [word = ""]: readonly string[],
  program: Command,
  { platform }: Pick<Context, "platform">,
): Promise<void> {
  if (!/^\w[\w-]*$/.test(word) || program.commands.some((command) => namesOf(command).includes(word))) return;
  const meant = await nearest(word.toLowerCase(), mainNames(program));
  if (meant === null || await platform.files.stat(word) !== null) return;
  throw unknownCommand(word, meant);
}

function unknownCommand(name: string, meant: string | null): ShoalError {
  return new ShoalError("usage", {
    what: "unknown command",
    where: name,
    why: "there is no such command",
    hint: meant === null ? "`shoal --help` lists the commands" : `did you mean ${meant}?`,
  });
}

/** Names of the commands. Aliases are left out: they are so short that many words resemble them. */
function mainNames(program: Command): string[] {
  return program.commands.map((command) => command.name());
}

function namesOf(command: Command): string[] {
  return [command.name(), ...command.aliases()];
}
