/**
 * A terminal for tests: keeps written text, and lets the test press Ctrl-C.
 *
 * @module
 */

import type { Bytes } from "../../src/base/bytes.ts";
import { utf8 } from "../../src/base/bytes.ts";
import type { ShoalError } from "../../src/base/errors.ts";
import type { Disturbance, LeaveRequest, Loss, Output, Terminal, TerminalSize } from "../../src/platform/terminal.ts";

/** An output that keeps its text, and can simulate a reader that reads nothing. */
export class FakeOutput implements Output {
  text = "";
  writes = 0;
  failure: ShoalError | null = null;
  /** Called with each text. */
  onWrite: (text: string) => void = () => {};
  /** Listeners for the loss of the output. */
  readonly losses = new Set<(loss: Loss) => void>();
  #release: (() => void) | null = null;
  #blocked: Promise<void> | null = null;

  /** @param isTerminal If `true`, the output claims to be a terminal. */
  constructor(readonly isTerminal: boolean) {}

  /** `true` while the reader reads nothing. */
  get busy(): boolean {
    return this.#blocked !== null;
  }

  /** Makes writes wait until {@linkcode FakeOutput.release}. */
  block(): void {
    this.#blocked = new Promise((resolve) => this.#release = resolve);
  }

  /** Lets waiting and later writes continue. */
  release(): void {
    this.#blocked = null;
    this.#release?.();
  }

  async write(data: string | Bytes): Promise<void> {
    this.writes++;
    const text = typeof data === "string" ? data : String.fromCharCode(...data);
    this.text += text;
    this.onWrite(text);
    await this.#blocked;
  }

  /** Rejects with the failure that the test has set, if any. */
  flush(): Promise<void> {
    return this.failure === null ? Promise.resolve() : Promise.reject(this.failure);
  }

  /** @param listener Called by {@linkcode FakeOutput.lose}. */
  onLoss(listener: (loss: Loss) => void): () => void {
    return keep(this.losses, listener);
  }

  /** Reports the loss of the output to all listeners. */
  lose(loss: Loss): void {
    for (const listener of [...this.losses]) listener(loss);
  }

  /** Lines of the text, without the last line break. */
  get lines(): string[] {
    return this.text === "" ? [] : this.text.replace(/\n$/, "").split("\n");
  }
}

/** Options for {@linkcode FakeTerminal}. */
export interface FakeTerminalOptions {
  readonly isTerminal?: boolean;
  readonly size?: TerminalSize;
  readonly env?: Readonly<Record<string, string>>;
  readonly stdin?: Bytes;
  readonly isWindows?: boolean;
}

/** A {@linkcode Terminal} in memory. */
export class FakeTerminal implements Terminal {
  readonly stdout: FakeOutput;
  readonly stderr: FakeOutput;
  readonly stdinIsTerminal: boolean;
  readonly isWindows: boolean;
  /** Size that {@linkcode FakeTerminal.size} returns. */
  window: TerminalSize;
  /** Row of the cursor, which the terminal tells when asked; `null` for one that doesn't answer. */
  cursorRow: number | null = 24;
  /** Folders to remove at the end, unless the removal was cancelled. */
  readonly owed = new Set<string>();
  /** Listeners for signals; a test can check that none is left. */
  readonly requests = new Set<(request: LeaveRequest) => void>();
  readonly disturbances = new Set<(disturbance: Disturbance) => void>();
  readonly crashes = new Set<(thrown: unknown) => void>();
  readonly readers = new Set<(bytes: Bytes) => void>();
  /** Code of the first {@linkcode FakeTerminal.exit}. */
  exited: number | null = null;
  readonly #env: Readonly<Record<string, string>>;
  readonly #stdin: Bytes | null;

  /** @param options See {@linkcode FakeTerminalOptions}; not a terminal when absent. */
  constructor(options: FakeTerminalOptions = {}) {
    this.stdout = new FakeOutput(options.isTerminal ?? false);
    this.stderr = new FakeOutput(options.isTerminal ?? false);
    this.window = options.size ?? { columns: 80, rows: 24 };
    this.stdout.onWrite = (text) => {
      if (!text.includes("\x1b[6n") || this.cursorRow === null) return;
      queueMicrotask(() => this.type(`\x1b[${this.cursorRow};1R`));
    };
    this.#env = options.env ?? { HOME: "/home/test" };
    this.#stdin = options.stdin ?? null;
    this.stdinIsTerminal = options.stdin === undefined;
    this.isWindows = options.isWindows ?? false;
  }

  size(): TerminalSize {
    return this.window;
  }

  /** Returns the value that the test has set. */
  env(name: string): string | undefined {
    return this.#env[name];
  }

  /** @param listener Called by {@linkcode FakeTerminal.leave}. */
  onLeaveRequest(listener: (request: LeaveRequest) => void): () => void {
    return keep(this.requests, listener);
  }

  /** @param listener Called by {@linkcode FakeTerminal.disturb}. */
  onDisturbance(listener: (disturbance: Disturbance) => void): () => void {
    return keep(this.disturbances, listener);
  }

  /** @param listener Kept in {@linkcode FakeTerminal.crashes}. */
  onCrash(listener: (thrown: unknown) => void): () => void {
    return keep(this.crashes, listener);
  }

  /** @param folder Kept in {@linkcode FakeTerminal.owed}. */
  removeAtExit(folder: string): () => void {
    return keep(this.owed, folder);
  }

  /** @param listener Called by {@linkcode FakeTerminal.type}. */
  readKeys(listener: (bytes: Bytes) => void): (() => void) | null {
    return this.stdout.isTerminal && this.stdinIsTerminal ? keep(this.readers, listener) : null;
  }

  /** Sends keys to all readers. */
  type(text: string): void {
    for (const listener of [...this.readers]) listener(utf8(text));
  }

  /** Number of times that standard input was read. */
  stdinReads = 0;

  /** Returns the bytes that the test has set. */
  readStdin(): Promise<Bytes> {
    this.stdinReads++;
    return Promise.resolve(this.#stdin ?? utf8(""));
  }

  /** @param code Kept in {@linkcode FakeTerminal.exited}. */
  exit(code: number): never {
    this.exited ??= code;
    // A test continues after the end of the program, and ignores what the program does then.
    return undefined as never;
  }

  /** Sends a request to leave. */
  leave(request: LeaveRequest = "key"): void {
    for (const listener of [...this.requests]) listener(request);
  }

  /** Sends a disturbance of the drawn lines. */
  disturb(disturbance: Disturbance): void {
    for (const listener of [...this.disturbances]) listener(disturbance);
  }
}

function keep<Item>(set: Set<Item>, item: Item): () => void {
  set.add(item);
  return () => void set.delete(item);
}
