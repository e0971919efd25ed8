/**
 * The {@linkcode Terminal} of the running program.
 *
 * @module
 */

import { type Bytes, utf8 } from "../base/bytes.ts";
import { ShoalError } from "../base/errors.ts";
import { readKeys } from "./deno_keys.ts";
import { toFileError } from "./file_errors.ts";
import { nodeFs } from "./node_modules.ts";
import { readLimited } from "./read_limited.ts";
import type { Disturbance, LeaveRequest, Loss, Output, Terminal, TerminalSize } from "./terminal.ts";

/** Milliseconds until a write is tried again on a terminal that another program made non-blocking. */
const RETRY_MS = 10;

/** Destination of a {@linkcode TextOutput}, such as `Deno.stdout`. */
export interface ByteSink {
  /** Writes some bytes and returns how many. */
  write(bytes: Uint8Array): Promise<number>;
  /** Returns `true` if the destination is a terminal. */
  isTerminal(): boolean;
}

/** {@linkcode Output} to a byte sink. Writes are ordered and complete, and don't fail when the reader has gone. */
export class TextOutput implements Output {
  readonly isTerminal: boolean;
  readonly #sink: ByteSink;
  readonly #name: string;
  #waiting = 0;
  #tail: Promise<void> = Promise.resolve();
  /** Set for good once nothing more can be written. */
  #closed = false;
  #failure: unknown = null;
  readonly #listeners = new Set<(loss: Loss) => void>();

  /**
   * @param sink Destination of the bytes.
   * @param name Name in error messages, such as `standard output`.
   */
  constructor(sink: ByteSink, name: string) {
    this.#sink = sink;
    this.#name = name;
    this.isTerminal = sink.isTerminal();
  }

  /** `true` while earlier text waits for a slow reader. */
  get busy(): boolean {
    return this.#waiting > 0;
  }

  /** Writes data after all earlier writes. Settles when the data is written. */
  write(data: string | Bytes): Promise<void> {
    if (this.#closed) return Promise.resolve();
    this.#waiting++;
    this.#tail = this.#tail.then(() => this.#writeAll(typeof data === "string" ? utf8(data) : data)).finally(() =>
      this.#waiting--
    );
    return this.#tail;
  }

  /** Waits until everything is written. */
  async flush(): Promise<void> {
    await this.#tail;
    if (this.#failure === null) return;
    const cause = this.#failure;
    throw new ShoalError("storage", {
      what: "cannot write",
      where: this.#name,
      why: toFileError(cause, { what: "cannot write", path: this.#name }).why,
      cause,
    });
  }

  onLoss(listener: (loss: Loss) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  async #writeAll(bytes: Bytes): Promise<void> {
    for (let at = 0; at < bytes.length && !this.#closed;) {
      try {
        at += await this.#sink.write(bytes.subarray(at));
      } catch (error) {
        if (error instanceof Deno.errors.WouldBlock) {
          await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
          continue;
        }
        this.#lose(error);
      }
    }
  }

  #lose(error: unknown): void {
    this.#closed = true;
    const closedTerminal = this.isTerminal && error instanceof Error && "code" in error && error.code === "EIO";
    // A reader that closes the pipe, as `head` does, has read enough. Any other failure is thrown by flush().
    const unread = closedTerminal || error instanceof Deno.errors.BrokenPipe;
    if (!unread) this.#failure = error;
    for (const listener of this.#listeners) listener(unread ? "unread" : "failed");
  }
}

const isWindows = Deno.build.os === "windows";

/** Signals that ask the program to leave, with their meaning. {@linkcode outlivesWindow} decides about SIGHUP. */
const LEAVE_SIGNALS: readonly (readonly [Deno.Signal, LeaveRequest])[] = isWindows
  ? [["SIGINT", "key"], ["SIGBREAK", "terminate"]]
  : [["SIGINT", "key"], ["SIGTERM", "terminate"], ["SIGHUP", "hangup"]];
const DISTURBING_SIGNALS: readonly (readonly [Deno.Signal, Disturbance])[] = isWindows
  ? []
  : [["SIGWINCH", "resized"], ["SIGCONT", "continued"]];

/** `true` while standard input is read as a torrent, so that it brings no keys. */
let stdinIsTaken = false;

/** {@linkcode Terminal} on Deno. */
export const denoTerminal: Terminal = {
  stdout: new TextOutput(Deno.stdout, "standard output"),
  stderr: new TextOutput(Deno.stderr, "standard error"),
  get stdinIsTerminal() {
    return Deno.stdin.isTerminal();
  },
  isWindows,
  size: () => windowSize(() => Deno.consoleSize(), readEnv),
  env: readEnv,
  onLeaveRequest(listener) {
    const outlives = outlivesWindow();
    return onSignals(LEAVE_SIGNALS, (request) => {
      if (request !== "hangup" || !outlives) listener(request);
    });
  },
  onDisturbance: (listener) => onSignals(DISTURBING_SIGNALS, listener),
  onCrash(listener) {
    const failed = (event: ErrorEvent | PromiseRejectionEvent): void => {
      event.preventDefault();
      listener(event instanceof ErrorEvent ? event.error : event.reason);
    };
    addEventListener("error", failed);
    addEventListener("unhandledrejection", failed);
    return () => {
      removeEventListener("error", failed);
      removeEventListener("unhandledrejection", failed);
    };
  },
  removeAtExit(folder) {
    const remove = (): void => removeNow(folder);
    addEventListener("unload", remove);
    return () => removeEventListener("unload", remove);
  },
  readKeys: (listener) => stdinIsTaken ? null : readKeys(listener, { isWindows }),
  readStdin(maxBytes) {
    stdinIsTaken = true;
    return readWhole(Deno.stdin.readable, maxBytes);
  },
  exit: (code) => Deno.exit(code),
};

/**
 * Returns the size of the window from the first of three sources that knows it: the system, the environment, and the
 * default of 80 by 24.
 *
 * @param ask Asks the system. Throws if no stream is a terminal.
 * @param env Reads the environment.
 * @returns The size. Each number is at least 1.
 */
export function windowSize(ask: () => TerminalSize, env: (name: string) => string | undefined): TerminalSize {
  let known: TerminalSize = { columns: 0, rows: 0 };
  try {
    known = ask();
  } catch {
    // No stream is a terminal.
  }
  return {
    columns: known.columns || positive(env("COLUMNS")) || 80,
    rows: known.rows || positive(env("LINES")) || 24,
  };
}

function positive(text: string | undefined): number {
  return text !== undefined && /^\d{1,4}$/.test(text) ? Number(text) : 0;
}

function readEnv(name: string): string | undefined {
  return Deno.env.get(name);
}

function onSignals<Meaning>(
  signals: readonly (readonly [Deno.Signal, Meaning])[],
  listener: (meaning: Meaning) => void,
): () => void {
  const added = signals.map(([signal, meaning]) => [signal, () => listener(meaning)] as const);
  for (const [signal, heard] of added) Deno.addSignalListener(signal, heard);
  return () => {
    for (const [signal, heard] of added) Deno.removeSignalListener(signal, heard);
  };
}

/** Device number of `/dev/null` on Linux: major 1, minor 3. */
const LINUX_NULL = 0x103;

/**
 * Returns `true` if the program was started by `nohup`, which has the system ignore SIGHUP. The runtime doesn't report
 * which signals are ignored, but `nohup` leaves other marks. It never leaves an output on a terminal. Standard input
 * that was a terminal becomes a `/dev/null` that can't be read. And bash, zsh and ksh put the path of the program that
 * they start, which is `nohup`, into the variable `_`.
 */
function outlivesWindow(): boolean {
  if (isWindows || [Deno.stdout, Deno.stderr].some((stream) => stream.isTerminal())) return false;
  // Standard input that was read is no such device. Its descriptor may be closed by now.
  return (!stdinIsTaken && isUnreadableNull(0)) || /(?:^|\/)g?nohup$/.test(readEnv("_") ?? "");
}

/** Returns `true` if a descriptor is Linux's null device, opened for writing only. */
function isUnreadableNull(descriptor: number): boolean {
  if (Deno.build.os !== "linux" || nodeFs().fstatSync(descriptor).rdev !== LINUX_NULL) return false;
  try {
    nodeFs().readSync(descriptor, new Uint8Array(1));
    return false;
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "EBADF") return true;
    throw error;
  }
}

function removeNow(folder: string): void {
  try {
    Deno.removeSync(folder, { recursive: true });
  } catch {
    // The folder may be gone, or work under way may have added a file. The program is ending, so the error is dropped.
  }
}

/**
 * Reads a stream to its end.
 *
 * @param stream Stream to read.
 * @param maxBytes Most bytes to accept.
 * @throws {ShoalError} Of kind `usage` if the stream is longer.
 */
export async function readWhole(stream: ReadableStream<Uint8Array>, maxBytes: number): Promise<Bytes> {
  const bytes = await readLimited(stream, maxBytes);
  if (bytes) return bytes;
  const why = `it is longer than ${maxBytes} bytes`;
  throw new ShoalError("usage", { what: "too much data", where: "standard input", why });
}
