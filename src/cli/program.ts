/**
 * The commander program with all commands, and our wording of commander's errors.
 *
 * @module
 */

import { Command, CommanderError } from "commander";
import { ShoalError } from "../base/errors.ts";
import { VERSION_LINE } from "../base/version.ts";
import type { Terminal } from "../platform/terminal.ts";
import { printable } from "../ui/printable.ts";
import { register as registerCompletions } from "./completions.ts";
import { addOpposites, applyConfig, clearOpposites } from "./config.ts";
import type { Context } from "./context.ts";
import { register as registerCreate } from "./create.ts";
import { register as registerDemo } from "./demo.ts";
import { register as registerDownload } from "./download.ts";
import { EXIT_DONE, EXIT_USAGE } from "./exit_codes.ts";
import { checkCommand, register as registerHelp } from "./help.ts";
import { register as registerInfo } from "./info.ts";
import { register as registerSeed } from "./seed.ts";
import { register as registerShare } from "./share.ts";
import { register as registerTracker } from "./tracker.ts";
import { register as registerVerify } from "./verify.ts";

/** Largest width of help text, in cells. */
const MAX_HELP_WIDTH = 100;

const EPILOG = `
Examples:
  shoal debian.torrent                download into the current folder
  shoal dl *.torrent -o ~/Downloads   several at once
  shoal seed debian.torrent ~/iso     serve what is there
  shoal create photos -t http://tracker.example/announce
  shoal info debian.torrent           look inside
  shoal verify debian.torrent ~/iso   check what is there
  shoal tracker                       run a tracker
  shoal share photos                  give a folder to others, in one step
  shoal demo                          a whole swarm on this machine

Sizes and rates: K, M, G and T are 1024-based, like KiB; KB, MB, GB and TB are 1000-based.

Exit codes: 0 done, 1 unexpected failure, 2 usage, 3 not a valid torrent or wrong data, 4 storage,
5 gave up waiting, 6 network set-up, 130 interrupted.`;

/**
 * Runs the command that the command line selects.
 *
 * @param args Command-line arguments after the program's name.
 * @param context The environment.
 * @returns The exit code.
 * @throws {ShoalError} Of kind `usage` if the command line is wrong.
 * @throws {unknown} Whatever the command throws.
 */
export async function runProgram(args: readonly string[], context: Context): Promise<number> {
  const program = createProgram(context);
  if (args.length === 0) {
    program.outputHelp({ error: true });
    return EXIT_USAGE;
  }
  program.hook("preAction", async (_, command) => {
    const config = context.config = await applyConfig(command, context);
    clearOpposites(command);
    applyLogLevel(command, context.terminal);
    context.printsErrors = command.opts()["json"] === true;
    if (config !== null && command.opts()["verbose"]) {
      const keys = config.keys.length === 0 ? "no setting" : config.keys.join(", ");
      await context.terminal.stderr.write(`shoal: ${keys} from ${printable(config.path)}\n`);
    }
  });
  try {
    await checkCommand(args, program, context);
    await program.parseAsync(args, { from: "user" });
    return context.exitCode;
  } catch (error) {
    if (context.shutdown.isShutdownError(error)) return context.shutdown.code;
    if (error instanceof ShoalError) throw context.config?.blame(error) ?? error;
    if (!(error instanceof CommanderError)) throw error;
    const usage = usageError(error);
    if (usage !== null) throw usage;
    return EXIT_DONE;
  }
}

/**
 * Creates a commander program that throws {@linkcode CommanderError} and prints to the terminal of the context.
 *
 * @param context The environment.
 * @returns The program with all of its commands.
 */
export function createProgram(context: Context): Command {
  const { stdout, stderr } = context.terminal;
  const width = (isTerminal: boolean): number => {
    return isTerminal ? Math.min(MAX_HELP_WIDTH, context.terminal.size().columns) : MAX_HELP_WIDTH;
  };
  const program = new Command("shoal")
    .description("A BitTorrent client.")
    .version(VERSION_LINE, "-V, --version", "show the version")
    .helpOption("-h, --help", "show help")
    .helpCommand(false)
    .addHelpText("after", EPILOG)
    .exitOverride()
    .configureOutput({
      writeOut: (text) => void stdout.write(text),
      writeErr: (text) => void stderr.write(text),
      outputError: () => {}, // run() writes the error line
      getOutHelpWidth: () => width(stdout.isTerminal),
      getErrHelpWidth: () => width(stderr.isTerminal),
      getOutHasColors: () => false,
      getErrHasColors: () => false,
    });
  // A command module exports `register(program, context)`, and imports what it needs only when the command runs.
  registerDownload(program, context);
  registerSeed(program, context);
  registerCreate(program, context);
  registerInfo(program, context);
  registerVerify(program, context);
  registerTracker(program, context);
  registerShare(program, context);
  registerDemo(program, context);
  registerCompletions(program, context);
  registerHelp(program);
  addOpposites(program);
  return program;
}

/** Converts a commander error to ours; `null` if commander has shown help or the version. */
function usageError(error: CommanderError): ShoalError | null {
  if (error.exitCode === 0) return null;
  const quoted = /'([^']*)'/.exec(error.message)?.[1] ?? "";
  const suggestion = /Did you mean (.*)\?\)/s.exec(error.message)?.[1];
  const hint = suggestion === undefined ? "`shoal --help` shows what there is" : `did you mean ${suggestion}?`;
  const usage = (what: string, why: string): ShoalError => {
    return new ShoalError("usage", { what, where: quoted, why, hint, cause: error });
  };
  switch (error.code) {
    case "commander.unknownOption":
      return usage("unknown option", "there is no such option");
    case "commander.missingArgument":
      return usage("missing argument", `<${quoted}> is needed`);
    case "commander.optionMissingArgument":
      return usage("missing value", "the option needs a value");
    case "commander.excessArguments": {
      const [expected = "", found = ""] = error.message.match(/\d+/g) ?? [];
      return usage("too many arguments", `${expected} expected, ${found} found`);
    }
    default:
      return usage("wrong command line", error.message.replace(/^error: /, ""));
  }
}

/** Values of `SHOAL_LOG`, with the number of `-v` options that each stands for. */
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
 * Applies `SHOAL_LOG` if the command line has no `-v`. `SHOAL_LOG` wins over the config file.
 *
 * @param command The command, with its command line parsed.
 * @param terminal Environment variables.
 * @throws {ShoalError} Of kind `usage` if the variable has an unknown value.
 */
function applyLogLevel(command: Command, terminal: Pick<Terminal, "env">): void {
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
