/**
 * What the command-line contract has and this version has not: refused by name, never ignored.
 *
 * @module
 */

import { type Command, Option } from "commander";
import { ShoalError } from "../base/errors.ts";

/** An option that is to come. */
export interface Unavailable {
  /** As in the contract: `--max-down <rate>`. */
  readonly flags: string;
  /** What this version does instead. */
  readonly why: string;
}

/** Options of `create`: torrents of BEP 52. */
export const UNAVAILABLE_CREATE_OPTIONS: readonly Unavailable[] = [
  { flags: "--v2", why: "this version makes v1 torrents" },
  { flags: "--hybrid", why: "this version makes v1 torrents" },
];

/**
 * The error for something that is to come.
 *
 * @param name What the user wrote: an option, a command, a kind of source.
 * @param why What this version does instead.
 * @returns The error, of kind `usage`.
 */
export function notAvailable(name: string, why: string): ShoalError {
  return new ShoalError("usage", { what: "not available yet", where: name, why });
}

/**
 * Makes a command refuse options by name.
 *
 * @param command The command.
 * @param options What to refuse.
 */
export function refuseOptions(command: Command, options: readonly Unavailable[]): void {
  for (const { flags, why } of options) {
    // with the value optional, the name is what the error is about, whatever follows it
    const option = new Option(flags.replace(/<(.*)>/, "[$1]")).hideHelp();
    command.addOption(option);
    command.on(`option:${option.name()}`, () => {
      throw notAvailable(option.long ?? flags, why);
    });
  }
}
