/**
 * Completion script for fish.
 *
 * @module
 */

import type { CompletedOption, CompletionModel, ValueKind } from "./completion_model.ts";

/**
 * Generates the completion script for fish.
 *
 * @param model Commands and options to complete.
 * @returns A script to be sourced, or saved as `shoal.fish` in fish's completions folder.
 */
export function fishScript({ commands, standard, options }: CompletionModel): string {
  const lines = ["# fish completions for shoal, made by `shoal completions fish`", "complete -c shoal -f"];
  const add = (condition: string, rest: string): void => {
    lines.push(`complete -c shoal -n ${quoted(condition)} ${rest}`);
  };
  for (const { names, description } of commands) {
    for (const name of names) add("__fish_use_subcommand", `-a ${name} -d ${quoted(description)}`);
  }
  for (const option of options) add("__fish_use_subcommand", optionText(option));
  const others = commands.filter((command) => command !== standard).flatMap(({ names }) => names);
  for (const command of commands) {
    const condition = command === standard
      ? `not __fish_seen_subcommand_from ${others.join(" ")}`
      : `__fish_seen_subcommand_from ${command.names.join(" ")}`;
    for (const option of command.options) add(condition, optionText(option));
    for (const kind of new Set(command.arguments)) if (kind !== "other") add(condition, valueText(kind));
  }
  return `${lines.join("\n")}\n`;
}

function optionText({ short, long, description, value }: CompletedOption): string {
  const flags = [...(short === null ? [] : [`-s ${short.slice(1)}`]), `-l ${long.slice(2)}`].join(" ");
  const follows = value === null ? "" : value === "other" ? " -x" : ` -r ${valueText(value)}`;
  return `${flags}${follows} -d ${quoted(description)}`;
}

function valueText(kind: ValueKind): string {
  if (typeof kind !== "string") return `-a ${quoted(kind.join(" "))}`;
  if (kind === "file") return "-F";
  if (kind === "folder") return "-a '(__fish_complete_directories)'";
  return "-k -a '(__fish_complete_suffix .torrent)'";
}

function quoted(text: string): string {
  return `'${text.replace(/[\\']/g, "\\$&")}'`;
}
