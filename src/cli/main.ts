/**
 * Runs the program, from arguments to exit code.
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

/** Options that print the version when they are the only argument. */
const VERSION_FLAGS = ["-V", "--version"];

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
    // The state is unknown after an uncaught error: report it and exit.
    void terminal.stderr.write(errorLine(thrown, { verbose: context.verbosity > 0 }))
      .then(() => terminal.exit(EXIT_UNEXPECTED));
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

/** Prints an error as an event on standard output. */
async function printError(thrown: unknown, { platform, terminal }: Context): Promise<void> {
  const [{ failureLine }, { jsonText }] = await Promise.all([
    import("../ui/json_lines.ts"),
    import("../ui/json_text.ts"),
  ]);
  await terminal.stdout.write(`${jsonText(failureLine(thrown, platform.wallClock()))}\n`);
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
