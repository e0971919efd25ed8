/**
 * Stops the program in good order when the user or the system asks for it, within a time limit.
 *
 * @module
 */

import { raceAbort } from "../base/abort.ts";
import type { Platform, Timer } from "../platform/platform.ts";
import type { LeaveRequest, Loss, Terminal } from "../platform/terminal.ts";
import { EXIT_DONE, EXIT_INTERRUPTED, EXIT_STORAGE } from "./exit_codes.ts";

/**
 * Milliseconds after the first request at which the program exits in any case: three seconds less the time for
 * {@linkcode Shutdown.restoreTerminal}.
 */
const GONE_MS = 2850;
/** Milliseconds that {@linkcode Shutdown.restoreTerminal} may take. */
const LAST_WORDS_MS = 100;
/**
 * Milliseconds within which repeated Ctrl-C counts once, since `timeout -s INT` signals both the program and its
 * process group.
 */
const SAME_MS = 250;

/** Why the program stops. */
export type ShutdownReason = LeaveRequest | Loss;

/** Options for {@linkcode Shutdown}. */
export interface ShutdownOptions {
  /** Clock and timers. */
  readonly platform: Pick<Platform, "now" | "after">;
  /** Source of requests to stop. */
  readonly terminal: Pick<Terminal, "exit" | "onLeaveRequest" | "stdout">;
}

/**
 * The shutdown of one run of the program. Before {@linkcode Shutdown.listen} is called, Ctrl-C ends the program at once
 * as usual.
 */
export class Shutdown {
  readonly #platform: Pick<Platform, "now" | "after">;
  readonly #terminal: Pick<Terminal, "exit" | "onLeaveRequest" | "stdout">;
  readonly #abort = new AbortController();
  readonly #undo: (() => void)[] = [];
  #timer: Timer | null = null;
  #askedAt: number | null = null;
  #code: number = EXIT_DONE;
  #nothingLeft = false;
  #hasty = false;

  /** Called once, when the shutdown begins. */
  onBegin: (reason: ShutdownReason) => void = () => {};
  /** Restores the terminal. Called when the program exits before its work has stopped in good order. */
  restoreTerminal: () => Promise<void> = () => Promise.resolve();

  constructor(surroundings: ShutdownOptions) {
    this.#platform = surroundings.platform;
    this.#terminal = surroundings.terminal;
  }

  /** Aborted when the shutdown begins. */
  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** Exit code of work that the shutdown interrupted; 0 if there is no shutdown. */
  get code(): number {
    return this.#code;
  }

  /** Returns `true` if `error` was thrown only because work was interrupted by the shutdown. */
  isShutdownError(error: unknown): boolean {
    return this.signal.aborted && error === this.signal.reason;
  }

  /** Starts to listen for requests to stop. Does nothing when called again. */
  listen(): void {
    if (this.#undo.length > 0) return;
    this.#undo.push(
      this.#terminal.onLeaveRequest((request) => this.#asked(request)),
      this.#terminal.stdout.onLoss((loss) => this.#begin(loss)),
    );
  }

  /**
   * Waits for a promise until the shutdown begins.
   *
   * @param work The promise. The work itself isn't stopped.
   * @returns The value of the promise.
   * @throws An error for which {@linkcode Shutdown.isShutdownError} returns `true`, once the shutdown begins.
   */
  raceShutdown<T>(work: Promise<T>): Promise<T> {
    return raceAbort(work, this.signal);
  }

  /** Requests a shutdown from within the program. */
  ask(request: LeaveRequest): void {
    this.#asked(request);
  }

  /** Called when all work is done and only output waits for its reader. The next request exits at once. */
  nothingLeft(): void {
    this.#nothingLeft = true;
  }

  /** Stops listening. */
  close(): void {
    for (const undo of this.#undo.splice(0)) undo();
    this.#timer?.cancel();
  }

  #asked(request: LeaveRequest): void {
    const now = this.#platform.now();
    // Only a second Ctrl-C means that the user won't wait any longer. The other requests can come twice without the
    // user: `timeout` sends SIGTERM twice, and a closing window is reported by both the system and the shell.
    const again = this.#askedAt !== null && now - this.#askedAt >= SAME_MS && request === "key";
    this.#askedAt ??= now;
    if (again || this.#nothingLeft) this.#leaveNow(EXIT_INTERRUPTED);
    else this.#begin(request);
  }

  #begin(reason: ShutdownReason): void {
    if (this.signal.aborted) return;
    this.#code = reason === "failed" ? EXIT_STORAGE : EXIT_INTERRUPTED;
    // Exit in time even if something hangs, such as a reader of our output that has stopped reading.
    this.#timer = this.#platform.after(GONE_MS, () => this.#leaveNow(this.#code));
    this.onBegin(reason);
    this.#abort.abort();
  }

  #leaveNow(code: number): void {
    if (this.#hasty || this.#nothingLeft) this.#terminal.exit(code);
    this.#hasty = true;
    this.#timer?.cancel();
    this.#timer = this.#platform.after(LAST_WORDS_MS, () => this.#terminal.exit(code));
    void this.restoreTerminal().then(() => this.#terminal.exit(code));
  }
}
