/**
 * What `--json` prints, held against the JSON Schemas in `docs/`.
 *
 * @module
 */

import { Ajv2020 } from "ajv";

/** A part of a JSON Schema, as far as tests look into it. */
export interface Schema {
  readonly description?: string;
  readonly oneOf?: readonly Schema[];
  readonly $ref?: string;
  readonly const?: unknown;
  readonly required?: readonly string[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly examples?: readonly Readonly<Record<string, unknown>>[];
  readonly $defs?: Readonly<Record<string, Schema>>;
}

/** A schema, by the name of its file. */
export type SchemaName = "events" | "info";

/** The schemas themselves. */
export const SCHEMAS: Readonly<Record<SchemaName, Schema>> = { events: read("events"), info: read("info") };

// Strict: a keyword or a format that the validator doesn't know is a mistake in the schema.
const ajv = new Ajv2020({ strict: true, allowUnionTypes: true, allErrors: true });
for (const [name, schema] of Object.entries(SCHEMAS)) ajv.addSchema(schema, name);

function read(name: SchemaName): Schema {
  return JSON.parse(Deno.readTextFileSync(new URL(`../../docs/${name}.schema.json`, import.meta.url)));
}

/**
 * Holds a value against a schema.
 *
 * @param name Which: `events`, or a part of one: `events#/$defs/added`.
 * @param value What came out of JSON.
 * @returns What is wrong with it; empty when nothing is.
 */
export function violations(name: string, value: unknown): string {
  const validate = ajv.getSchema(name);
  if (validate === undefined) throw new Error(`there is no schema ${name}`);
  return validate(value) ? "" : ajv.errorsText(validate.errors);
}

/**
 * Checks lines of `--json`.
 *
 * @param name As of {@linkcode violations}.
 * @param lines Lines, each an object in JSON.
 * @returns The names of the events that were there, each once.
 * @throws {Error} If a line isn't what the schema says.
 */
export function checkLines(name: string, lines: readonly string[]): Set<string> {
  const seen = new Set<string>();
  for (const line of lines) {
    const event = JSON.parse(line);
    const wrong = violations(name, event);
    if (wrong !== "") {
      // The schema of the one event says more clearly what is wrong than that of all.
      const own = `events#/$defs/${event.event}`;
      const plain = name === "events" && ajv.getSchema(own) ? violations(own, event) : "";
      throw new Error(`${line}\nis not what the schema says: ${plain || wrong}`);
    }
    seen.add(event.event);
  }
  return seen;
}

/**
 * The names of the events of one kind of output.
 *
 * @param part A part of the schema of events with a choice: the whole, or `verify_line`, `tracker_line`.
 * @returns The names, in the order of the schema.
 */
export function eventNames(part: Schema = SCHEMAS.events): string[] {
  return part.oneOf!.map(({ $ref }) => {
    const name = $ref!.replace("#/$defs/", "");
    return String(SCHEMAS.events.$defs![name]!.properties!["event"]!.const);
  });
}
