/**
 * Completion script for bash 3.2 and later. bash 3.2 has neither `mapfile` nor `compopt`.
 *
 * @module
 */

import type { CompletedOption, CompletionModel, ValueKind } from "./completion_model.ts";

/**
 * Generates the completion script for bash.
 *
 * @param model Commands and options to complete.
 * @returns A script to be sourced.
 */
export function bashScript(model: CompletionModel): string {
  const { commands, standard } = model;
  const names = commands.flatMap((command) => command.names);
  const nameOf = (command: { readonly names: readonly string[] }): string => command.names[0]!;
  return `# bash completions for shoal, made by \`shoal completions bash\`
_shoal_reply() {
  local line
  while IFS= read -r line; do COMPREPLY+=("$line"); done
}

_shoal_complete() {
  case $1 in
    torrent)
      compopt -o filenames 2>/dev/null
      _shoal_reply < <(compgen -f -X '!*.torrent' -- "$2"; compgen -d -- "$2") ;;
    file)
      compopt -o filenames 2>/dev/null
      _shoal_reply < <(compgen -f -- "$2") ;;
    folder)
      compopt -o filenames 2>/dev/null
      _shoal_reply < <(compgen -d -- "$2") ;;
    other) ;;
    *) _shoal_reply < <(compgen -W "$1" -- "$2") ;;
  esac
}

# The kind of the value that an option of a command takes.
_shoal_value() {
  value=
  case "$1 $2" in
${
    commands.flatMap((command) => valueCases(nameOf(command), command.options)).map((line) => `    ${line}\n`).join("")
  }    *) return 1 ;;
  esac
}

_shoal() {
  local current=\${COMP_WORDS[COMP_CWORD]} command=${nameOf(standard)} first=1 value= position=0 i options kinds last
  COMPREPLY=()
  if ((COMP_CWORD > 1)); then
    case \${COMP_WORDS[1]} in
${
    commands.map((command) => `      ${command.names.join("|")}) command=${nameOf(command)} first=2 ;;\n`).join("")
  }    esac
  elif [[ $current == -* ]]; then
    _shoal_reply < <(compgen -W '${flags([...standard.options, ...model.options])}' -- "$current")
    return
  else
    _shoal_reply < <(compgen -W '${names.join(" ")}' -- "$current")
  fi
  for ((i = first; i < COMP_CWORD; i++)); do
    if [[ -n $value ]]; then value=
    elif _shoal_value "$command" "\${COMP_WORDS[i]}"; then :
    elif [[ \${COMP_WORDS[i]} != -?* ]]; then position=$((position + 1))
    fi
  done
  if [[ -n $value ]]; then
    _shoal_complete "$value" "$current"
    return
  fi
  case $command in
${
    commands.map((command) => {
      const kinds = command.arguments.map((kind) => `'${textOf(kind)}'`).join(" ");
      const last = command.repeats ? ` last='${textOf(command.arguments.at(-1)!)}'` : " last=other";
      return `    ${nameOf(command)}) options='${flags(command.options)}' kinds=(${kinds})${last} ;;\n`;
    }).join("")
  }  esac
  if [[ $current == -* ]]; then _shoal_reply < <(compgen -W "$options" -- "$current")
  else _shoal_complete "\${kinds[position]:-$last}" "$current"
  fi
}

complete -F _shoal shoal
`;
}

function valueCases(command: string, options: readonly CompletedOption[]): string[] {
  return options.flatMap(({ short, long, value }) => {
    if (value === null) return [];
    const patterns = [short, long].filter((flag) => flag !== null).map((flag) => `"${command} ${flag}"`).join("|");
    return [`${patterns}) value='${textOf(value)}' ;;`];
  });
}

function flags(options: readonly CompletedOption[]): string {
  return [...new Set(options.flatMap(({ short, long }) => short === null ? [long] : [short, long]))].join(" ");
}

function textOf(kind: ValueKind): string {
  return typeof kind === "string" ? kind : kind.join(" ");
}
