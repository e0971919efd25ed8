/**
 * The real terminal.
 *
 * @module
 */

import { type Bytes, utf8 } from "../base/bytes.ts";
import { messageOf, ShoalError } from "../base/errors.ts";
import { readLimited } from "./read_limited.ts";
import type { Output, Terminal, TerminalSize } from "./terminal.ts";

/** Milliseconds until a write is tried again on a terminal that another program made non-blocking. */
const RETRY_MS = 10;

/** What {@linkcode TextOutput} writes to: `Deno.stdout` or the like. */
export interface ByteSink {
  /** Writes some bytes. @returns how many. */
  write(bytes: Uint8Array): Promise<number>;
  /** Whether it is a terminal. */
  isTerminal(): boolean;
}

/** {@linkcode Output} over a byte sink: in order, whole, and never failing for a reader that went away. */
export class TextOutput implements Output {
  readonly isTerminal: boolean;
  readonly #sink: ByteSink;
  readonly #name: string;
  #waiting = 0;
  #tail: Promise<void> = Promise.resolve();
  /** Set for good once the reader is gone or a write failed. */
  #closed = false;
  #failure: unknown = null;

  /**
   * @param sink Where the bytes go.
   * @param name What error lines call it: `standard output`.
   */
  constructor(sink: ByteSink, name: string) {
    this.#sink = sink;
    this.#name = name;
    this.isTerminal = sink.isTerminal();
  }

  /** Whether earlier text still waits for a slow reader. */
  get busy(): boolean {
    return this.#waiting > 0;
  }

  /**
   * @param text What to write.
   * @returns Settles when it is gone.
   */
  write(text: string): Promise<void> {
    if (this.#closed) return Promise.resolve();
    this.#waiting++;
    this.#tail = this.#tail.then(() => this.#writeAll(utf8(text))).finally(() => this.#waiting--);
    return this.#tail;
  }

  /** Waits until everything is gone. */
  async flush(): Promise<void> {
    await this.#tail;
    if (this.#failure === null) return;
    const cause = this.#failure;
    throw new ShoalError("storage", { what: "cannot write", where: this.#name, why: messageOf(cause), cause });
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
        this.#closed = true;
        // Whoever closes the reading end, as `head` does, has seen enough; anything else is told by flush().
        if (!(error instanceof Deno.errors.BrokenPipe)) this.#failure = error;
      }
    }
  }
}

const isWindows = Deno.build.os === "windows";

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
  onInterrupt: (listener) => onSignals(isWindows ? ["SIGINT", "SIGBREAK"] : ["SIGINT", "SIGTERM", "SIGHUP"], listener),
  onRedraw: (listener) => onSignals(isWindows ? [] : ["SIGWINCH", "SIGCONT"], listener),
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
  atExit(text) {
    const bytes = utf8(text);
    const leave = (): void => void Deno.stdout.writeSync(bytes);
    addEventListener("unload", leave);
    return () => removeEventListener("unload", leave);
  },
  readStdin: (maxBytes) => readWhole(Deno.stdin.readable, maxBytes),
  exit: (code) => Deno.exit(code),
};

/**
 * The size of the window, from the first of three sources that knows.
 *
 * @param ask Asks the system; throws when no stream is a terminal.
 * @param env Reads the environment.
 * @returns The size; each number at least 1.
 */
export function windowSize(ask: () => TerminalSize, env: (name: string) => string | undefined): TerminalSize {
  let known: TerminalSize = { columns: 0, rows: 0 };
  try {
    known = ask();
  } catch {
    // No stream is a terminal, so nobody is asked: the environment or the custom of 80 by 24 decides.
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

function onSignals(signals: readonly Deno.Signal[], listener: () => void): () => void {
  for (const signal of signals) Deno.addSignalListener(signal, listener);
  return () => {
    for (const signal of signals) Deno.removeSignalListener(signal, listener);
  };
}

/**
 * A stream, whole.
 *
 * @param stream What to read.
 * @param maxBytes Most bytes to accept.
 * @returns Its bytes.
 * @throws {ShoalError} Of kind `usage` if it is longer.
 */
export async function readWhole(stream: ReadableStream<Uint8Array>, maxBytes: number): Promise<Bytes> {
  const bytes = await readLimited(stream, maxBytes);
  if (bytes) return bytes;
  const why = `it is longer than ${maxBytes} bytes`;
  throw new ShoalError("usage", { what: "too much data", where: "standard input", why });
}
