/**
 * What every command gets.
 *
 * @module
 */

import type { Platform } from "../platform/platform.ts";
import type { Terminal } from "../platform/terminal.ts";
import type { AppliedConfig } from "./config.ts";
import type { Shutdown } from "./shutdown.ts";
import type { Engine } from "./engine.ts";

/** The surroundings of one run of the program. */
export interface Context {
  /** Clocks, network, files. */
  readonly platform: Platform;
  /** Where the user is. */
  readonly terminal: Terminal;
  /** Torrents and sessions. */
  readonly engine: Engine;
  /** Who wants the program to leave; a command that has something to bring in order listens to it. */
  readonly shutdown: Shutdown;
  /** What came from the config file; `null` when nothing did, or when nobody knows yet. */
  config: AppliedConfig | null;
  /** How often `-v` was given; a command sets it as soon as it knows. */
  verbosity: number;
  /** The code that the program will exit with; a command sets it. */
  exitCode: number;
}
