/**
 * State that is passed to every command.
 *
 * @module
 */

import type { Platform } from "../platform/platform.ts";
import type { Terminal } from "../platform/terminal.ts";
import type { AppliedConfig } from "./config.ts";
import type { Shutdown } from "./shutdown.ts";
import type { Engine } from "./engine.ts";

/** The environment of one run of the program. */
export interface Context {
  /** Clocks, network, files. */
  readonly platform: Platform;
  /** Standard input and output, environment variables, signals. */
  readonly terminal: Terminal;
  /** Torrents and sessions. */
  readonly engine: Engine;
  /** Requests to stop. A command that has to clean up listens to it. */
  readonly shutdown: Shutdown;
  /** Applied settings of the config file; `null` if there is no file or it hasn't been read yet. */
  config: AppliedConfig | null;
  /** Whether the error that ends the program is also printed on standard output, as the `error` event of `--json`. */
  printsErrors: boolean;
  /** Number of `-v` options. Set by each command. */
  verbosity: number;
  /** Exit code of the program. Set by the command. */
  exitCode: number;
}
