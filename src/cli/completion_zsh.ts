/**
 * Completion script for zsh.
 *
 * @module
 */

import type { CompletedCommand, CompletedOption, CompletionModel, ValueKind } from "./completion_model.ts";

/**
 * Generates the completion script for zsh.
 *
 * @param model Commands and options to complete.
 * @returns A script to be sourced, or saved as `_shoal` in a folder of `$fpath`.
 */
export function zshScript({ commands, standard, options }: CompletionModel): string {
  const described = commands.flatMap(({ names, description }) => {
    return names.map((name) => quoted(`${name}:${description.replaceAll(":", "\\:")}`));
  });
  const functionOf = (command: CompletedCommand): string => `_shoal_${command.names[0]}`;
  return `#compdef shoal
# zsh completions for shoal, made by \`shoal completions zsh\`
_shoal_torrents() {
  _files -g '*.torrent'
}

${commands.map((command) => argumentsOf(functionOf(command), command)).join("\n")}
${argumentsOf("_shoal_first", { ...standard, options: [...standard.options, ...options] })}
_shoal() {
  local -a commands
  commands=(
${described.map((line) => `    ${line}\n`).join("")}  )
  if ((CURRENT == 2)); then
    [[ $PREFIX == -* ]] || _describe -t commands 'command' commands
    _shoal_first
    return
  fi
  case $words[2] in
${
    commands.map((command) => `    ${command.names.join("|")}) shift words; ((CURRENT--)); ${functionOf(command)} ;;\n`)
      .join("")
  }    *) ${functionOf(standard)} ;;
  esac
}

if [[ $funcstack[1] == _shoal ]]; then _shoal "$@"; else compdef _shoal shoal; fi
`;
}

function argumentsOf(name: string, command: CompletedCommand): string {
  const seen = new Set<string>();
  const specs = command.options.filter(({ long }) => !seen.has(long) && seen.add(long)).flatMap(optionSpecs);
  for (const [i, kind] of command.arguments.entries()) {
    const isLast = command.repeats && i === command.arguments.length - 1;
    specs.push(`${isLast ? "*" : i + 1}:${label(kind)}:${actionOf(kind)}`);
  }
  return `${name}() {\n  _arguments \\\n${specs.map((spec) => `    ${quoted(spec)}`).join(" \\\n")}\n}\n`;
}

function optionSpecs({ short, long, description, value }: CompletedOption): string[] {
  const text = `[${description.replace(/[[\]\\]/g, "\\$&")}]${
    value === null ? "" : `:${label(value)}:${actionOf(value)}`
  }`;
  const specs = [`*${long}${value === null ? "" : "="}${text}`];
  return short === null ? specs : [`*${short}${value === null ? "" : "+"}${text}`, ...specs];
}

function label(kind: ValueKind): string {
  return typeof kind === "string" && kind !== "other" ? kind : "value";
}

function actionOf(kind: ValueKind): string {
  if (typeof kind !== "string") return `(${kind.join(" ")})`;
  return { torrent: "_shoal_torrents", file: "_files", folder: "_files -/", other: " " }[kind];
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
