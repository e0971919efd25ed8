/**
 * Writes the pages that are generated from the code: `docs/options.md` from the commands, and `docs/json.md` from the
 * JSON Schemas. Run it with `deno task docs`; a test fails if the pages are out of date.
 *
 * @module
 */

import type { Command } from "commander";
import type { Context } from "../src/cli/context.ts";
import { createProgram } from "../src/cli/program.ts";

const HERE = new URL("./", import.meta.url);
const NOTE = "<!-- Made by `deno task docs`. -->";

/** The parts of a JSON Schema that the page shows. */
interface Schema {
  readonly title?: string;
  readonly description?: string;
  readonly $ref?: string;
  readonly type?: string | readonly string[];
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly oneOf?: readonly Schema[];
  readonly items?: Schema;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly examples?: readonly unknown[];
  readonly $defs?: Readonly<Record<string, Schema>>;
}

/** Exit codes and their meanings. */
const EXIT_CODES: readonly (readonly [number, string])[] = [
  [0, "done"],
  [1, "unexpected failure (a bug); `-v` shows the stack"],
  [2, "wrong command line or config file"],
  [3, "not a valid torrent or magnet link; in `verify`, something is wrong or missing"],
  [4, "storage: full disk, no permission, something in the way of a file"],
  [5, "gave up: no peers, or nothing arrived within `--timeout`"],
  [6, "tracker or network set-up, such as a port in use"],
  [130, "interrupted: Ctrl-C, SIGTERM, window closed, or the reader of the output is gone"],
];

/** Returns the pages as Markdown by file name. */
export async function pages(): Promise<Readonly<Record<string, string>>> {
  return {
    "options.md": optionsPage(),
    "json.md": jsonPage(await readSchema("events.schema.json"), await readSchema("info.schema.json")),
  };
}

function optionsPage(): string {
  // Help texts don't use the context.
  const program = createProgram({ terminal: {} } as unknown as Context);
  const help = program.createHelp();
  const commands = help.visibleCommands(program);
  return joined([
    "# Commands and options",
    NOTE,
    "`shoal --help` and `shoal COMMAND --help` print the same. Any long option can be set in the [config file](config.md), " +
    "and every switch has an opposite, so the command line can undo what is set there: `--no-json`, `--dht`.",
    "Sizes and rates are numbers of bytes with an optional unit, in any case. `K` and `KiB` stand for 1,024 bytes, `M` and " +
    "`MiB` for 1,024 of those, and likewise `G` and `T`. `KB` stands for 1,000 bytes, `MB` for a million, `GB` and `TB` likewise. " +
    "So `--max-down 5M` is 5,242,880 bytes per second, and `--max-down 5MB` is 5,000,000. Times are numbers with `s`, `m`, `h` or " +
    "`d`, like `90s` or `1h30m`.",
    table(
      ["command", "what it does"],
      commands.map((command) => [`[${command.name()}](#${anchor(heading(command))})`, command.summary()]),
    ),
    ...commands.flatMap((command) => commandSection(command)),
    "## Exit codes",
    table(["code", "meaning"], EXIT_CODES.map(([code, meaning]) => [code.toString(), meaning])),
  ]);
}

function heading(command: Command): string {
  return `shoal ${command.name()} ${command.usage().replace(/^\[options\] ?/, "")}`.trimEnd();
}

function commandSection(command: Command): string[] {
  const help = command.createHelp();
  const names = command.aliases().map((alias) => `\`${alias}\``);
  const options = help.visibleOptions(command).filter(({ long }) => long !== "--help");
  return [
    `## ${heading(command).replace(/[<>[\]]/g, "\\$&")}`,
    `${command.description()}${names.length === 0 ? "" : ` Also called ${names.join(", ")}.`}`,
    ...(command.registeredArguments.length === 0 ? [] : [
      table(
        ["argument", "what it is"],
        command.registeredArguments.map((argument) => [`\`${argument.name()}\``, help.argumentDescription(argument)]),
      ),
    ]),
    ...(options.length === 0 ? [] : [
      table(
        ["option", "what it does"],
        options.map(({ flags, description, defaultValueDescription }) => [
          `\`${flags}\``,
          `${description}${defaultValueDescription === undefined ? "" : ` (default: ${defaultValueDescription})`}`,
        ]),
      ),
    ]),
  ];
}

function jsonPage(events: Schema, info: Schema): string {
  const lines = (part: Schema) => part.oneOf!.map(({ $ref }) => $ref!.slice("#/$defs/".length));
  // The fields that `create` and `--list` have in common with `info` are listed once.
  const section = (schema: Schema, name: string, title: string, level = "###"): string[] => {
    const part = schema.$defs![name]!;
    return [
      `${level} ${title}`,
      part.description!,
      table(
        ["field", "type", "meaning"],
        Object.entries(part.properties!).filter(([, { $ref }]) => !$ref?.includes("/torrent/")).map(
          ([field, property]) => {
            const isOptional = !part.required!.includes(field);
            return [
              `\`${field}\``,
              typeOf(property, schema),
              `${meaning(property, schema)}${isOptional ? " Optional." : ""}`,
            ];
          },
        ),
      ),
      "```jsonl",
      ...part.examples!.map((example) => JSON.stringify(example)),
      "```",
    ];
  };
  const isDescribed = (name: string) => name === "checking" || name === "error";
  const verify = lines(events.$defs!["verify_line"]!).filter((name) => !isDescribed(name));
  const tracker = lines(events.$defs!["tracker_line"]!).filter((name) => !isDescribed(name));
  return joined([
    "# JSON",
    NOTE,
    "With `--json`, standard output holds only JSON: one complete object per line. Errors also go to standard error. What " +
    "keeps any command from its work, such as a wrong option or a missing file, is an [`error`](#error) line. The fields " +
    "are stable, but later versions may add events and fields, so a reader should ignore those that it doesn't know. " +
    "Strict JSON Schemas (draft 2020-12): [events.schema.json](events.schema.json), [info.schema.json](info.schema.json).",
    "## download, seed, demo",
    "Every line has `event` and `time`. A field is `null` if its value isn't known or doesn't apply. Sizes are in bytes, rates " +
    "in bytes per second. Names from torrents and peers are made safe to print. `--on-complete` posts the `completed` event " +
    "in the same form.",
    ...lines(events).flatMap((name) => section(events, name, name)),
    "## share",
    "The lines of `seed`, and:",
    ...section(events, "share", "share"),
    "## verify",
    "`checking` lines as above, and then:",
    ...verify.flatMap((name) => section(events, name, name)),
    "## tracker",
    ...tracker.flatMap((name) => section(events, name, String(events.$defs![name]!.properties!["event"]!.const))),
    ...section(info, "torrent", "info", "##"),
    ...section(info, "created", "create", "##"),
    ...section(info, "listed", "download --list", "##"),
  ]);
}

function resolved(schema: Schema, root: Schema): Schema {
  if (schema.$ref === undefined) return schema;
  let found: unknown = root;
  for (const key of schema.$ref.slice("#/".length).split("/")) found = (found as Record<string, unknown>)[key];
  return found as Schema;
}

function meaning(schema: Schema, root: Schema): string {
  return schema.description ?? resolved(schema, root).description ?? "";
}

function typeOf(schema: Schema, root: Schema): string {
  const { const: only, enum: values, oneOf, type, items, properties } = resolved(schema, root);
  if (only !== undefined) return `\`${JSON.stringify(only)}\``;
  if (values !== undefined) return values.map((value) => `\`${JSON.stringify(value)}\``).join(", ");
  if (oneOf !== undefined) return oneOf.map((one) => typeOf(one, root)).join(", ");
  if (items !== undefined) {
    const item = resolved(items, root);
    const fields = item.properties && Object.keys(item.properties).map((field) => `\`${field}\``).join(", ");
    return fields ? `array of objects: ${fields}` : `array of ${typeOf(items, root).replace(/^\w+/, "$&s")}`;
  }
  if (properties !== undefined) return `object: ${Object.keys(properties).map((field) => `\`${field}\``).join(", ")}`;
  return [type].flat().join(", ");
}

/** Makes a Markdown table in the format of `deno fmt`, with cells as wide as the widest of their column. */
function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const cells = [head, ...rows].map((row) => row.map((cell) => cell.replace(/[|*]/g, "\\$&")));
  const widths = head.map((_, column) => Math.max(3, ...cells.map((row) => row[column]!.length)));
  const line = (row: readonly string[], fill = " ") => {
    return `| ${row.map((cell, column) => cell.padEnd(widths[column]!, fill)).join(" | ")} |`;
  };
  const [first, ...rest] = cells;
  return [line(first!), line(head.map(() => ""), "-"), ...rest.map((row) => line(row))].join("\n");
}

/** Returns the link target of a heading. */
function anchor(heading: string): string {
  return heading.toLowerCase().replace(/[^\w\s-]/g, "").replaceAll(" ", "-");
}

/** Joins blocks with an empty line between them, except within a block of code. */
function joined(blocks: readonly string[]): string {
  let text = "";
  let inCode = false;
  for (const block of blocks) {
    text += `${text === "" || inCode ? "" : "\n"}${wrapped(block, inCode)}\n`;
    if (block.startsWith("```")) inCode = !inCode;
  }
  return text;
}

/** Wraps prose at 120 characters, like the formatter. */
function wrapped(block: string, inCode: boolean): string {
  if (inCode || /^(?:\||#|<!--|```)/.test(block)) return block;
  const lines = [""];
  for (const word of block.split(" ")) {
    const last = lines.at(-1)!;
    if (last === "") lines[lines.length - 1] = word;
    else if (last.length + 1 + word.length <= 120) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines.join("\n");
}

async function readSchema(name: string): Promise<Schema> {
  return JSON.parse(await Deno.readTextFile(new URL(name, HERE)));
}

if (import.meta.main) {
  for (const [name, text] of Object.entries(await pages())) await Deno.writeTextFile(new URL(name, HERE), text);
}
