/**
 * Interface to the terminal: standard input and output, window size, environment, signals. The real one is in
 * `deno_terminal.ts`; tests have their own.
 *
 * @module
 */

import type { Bytes } from "../base/bytes.ts";

/**
 * How the program is asked to leave: by Ctrl-C (`key`), by another program or the system (`terminate`), or by closing
 * the window (`hangup`).
 */
export type LeaveRequest = "key" | "terminate" | "hangup";

/**
 * Why the live view on the screen may be damaged: the window was resized, or the program continues after a suspension,
 * during which other programs wrote to it.
 */
export type Disturbance = "resized" | "continued";

/** The user's terminal. */
export interface Terminal {
  /** Standard output. */
  readonly stdout: Output;
  /** Standard error. */
  readonly stderr: Output;
  /** `true` if standard input is a terminal, so that reading it would wait for typing. */
  readonly stdinIsTerminal: boolean;
  /** `true` on Windows, which has other folders and signals. */
  readonly isWindows: boolean;
  /** Current size of the window; `COLUMNS` and `LINES`, or 80 by 24, where it is unknown. */
  size(): TerminalSize;
  /** Returns an environment variable, or `undefined` if it is not set. */
  env(name: string): string | undefined;
  /**
   * Calls `listener` whenever the program is asked to leave. Without a listener, the system ends the program at once.
   * Closing the window is ignored in a program started by `nohup`, which should outlive the window.
   *
   * @returns Removes the listener.
   */
  onLeaveRequest(listener: (request: LeaveRequest) => void): () => void;
  /**
   * Calls `listener` when the window was resized, or when the program continues after a suspension. Never on Windows.
   *
   * @returns Removes the listener.
   */
  onDisturbance(listener: (disturbance: Disturbance) => void): () => void;
  /**
   * Calls `listener` with an uncaught error, instead of the runtime's own report.
   *
   * @returns Removes the listener.
   */
  onCrash(listener: (thrown: unknown) => void): () => void;
  /**
   * Removes a folder with its contents when the program ends in any way that still runs code, such as
   * {@linkcode Terminal.exit}.
   *
   * @returns Cancels the removal.
   */
  removeAtExit(folder: string): () => void;
  /**
   * Reads keys as bytes, without echo. Ctrl-C keeps its meaning. The terminal is restored when reading is stopped and
   * when the program ends, unless it is killed.
   *
   * @param listener Called with the bytes of each read.
   * @returns Stops reading. `null` if standard input is not a terminal.
   */
  readKeys(listener: (bytes: Bytes) => void): (() => void) | null;
  /**
   * Reads standard input to its end.
   *
   * @throws {ShoalError} Of kind `usage` if it is longer than `maxBytes` or cannot be read.
   */
  readStdin(maxBytes: number): Promise<Bytes>;
  /** Ends the program at once. */
  exit(code: number): never;
}

/** The size of a window in character cells. */
export interface TerminalSize {
  /** Cells in a line. */
  readonly columns: number;
  /** Lines. */
  readonly rows: number;
}

/** Why an output was lost: its reader or terminal is gone (`unread`), or a write failed, for example on a full disk. */
export type Loss = "unread" | "failed";

/** An output stream, mostly for text. Writes after its loss are dropped. */
export interface Output {
  /** `true` for a terminal, `false` for a file or a pipe. */
  readonly isTerminal: boolean;
  /** `true` while earlier text waits for a slow reader. */
  readonly busy: boolean;
  /** Writes data after all earlier writes. Settles when the data is written, and never fails. */
  write(data: string | Bytes): Promise<void>;
  /**
   * Waits until everything is written.
   *
   * @throws {ShoalError} Of kind `storage` if a write failed, for example on a full disk. A reader that has gone away
   * is not a failure.
   */
  flush(): Promise<void>;
  /**
   * Calls `listener` once when nothing more can be written.
   *
   * @returns Removes the listener.
   */
  onLoss(listener: (loss: Loss) => void): () => void;
}
