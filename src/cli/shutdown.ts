/**
 * Leaving before the work is done: who may ask for it, in what order, and by when the program is gone.
 *
 * @module
 */

import type { Platform, Timer } from "../platform/platform.ts";
import type { LeaveRequest, Loss, Terminal } from "../platform/terminal.ts";
import { EXIT_DONE, EXIT_INTERRUPTED, EXIT_STORAGE } from "./exit_codes.ts";

/** Milliseconds after the first request at which the program leaves, come what may; three seconds less the last words. */
const GONE_MS = 2850;
/** Milliseconds that the last words may take when the program leaves before its work has been brought in order. */
const LAST_WORDS_MS = 100;
/** Milliseconds within which Ctrl-C counts once: `timeout -s INT` sends it to the program and to its process group. */
const SAME_MS = 250;

/** Why the program is to leave. */
export type ShutdownReason = LeaveRequest | Loss;

/**
 * One shutdown from one run of the program. Nothing is listened to before {@linkcode Shutdown.listen}: until then,
 * Ctrl-C ends the program as it ends every other.
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

  /** Is told once, as soon as the program is to leave. */
  tell: (reason: ShutdownReason) => void = () => {};
  /** Leaves the terminal as it should be. Called when the program leaves before its work has been brought in order. */
  lastWords: () => Promise<void> = () => Promise.resolve();

  /** @param surroundings `platform`: clock and timers. `terminal`: where requests come from. */
  constructor(surroundings: {
    readonly platform: Pick<Platform, "now" | "after">;
    readonly terminal: Pick<Terminal, "exit" | "onLeaveRequest" | "stdout">;
  }) {
    this.#platform = surroundings.platform;
    this.#terminal = surroundings.terminal;
  }

  /** Aborted as soon as the program is to leave. */
  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** The exit code of work that was cut short by the shutdown; 0 when there is none. */
  get code(): number {
    return this.#code;
  }

  /** Whether an error is only what work threw that gave up because of the shutdown. */
  explains(error: unknown): boolean {
    return this.signal.aborted && error === this.signal.reason;
  }

  /** From now on, the program leaves when it is asked to, in good order. Harmless when called again. */
  listen(): void {
    if (this.#undo.length > 0) return;
    this.#undo.push(
      this.#terminal.onLeaveRequest((request) => this.#asked(request)),
      this.#terminal.stdout.onLoss((loss) => this.#begin(loss)),
    );
  }

  /**
   * Waits for work, but no longer than until the program is to leave.
   *
   * @param work What to wait for; it isn't ended.
   * @returns What it resolves to.
   * @throws What {@linkcode Shutdown.explains} explains, once the program is to leave.
   */
  async unlessLeaving<T>(work: Promise<T>): Promise<T> {
    const { signal } = this;
    let leave = () => {};
    const leaving = new Promise<never>((_, reject) => leave = () => reject(signal.reason));
    signal.addEventListener("abort", leave, { once: true });
    if (signal.aborted) leave();
    try {
      return await Promise.race([leaving, work]);
    } finally {
      signal.removeEventListener("abort", leave);
    }
  }

  /** Somebody asks for it by other means than the terminal tells of. */
  ask(request: LeaveRequest): void {
    this.#asked(request);
  }

  /** Everything is in good order but for output that waits for its reader: the next request ends the program at once. */
  nothingLeft(): void {
    this.#nothingLeft = true;
  }

  /** Listens no more. */
  close(): void {
    for (const undo of this.#undo.splice(0)) undo();
    this.#timer?.cancel();
  }

  #asked(request: LeaveRequest): void {
    const now = this.#platform.now();
    // Whoever presses Ctrl-C again has waited long enough. The other requests come twice by themselves: `timeout` sends
    // SIGTERM twice, and of a window that closes the program is told by the system and by the shell.
    const again = this.#askedAt !== null && now - this.#askedAt >= SAME_MS && request === "key";
    this.#askedAt ??= now;
    if (again || this.#nothingLeft) this.#leaveNow(EXIT_INTERRUPTED);
    else this.#begin(request);
  }

  #begin(reason: ShutdownReason): void {
    if (this.signal.aborted) return;
    this.#code = reason === "failed" ? EXIT_STORAGE : EXIT_INTERRUPTED;
    // Whatever hangs, be it only a reader of our output that has stopped reading.
    this.#timer = this.#platform.after(GONE_MS, () => this.#leaveNow(this.#code));
    this.tell(reason);
    this.#abort.abort();
  }

  #leaveNow(code: number): void {
    if (this.#hasty || this.#nothingLeft) this.#terminal.exit(code);
    this.#hasty = true;
    this.#timer?.cancel();
    this.#timer = this.#platform.after(LAST_WORDS_MS, () => this.#terminal.exit(code));
    void this.lastWords().then(() => this.#terminal.exit(code));
  }
}
