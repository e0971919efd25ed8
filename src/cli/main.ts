/**
 * The program from arguments to exit code.
 *
 * @module
 */

import { CommanderError } from "commander";
import { ShoalError } from "../base/errors.ts";
import type { Platform } from "../platform/platform.ts";
import type { Terminal } from "../platform/terminal.ts";
import type { Context } from "./context.ts";
import { type Engine, engine } from "./engine.ts";
import { errorLine } from "./error_line.ts";
import { EXIT_DONE, EXIT_INTERRUPTED, EXIT_UNEXPECTED, EXIT_USAGE, exitCodeOf } from "./exit_codes.ts";
import { createProgram, usageError } from "./program.ts";

/** Milliseconds for the last of our output after Ctrl-C. */
const LAST_FLUSH_MS = 200;

/** What the program runs in. */
export interface Surroundings {
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
export async function run(args: readonly string[], surroundings: Surroundings): Promise<number> {
  const { terminal } = surroundings;
  const context: Context = { engine, ...surroundings, verbosity: 0, exitCode: EXIT_DONE };
  const forget = terminal.onCrash((thrown) => {
    // The state of things is unknown: say what happened and leave.
    void terminal.stderr.write(errorLine(thrown, { verbose: context.verbosity > 0 }))
      .then(() => terminal.exit(EXIT_UNEXPECTED));
  });
  try {
    const code = await parse(args, context);
    await flush(surroundings, { patient: code !== EXIT_INTERRUPTED });
    return code;
  } catch (error) {
    await terminal.stderr.write(errorLine(error, { verbose: context.verbosity > 0 }));
    return exitCodeOf(error);
  } finally {
    forget();
  }
}

/** Whoever has interrupted us doesn't wait for a reader of our output that has stopped reading. */
async function flush({ terminal, platform }: Surroundings, options: { readonly patient: boolean }): Promise<void> {
  const flushed = Promise.all([terminal.stdout.flush(), terminal.stderr.flush()]);
  if (options.patient) return void await flushed;
  let giveUp = () => {};
  const late = new Promise<void>((resolve) => giveUp = resolve);
  const timer = platform.after(LAST_FLUSH_MS, giveUp);
  await Promise.race([flushed, late]);
  timer.cancel();
}

async function parse(args: readonly string[], context: Context): Promise<number> {
  const program = createProgram(context);
  if (args.length === 0) {
    program.outputHelp({ error: true });
    return EXIT_USAGE;
  }
  try {
    await program.parseAsync(args, { from: "user" });
    return context.exitCode;
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    const usage: ShoalError | null = usageError(error);
    if (usage !== null) throw usage;
    return EXIT_DONE;
  }
}
