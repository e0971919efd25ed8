/**
 * Runs the program, from arguments to exit code.
 *
 * @module
 */

import { VERSION_LINE } from "../base/version.ts";
import type { Platform, Timer } from "../platform/platform.ts";
import type { Terminal } from "../platform/terminal.ts";
import type { Context } from "./context.ts";
import { Shutdown } from "./shutdown.ts";
import { type Engine, engine } from "./engine.ts";
import { printError } from "./error_event.ts";
import { errorLine } from "./error_line.ts";
import { EXIT_DONE, EXIT_UNEXPECTED, exitCodeOf } from "./exit_codes.ts";

/** Options that print the version when they are the only argument. */
const VERSION_FLAGS = ["-V", "--version"];

/** Milliseconds that an uncaught error may take to be printed as an event before the program exits. */
const CRASH_MS = 500;

/** The environment that the program runs in. */
export interface CliEnvironment {
  /** Clocks, network, files. */
  readonly platform: Platform;
  /** Standard input and output, environment variables, signals. */
  readonly terminal: Terminal;
  /** Torrents and sessions (default: the real engine). */
  readonly engine?: Engine;
}

/**
 * Runs the program. Every failure is reported here, as one line on standard error.
 *
 * @param args Command-line arguments after the program's name.
 * @param surroundings The environment.
 * @returns The exit code. All output has been written by then.
 */
export async function run(args: readonly string[], surroundings: CliEnvironment): Promise<number> {
  const { terminal } = surroundings;
  const shutdown = new Shutdown(surroundings);
  const context: Context = {
    engine,
    ...surroundings,
    shutdown,
    config: null,
    // Until the command line is parsed, which may be what fails, the arguments tell.
    printsErrors: wantsJson(args),
    verbosity: 0,
    exitCode: EXIT_DONE,
  };
  const forget = terminal.onCrash((thrown) => {
    void reportCrash(thrown, context).finally(() => terminal.exit(EXIT_UNEXPECTED));
  });
  try {
    const code = await parse(args, context);
    shutdown.nothingLeft();
    await Promise.all([terminal.stdout.flush(), terminal.stderr.flush()]);
    return code;
  } catch (error) {
    if (context.printsErrors) await printError(error, context);
    await terminal.stderr.write(errorLine(error, { verbose: context.verbosity > 0 }));
    // A failure to write output doesn't hide that the program was interrupted.
    return shutdown.code || exitCodeOf(error);
  } finally {
    shutdown.close();
    forget();
  }
}

/** Returns `true` if `--json` is among the options. */
function wantsJson(args: readonly string[]): boolean {
  const end = args.indexOf("--");
  return (end < 0 ? args : args.slice(0, end)).includes("--json");
}

/** Reports an uncaught error, after which the state is unknown. A reader who takes nothing doesn't keep it from the end. */
async function reportCrash(thrown: unknown, context: Context): Promise<void> {
  const { platform, terminal } = context;
  const line = errorLine(thrown, { verbose: context.verbosity > 0 });
  if (!context.printsErrors) return await terminal.stderr.write(line);
  let timer: Timer | undefined;
  const late = new Promise<void>((resolve) => timer = platform.after(CRASH_MS, resolve));
  try {
    await Promise.race([printError(thrown, context), late]);
  } finally {
    timer?.cancel();
    await terminal.stderr.write(line);
  }
}

/** Parses the command line. Printing the version is kept fast: it loads nothing else. */
async function parse(args: readonly string[], context: Context): Promise<number> {
  if (args.length === 1 && VERSION_FLAGS.includes(args[0]!)) {
    await context.terminal.stdout.write(`${VERSION_LINE}\n`);
    return EXIT_DONE;
  }
  const { runProgram } = await import("./program.ts");
  return await runProgram(args, context);
}
