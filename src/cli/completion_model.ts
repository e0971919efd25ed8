/**
 * Commands, options and arguments that shells complete, read from the commander program.
 *
 * @module
 */

import type { Command } from "commander";

/** Kind of a value: a .torrent file, any file, a folder, a value that can't be completed, or one of a list of words. */
export type ValueKind = "torrent" | "file" | "folder" | "other" | readonly string[];

/** An option to complete. */
export interface CompletedOption {
  /** Short flag such as `-o`. */
  readonly short: string | null;
  /** Long flag such as `--output`. */
  readonly long: string;
  /** Help text, one sentence. */
  readonly description: string;
  /** Kind of the value that follows as a separate word; `null` if the option takes no such value. */
  readonly value: ValueKind | null;
}

/** A command to complete. */
export interface CompletedCommand {
  /** Name of the command, followed by its aliases. */
  readonly names: readonly string[];
  /** Help text, one sentence. */
  readonly description: string;
  /** Options that the command's help shows. */
  readonly options: readonly CompletedOption[];
  /** Kinds of the positional arguments. */
  readonly arguments: readonly ValueKind[];
  /** Whether the last positional argument may be repeated. */
  readonly repeats: boolean;
}

/** Everything that a completion script needs. */
export interface CompletionModel {
  /** All commands. */
  readonly commands: readonly CompletedCommand[];
  /** The default command. */
  readonly standard: CompletedCommand;
  /** Options that may be given instead of a command. */
  readonly options: readonly CompletedOption[];
}

const KINDS: Readonly<Record<string, ValueKind>> = {
  source: "torrent",
  torrent: "torrent",
  path: "file",
  file: "file",
  dir: "folder",
};

/** Kinds of positional arguments that differ from those of option values: a `dir` may be the data itself, too. */
const ARGUMENT_KINDS: Readonly<Record<string, ValueKind>> = { ...KINDS, dir: "file" };

/**
 * Reads commands, options and arguments. Leaves out what help doesn't show.
 *
 * @param program The commander program.
 * @param standard Name of the default command.
 * @returns The completion model.
 */
export function completionModel(program: Command, standard: string): CompletionModel {
  const visible = program.createHelp().visibleCommands(program);
  const names = visible.map((command) => command.name());
  const kindOf = (name: string) => name === "command" ? names : ARGUMENT_KINDS[name] ?? "other";
  const commands = visible.map((command): CompletedCommand => {
    const { registeredArguments } = command;
    return {
      names: [command.name(), ...command.aliases()],
      description: command.summary(),
      options: optionsOf(command),
      arguments: registeredArguments.map((argument) => argument.argChoices ?? kindOf(argument.name())),
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
