/**
 * How much is told when the command line doesn't say.
 *
 * @module
 */

import type { Command } from "commander";
import { ShoalError } from "../base/errors.ts";
import type { Terminal } from "../platform/terminal.ts";

/** What the variable may say, and how many `-v` it stands for. */
const LEVELS: ReadonlyMap<string, number> = new Map([
  ["", 0],
  ["0", 0],
  ["1", 1],
  ["2", 2],
  ["warn", 0],
  ["info", 1],
  ["debug", 2],
]);

/**
 * Takes `SHOAL_LOG` for the `-v` that the command line doesn't have; it comes before the config file.
 *
 * @param command The command, its command line parsed.
 * @param terminal Knows the environment.
 * @throws {ShoalError} Of kind `usage` if it says nothing that makes sense.
 */
export function applyLogLevel(command: Command, terminal: Pick<Terminal, "env">): void {
  if (!command.options.some(({ long }) => long === "--verbose")) return;
  const said = terminal.env("SHOAL_LOG");
  if (said === undefined) return;
  const level = LEVELS.get(said.toLowerCase());
  if (level === undefined) {
    const why = "expected warn, info, debug, or how many -v it stands for: 0, 1, 2";
    throw new ShoalError("usage", { what: "bad value", where: `SHOAL_LOG=${said}`, why });
  }
  if (command.getOptionValueSource("verbose") !== "cli") command.setOptionValueWithSource("verbose", level, "env");
}
