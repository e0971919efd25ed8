/**
 * The terminal's side of the door: standard input and output, the size of the window, the environment, signals.
 * The real one is `deno_terminal.ts`; tests bring their own.
 *
 * @module
 */

import type { Bytes } from "../base/bytes.ts";

/**
 * How somebody asks the program to leave: by Ctrl-C (`key`), by what other programs and the system send (`terminate`),
 * or by closing the window (`hangup`).
 */
export type LeaveRequest = "key" | "terminate" | "hangup";

/** What has become of what was drawn: the window has another size, or others wrote below it. */
export type Disturbance = "resized" | "continued";

/** Where the user is. */
export interface Terminal {
  /** Standard output. */
  readonly stdout: Output;
  /** Standard error. */
  readonly stderr: Output;
  /** Whether standard input is a terminal, so that reading it would wait for typing. */
  readonly stdinIsTerminal: boolean;
  /** Whether this is Windows, which has other folders and signals. */
  readonly isWindows: boolean;
  /** The window as it is now; `COLUMNS` and `LINES`, then 80 by 24, where that is not known. */
  size(): TerminalSize;
  /** A variable of the environment, or `undefined` when it is not set. */
  env(name: string): string | undefined;
  /**
   * Calls `listener` whenever somebody asks the program to leave. Without a listener, the program ends at once, as the
   * system does it. A closed window doesn't count for a program that `nohup` started, which is to outlive the window.
   *
   * @returns Takes the listener away again.
   */
  onLeaveRequest(listener: (request: LeaveRequest) => void): () => void;
  /**
   * Calls `listener` when the window has another size, or when the program goes on after it was suspended: what was drawn
   * may not be where it was. Never on Windows.
   *
   * @returns Takes the listener away again.
   */
  onDisturbance(listener: (disturbance: Disturbance) => void): () => void;
  /**
   * Calls `listener` with an error that nobody caught, in place of the runtime's own report.
   *
   * @returns Takes the listener away again.
   */
  onCrash(listener: (thrown: unknown) => void): () => void;
  /**
   * Removes a folder with all it holds when the program ends by any way that still runs code, {@linkcode Terminal.exit}
   * included.
   *
   * @returns Takes that back.
   */
  removeAtExit(folder: string): () => void;
  /**
   * Hands over what is typed, byte by byte and unseen; Ctrl-C stays what it is. Until it is taken back, and however the program
   * ends, the terminal is as it was afterwards, but for a program that is killed.
   *
   * @param listener Takes the bytes, as they are read.
   * @returns Takes that back; `null` when standard input is no terminal.
   */
  readKeys(listener: (bytes: Bytes) => void): (() => void) | null;
  /**
   * Standard input, whole.
   *
   * @throws {ShoalError} Of kind `usage` if it is longer than `maxBytes` or cannot be read.
   */
  readStdin(maxBytes: number): Promise<Bytes>;
  /** Ends the program now. */
  exit(code: number): never;
}

/** The size of a window in character cells. */
export interface TerminalSize {
  /** Cells in a line. */
  readonly columns: number;
  /** Lines. */
  readonly rows: number;
}

/** How an output was lost: its reader or its terminal is gone, or it failed, as a full disk does. */
export type Loss = "unread" | "failed";

/** One way out, for text most of the time. What is written after its loss goes nowhere. */
export interface Output {
  /** Whether it is a terminal, not a file or a pipe. */
  readonly isTerminal: boolean;
  /** Whether earlier text still waits for a slow reader. */
  readonly busy: boolean;
  /** Writes all of some text or bytes, after what was written before. Settles when it is gone; never fails. */
  write(data: string | Bytes): Promise<void>;
  /**
   * Waits until everything is gone.
   *
   * @throws {ShoalError} Of kind `storage` if something could not be written, such as to a full disk. A reader that has
   * gone away is no failure.
   */
  flush(): Promise<void>;
  /**
   * Calls `listener`, once, when nothing more can be written.
   *
   * @returns Takes the listener away again.
   */
  onLoss(listener: (loss: Loss) => void): () => void;
}
