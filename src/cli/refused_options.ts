/**
 * Options that are known from the contract or from other clients, and that Shoal refuses with an explanation.
 *
 * @module
 */

import { type Command, Option } from "commander";
import type { ShoalError } from "../base/errors.ts";

/** An option that is refused. */
export interface RefusedOption {
  /** Flags such as `--exec <command>`. */
  readonly flags: string;
  /** Returns the error. Called with the long flag. */
  error(flag: string): ShoalError;
}

/**
 * Makes a command refuse options. Help doesn't show them.
 *
 * @param command The command.
 * @param options Options to refuse.
 */
export function refuseOptions(command: Command, options: readonly RefusedOption[]): void {
  for (const { flags, error } of options) {
    // The value is optional so that a missing value isn't reported instead of the option.
    const option = new Option(flags.replace(/<(.*)>/, "[$1]")).hideHelp();
    command.addOption(option);
    command.on(`option:${option.name()}`, () => {
      throw error(option.long ?? flags);
    });
  }
}
