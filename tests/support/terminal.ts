/**
 * A real terminal of a chosen size, in tmux.
 *
 * @module
 */

import { Guard } from "./guard.ts";
import { must, run, within } from "./job.ts";

/** Contents of a terminal. */
export interface Screen {
  /** Rows, at most as wide as the terminal. */
  readonly rows: readonly string[];
  /** Lines, each of which may have wrapped over several rows. */
  readonly lines: readonly string[];
  /** `true` if the cursor is visible. */
  readonly cursorVisible: boolean;
}

/** Options for {@linkcode Terminal.open}. */
export interface TerminalOptions {
  /** Width of the terminal in cells. */
  readonly columns: number;
  /** Working folder. */
  readonly cwd: string;
  /** Environment variables to set. */
  readonly env: Readonly<Record<string, string>>;
}

/** A terminal in which one command runs. */
export class Terminal implements AsyncDisposable {
  readonly #server: string;
  readonly #guard: Guard;

  private constructor(server: string) {
    this.#server = server;
    this.#guard = new Guard('tmux -L "$1" kill-server 2> /dev/null || :', server);
  }

  /**
   * Opens a terminal and runs a command in it. The terminal stays open when the command has ended.
   *
   * @returns The terminal; dispose of it.
   */
  static async open(command: string, options: TerminalOptions): Promise<Terminal> {
    const terminal = new Terminal(`shoal-test-${crypto.randomUUID()}`);
    const env = Object.entries({ LC_ALL: "C.UTF-8", ...options.env }).flatMap((
      [key, value],
    ) => ["-e", `${key}=${value}`]);
    const size = ["-x", `${options.columns}`, "-y", "24"];
    // The shell has to outlive the keys that interrupt the command.
    const line = `trap : INT; ${command}; echo "ended with $?"; tmux -L ${terminal.#server} wait-for -S ended; cat`;
    const start = ["new-session", "-d", ...size, "-c", options.cwd, ...env, "sh", "-c", line];
    await must("tmux", "-L", terminal.#server, "-u", "-f", "/dev/null", ...start);
    return terminal;
  }

  /**
   * Presses a key.
   *
   * @param keys Name of the key in tmux: `C-c`, `Enter`.
   */
  async press(keys: string): Promise<void> {
    await this.#tmux("send-keys", keys);
  }

  /** Types a line and presses Return. */
  async type(text: string): Promise<void> {
    await this.#tmux("send-keys", "-l", text);
    await this.press("Enter");
  }

  /** Pastes text. */
  async paste(text: string): Promise<void> {
    await this.#tmux("set-buffer", text);
    await this.#tmux("paste-buffer");
  }

  /**
   * Changes the size of the window.
   *
   * @param columns Width in cells.
   * @param rows Height in lines.
   */
  async resize(columns: number, rows: number): Promise<void> {
    await this.#tmux("resize-window", "-x", `${columns}`, "-y", `${rows}`);
  }

  /** Returns the screen with its escape sequences. */
  async painted(): Promise<string> {
    return (await this.#tmux("capture-pane", "-p", "-e")).join("\n");
  }

  /** Returns the contents of the screen. */
  async screen(): Promise<Screen> {
    const rows = await this.#tmux("capture-pane", "-p");
    const lines = await this.#tmux("capture-pane", "-p", "-J");
    const [cursor] = await this.#tmux("display-message", "-p", "#{cursor_flag}");
    return { rows, lines: lines.map((line) => line.trimEnd()), cursorVisible: cursor === "1" };
  }

  /**
   * Polls the screen until it shows something.
   *
   * @param shows Returns `true` for the wanted screen.
   * @param what Name of the wanted contents in the message of a failure.
   */
  async until(shows: (screen: Screen) => boolean, what: string): Promise<Screen> {
    const end = performance.now() + 20_000;
    for (;;) {
      const screen = await this.screen();
      if (shows(screen)) return screen;
      if (performance.now() > end) throw new Error(`the terminal never showed ${what}:\n${screen.rows.join("\n")}`);
    }
  }

  /**
   * Waits for the command to end.
   *
   * @param seconds Time limit.
   * @returns The last screen, with a line `ended with CODE`.
   */
  async ended(seconds: number): Promise<Screen> {
    await within(this.#tmux("wait-for", "ended"), { seconds, what: "the command in the terminal to end" });
    return await this.screen();
  }

  /** Closes the terminal. Programs in the terminal get SIGHUP. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#guard[Symbol.asyncDispose]();
  }

  async #tmux(...args: string[]): Promise<string[]> {
    const { code, stdout, stderr } = await run(["tmux", "-L", this.#server, "-u", ...args], { seconds: 120 });
    if (code !== 0) throw new Error(`tmux ${args.join(" ")}: ${stderr.join(" ")}`);
    return [...stdout];
  }
}
