/**
 * Checks the output of `--json` against the JSON Schemas in `docs/`.
 *
 * @module
 */

import { Ajv2020 } from "ajv";

/** The parts of a JSON Schema that tests read. */
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

/** Name of a schema's file. */
export type SchemaName = "events" | "info";

/** The parsed schemas. */
export const SCHEMAS: Readonly<Record<SchemaName, Schema>> = { events: read("events"), info: read("info") };

// Strict: a keyword or a format that is unknown to the validator is a mistake in the schema.
const ajv = new Ajv2020({ strict: true, allowUnionTypes: true, allErrors: true });
for (const [name, schema] of Object.entries(SCHEMAS)) ajv.addSchema(schema, name);

function read(name: SchemaName): Schema {
  return JSON.parse(Deno.readTextFileSync(new URL(`../../docs/${name}.schema.json`, import.meta.url)));
}

/**
 * Checks a value against a schema.
 *
 * @param name Name of a schema, such as `events`, or of a part: `events#/$defs/added`.
 * @returns Violations as text; empty if there are none.
 */
export function violations(name: string, value: unknown): string {
  const validate = ajv.getSchema(name);
  if (validate === undefined) throw new Error(`there is no schema ${name}`);
  return validate(value) ? "" : ajv.errorsText(validate.errors);
}

/**
 * Checks lines of the output of `--json`.
 *
 * @param name As in {@linkcode violations}.
 * @param lines Lines, each a JSON object.
 * @returns Names of the events in the lines.
 * @throws {Error} If a line violates the schema.
 */
export function checkLines(name: string, lines: readonly string[]): Set<string> {
  const seen = new Set<string>();
  for (const line of lines) {
    const event = JSON.parse(line);
    const wrong = violations(name, event);
    if (wrong !== "") {
      // The schema of the single event gives a clearer message than the schema of all events.
      const own = `events#/$defs/${event.event}`;
      const plain = name === "events" && ajv.getSchema(own) ? violations(own, event) : "";
      throw new Error(`${line}\nis not what the schema says: ${plain || wrong}`);
    }
    seen.add(event.event);
  }
  return seen;
}

/**
 * Returns the names of the events of one kind of output, in the order of the schema.
 *
 * @param part A part of the schema of events with a choice: the whole, `verify_line` or `tracker_line`.
 */
export function eventNames(part: Schema = SCHEMAS.events): string[] {
  return part.oneOf!.map(({ $ref }) => {
    const name = $ref!.replace("#/$defs/", "");
    return String(SCHEMAS.events.$defs![name]!.properties!["event"]!.const);
  });
}
