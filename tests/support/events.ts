/**
 * Reads what `--json` prints.
 *
 * @module
 */

/** One line of `--json`. */
export type Event = { readonly event: string } & { readonly [field: string]: unknown };

/**
 * Events of one kind.
 *
 * @param lines Standard output.
 * @param kind Such as `progress`; all when absent.
 * @returns The events in order.
 * @throws {SyntaxError} If a line is not JSON: with `--json` there is nothing else on standard output.
 */
export function eventsOf(lines: readonly string[], kind?: string): Event[] {
  const events = lines.map((line) => JSON.parse(line) as Event);
  return kind === undefined ? events : events.filter(({ event }) => event === kind);
}

/**
 * Payload bytes that Shoal sent.
 *
 * @param lines Standard output.
 * @returns The last count.
 */
export function uploadedBy(lines: readonly string[]): number {
  return Math.max(0, ...eventsOf(lines).map(({ uploaded }) => typeof uploaded === "number" ? uploaded : 0));
}
