/**
 * What shells complete, read from the commands themselves.
 *
 * @module
 */

import type { Command } from "commander";

/** What a value is: a .torrent, any file, a folder, one of some words, or something that nobody can guess. */
export type ValueKind = "torrent" | "file" | "folder" | "other" | readonly string[];

/** An option. */
export interface CompletedOption {
  /** Like `-o`. */
  readonly short: string | null;
  /** Like `--output`. */
  readonly long: string;
  /** One sentence. */
  readonly description: string;
  /** What follows it as a word of its own; `null` for nothing. */
  readonly value: ValueKind | null;
}

/** A command. */
export interface CompletedCommand {
  /** Its name, then its aliases. */
  readonly names: readonly string[];
  /** One sentence. */
  readonly description: string;
  /** What shows in its help. */
  readonly options: readonly CompletedOption[];
  /** What its words are that are no options. */
  readonly arguments: readonly ValueKind[];
  /** Whether the last of these may come again and again. */
  readonly repeats: boolean;
}

/** Everything that there is to complete. */
export interface CompletionModel {
  /** The commands. */
  readonly commands: readonly CompletedCommand[];
  /** The one of them that runs when none is named. */
  readonly standard: CompletedCommand;
  /** Options that stand in the place of a command. */
  readonly options: readonly CompletedOption[];
}

const KINDS: Readonly<Record<string, ValueKind>> = {
  source: "torrent",
  torrent: "torrent",
  path: "file",
  file: "file",
  dir: "folder",
};

/**
 * Reads commands, options and arguments; what help doesn't show is left out.
 *
 * @param program The program.
 * @param standard Name of the command that runs when none is named.
 * @returns What there is to complete.
 */
export function completionModel(program: Command, standard: string): CompletionModel {
  const commands = program.createHelp().visibleCommands(program).map((command): CompletedCommand => {
    const { registeredArguments } = command;
    return {
      names: [command.name(), ...command.aliases()],
      description: command.summary(),
      options: optionsOf(command),
      arguments: registeredArguments.map((argument) => argument.argChoices ?? KINDS[argument.name()] ?? "other"),
      repeats: registeredArguments.at(-1)?.variadic ?? false,
    };
  });
  const found = commands.find(({ names }) => names.includes(standard));
  if (found === undefined) throw new Error(`there is no command ${standard}`);
  return { commands, standard: found, options: optionsOf(program) };
}

function optionsOf(command: Command): CompletedOption[] {
  return command.createHelp().visibleOptions(command).map(
    ({ short, long, flags, description, required, argChoices }) => {
      const placeholder = /<([^>]+)>/.exec(flags)?.[1] ?? "";
      const words = placeholder.includes("|") ? placeholder.split("|") : null;
      const value = argChoices ?? words ?? KINDS[placeholder] ?? "other";
      return { short: short ?? null, long: long!, description, value: required ? value : null };
    },
  );
}
