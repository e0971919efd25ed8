/**
 * Makes the picture of the live view from a real run in tmux.
 *
 *     deno task picture                                    shoal demo, half way through
 *     deno task picture --columns 120 --rows 40 --until '7\d\.\d ?%' -- shoal download x.torrent
 *
 * @module
 */

import { drawSvg, readScreen } from "./ansi_svg.ts";

const ROOT = decodeURI(new URL("..", import.meta.url).pathname);
const USAGE =
  "usage: deno task picture [--columns N] [--rows N] [--until REGEXP] [--seconds N] [--output FILE] [-- COMMAND...]";
const LOOK_MS = 50;

/** Options of the command line. */
export interface PictureOptions {
  readonly columns: number;
  readonly rows: number;
  /** The picture is taken as soon as the screen matches. */
  readonly until: RegExp;
  /** Most seconds until the screen matches. */
  readonly seconds: number;
  readonly output: string;
  /** Command line for the shell. */
  readonly command: string;
}

/**
 * Parses the command line.
 *
 * @param args Arguments.
 * @throws {Error} If the arguments are invalid.
 */
export function parseArgs(args: readonly string[]): PictureOptions {
  const end = args.indexOf("--");
  const values = new Map<string, string>();
  const flags = end < 0 ? args : args.slice(0, end);
  for (let i = 0; i < flags.length; i += 2) {
    const [flag, value] = [flags[i]!, flags[i + 1]];
    if (!["--columns", "--rows", "--until", "--seconds", "--output"].includes(flag) || value === undefined) {
      throw new Error(USAGE);
    }
    values.set(flag, value);
  }
  const number = (flag: string, fallback: number): number => {
    const value = Number(values.get(flag) ?? fallback);
    if (!Number.isInteger(value) || value < 1 || value > 500) throw new Error(`${flag} is a number from 1 to 500`);
    return value;
  };
  return {
    columns: number("--columns", 100),
    rows: number("--rows", 30),
    until: new RegExp(values.get("--until") ?? String.raw`\b[5-7]\d(\.\d)? ?%`),
    seconds: number("--seconds", 120),
    output: values.get("--output") ?? "docs/live-view.svg",
    command: end < 0 ? "deno task --quiet demo --size 1G" : args.slice(end + 1).join(" "),
  };
}

/** Runs the command in its own tmux server until the screen matches, and returns the screen. */
async function capture({ columns, rows, until, seconds, command }: PictureOptions): Promise<string> {
  const socket = `shoal-picture-${Deno.pid}`;
  const tmux = async (...args: string[]): Promise<string> => {
    const { CI: _ci, NO_COLOR: _noColor, TMUX: _tmux, ...env } = Deno.env.toObject();
    const { success, stdout, stderr } = await new Deno.Command("tmux", {
      args: ["-u", "-L", socket, "-f", "/dev/null", ...args],
      cwd: ROOT,
      env: { ...env, COLORTERM: "truecolor", LANG: "C.UTF-8", LC_ALL: "C.UTF-8" },
      clearEnv: true,
      stdin: "null",
    }).output();
    if (!success) throw new Error(`tmux ${args[0]}: ${new TextDecoder().decode(stderr).trim() || "it failed"}`);
    return new TextDecoder().decode(stdout);
  };
  // The screen stays when the command ends, as its last output may be what is wanted.
  const options = ["set", "-g", "default-terminal", "tmux-256color", ";", "set", "-g", "remain-on-exit", "on", ";"];
  await tmux(...options, "new-session", "-d", "-x", `${columns}`, "-y", `${rows}`, `TERM=tmux-256color ${command}`);
  try {
    for (let tries = seconds * 1000 / LOOK_MS; tries > 0; tries--) {
      if (until.test(await tmux("capture-pane", "-p"))) {
        const screen = await tmux("capture-pane", "-e", "-p");
        // deno-lint-ignore no-control-regex
        if (until.test(screen.replace(/\x1b\[[\d;:]*m/g, ""))) return screen;
      }
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
    throw new Error(`the screen did not match ${until} within ${seconds} s:\n${await tmux("capture-pane", "-p")}`);
  } finally {
    await tmux("kill-server");
  }
}

if (import.meta.main) {
  try {
    const options = parseArgs(Deno.args);
    const screen = await capture(options);
    const { columns, output } = options;
    const svg = drawSvg(readScreen(screen), { columns, title: "Shoal's live view of a download" });
    await Deno.mkdir(new URL("../docs/", import.meta.url), { recursive: true });
    await Deno.writeTextFile(output.startsWith("/") ? output : `${ROOT}${output}`, svg);
    Deno.stdout.writeSync(new TextEncoder().encode(`${output}: ${(svg.length / 1000).toFixed(0)} kB\n`));
  } catch (error) {
    Deno.stderr.writeSync(new TextEncoder().encode(`picture: ${error instanceof Error ? error.message : error}\n`));
    Deno.exit(1);
  }
}
