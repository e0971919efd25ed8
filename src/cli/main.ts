/**
 * The program from arguments to exit code.
 *
 * @module
 */

import { VERSION_LINE } from "../base/version.ts";
import type { Platform } from "../platform/platform.ts";
import type { Terminal } from "../platform/terminal.ts";
import type { Context } from "./context.ts";
import { Shutdown } from "./shutdown.ts";
import { type Engine, engine } from "./engine.ts";
import { errorLine } from "./error_line.ts";
import { EXIT_DONE, EXIT_UNEXPECTED, exitCodeOf } from "./exit_codes.ts";

/** Options that show the version when they stand alone. */
const VERSION_FLAGS = ["-V", "--version"];

/** What the program runs in. */
export interface CliEnvironment {
  /** Clocks, network, files. */
  readonly platform: Platform;
  /** Where the user is. */
  readonly terminal: Terminal;
  /** Torrents and sessions; the real ones when absent. */
  readonly engine?: Engine;
}

/**
 * Runs the program. Every failure ends here: it is told in one line on standard error.
 *
 * @param args What stands behind the program's name on the command line.
 * @param surroundings The outside.
 * @returns The exit code; everything has been written by then.
 */
export async function run(args: readonly string[], surroundings: CliEnvironment): Promise<number> {
  const { terminal } = surroundings;
  const shutdown = new Shutdown(surroundings);
  const context: Context = { engine, ...surroundings, shutdown, config: null, verbosity: 0, exitCode: EXIT_DONE };
  const forget = terminal.onCrash((thrown) => {
    // The state of things is unknown: say what happened and leave.
    void terminal.stderr.write(errorLine(thrown, { verbose: context.verbosity > 0 }))
      .then(() => terminal.exit(EXIT_UNEXPECTED));
  });
  try {
    const code = await parse(args, context);
    shutdown.nothingLeft();
    await Promise.all([terminal.stdout.flush(), terminal.stderr.flush()]);
    return code;
  } catch (error) {
    await terminal.stderr.write(errorLine(error, { verbose: context.verbosity > 0 }));
    // Whoever was asked to leave and can't say so any more was still asked to leave.
    return shutdown.code || exitCodeOf(error);
  } finally {
    shutdown.close();
    forget();
  }
}

/** Loads what the command line asks for and no more: who only asks for the version waits for nothing. */
async function parse(args: readonly string[], context: Context): Promise<number> {
  if (args.length === 1 && VERSION_FLAGS.includes(args[0]!)) {
    await context.terminal.stdout.write(`${VERSION_LINE}\n`);
    return EXIT_DONE;
  }
  const { runProgram } = await import("./program.ts");
  return await runProgram(args, context);
}
