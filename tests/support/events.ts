/**
 * Reads the output of `--json`.
 *
 * @module
 */

/** One line of the output of `--json`. */
export type Event = { readonly event: string } & { readonly [field: string]: unknown };

/**
 * Parses events of one kind.
 *
 * @param kind Name of the event, such as `progress`; every event when absent.
 * @throws {SyntaxError} If a line is not JSON: with `--json`, standard output holds nothing else.
 */
export function eventsOf(lines: readonly string[], kind?: string): Event[] {
  const events = lines.map((line) => JSON.parse(line) as Event);
  return kind === undefined ? events : events.filter(({ event }) => event === kind);
}

/** Returns the payload bytes that Shoal sent. */
export function uploadedBy(lines: readonly string[]): number {
  return Math.max(0, ...eventsOf(lines).map(({ uploaded }) => typeof uploaded === "number" ? uploaded : 0));
}
