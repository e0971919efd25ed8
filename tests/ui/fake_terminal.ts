/**
 * A terminal for tests: keeps what is written, and lets the test press Ctrl-C.
 *
 * @module
 */

import type { Bytes } from "../../src/base/bytes.ts";
import { utf8 } from "../../src/base/bytes.ts";
import type { ShoalError } from "../../src/base/errors.ts";
import type { Disturbance, LeaveRequest, Loss, Output, Terminal, TerminalSize } from "../../src/platform/terminal.ts";

/** An output that keeps its text, and can play a reader that takes nothing. */
export class FakeOutput implements Output {
  text = "";
  writes = 0;
  failure: ShoalError | null = null;
  /** Listeners for the loss of the output. */
  readonly losses = new Set<(loss: Loss) => void>();
  #release: (() => void) | null = null;
  #blocked: Promise<void> | null = null;

  /** @param isTerminal Whether it passes for a terminal. */
  constructor(readonly isTerminal: boolean) {}

  /** Whether the reader takes nothing. */
  get busy(): boolean {
    return this.#blocked !== null;
  }

  /** From now on, nothing that is written gets anywhere until {@linkcode FakeOutput.release}. */
  block(): void {
    this.#blocked = new Promise((resolve) => this.#release = resolve);
  }

  /** The reader takes everything again. */
  release(): void {
    this.#blocked = null;
    this.#release?.();
  }

  /** @param data Kept. */
  async write(data: string | Bytes): Promise<void> {
    this.writes++;
    this.text += typeof data === "string" ? data : String.fromCharCode(...data);
    await this.#blocked;
  }

  /** Fails if the test wants it to. */
  flush(): Promise<void> {
    return this.failure === null ? Promise.resolve() : Promise.reject(this.failure);
  }

  /** @param listener Called by {@linkcode FakeOutput.lose}. */
  onLoss(listener: (loss: Loss) => void): () => void {
    return keep(this.losses, listener);
  }

  /** The output is lost. */
  lose(loss: Loss): void {
    for (const listener of [...this.losses]) listener(loss);
  }

  /** Lines of the text, without the end of the last. */
  get lines(): string[] {
    return this.text === "" ? [] : this.text.replace(/\n$/, "").split("\n");
  }
}

/** What a {@linkcode FakeTerminal} starts from. */
export interface FakeTerminalOptions {
  readonly isTerminal?: boolean;
  readonly size?: TerminalSize;
  readonly env?: Readonly<Record<string, string>>;
  readonly stdin?: Bytes;
  readonly isWindows?: boolean;
}

/** {@linkcode Terminal} without a terminal. */
export class FakeTerminal implements Terminal {
  readonly stdout: FakeOutput;
  readonly stderr: FakeOutput;
  readonly stdinIsTerminal: boolean;
  readonly isWindows: boolean;
  /** The size that {@linkcode FakeTerminal.size} tells. */
  window: TerminalSize;
  /** Folders that were to be removed at the end, if that has not been taken back. */
  readonly owed = new Set<string>();
  /** Listeners for signals, so that a test can see that none is left behind. */
  readonly requests = new Set<(request: LeaveRequest) => void>();
  readonly disturbances = new Set<(disturbance: Disturbance) => void>();
  readonly crashes = new Set<(thrown: unknown) => void>();
  readonly readers = new Set<(bytes: Bytes) => void>();
  /** Code of the first {@linkcode FakeTerminal.exit}. */
  exited: number | null = null;
  readonly #env: Readonly<Record<string, string>>;
  readonly #stdin: Bytes | null;

  /** @param options What to start from; not a terminal when absent. */
  constructor(options: FakeTerminalOptions = {}) {
    this.stdout = new FakeOutput(options.isTerminal ?? false);
    this.stderr = new FakeOutput(options.isTerminal ?? false);
    this.window = options.size ?? { columns: 80, rows: 24 };
    this.#env = options.env ?? { HOME: "/home/test" };
    this.#stdin = options.stdin ?? null;
    this.stdinIsTerminal = options.stdin === undefined;
    this.isWindows = options.isWindows ?? false;
  }

  /** @returns The size that the test set. */
  size(): TerminalSize {
    return this.window;
  }

  /** @returns What the test put there. */
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

  /** @param listener Kept for the test to call. */
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

  /** Presses keys. */
  type(text: string): void {
    for (const listener of [...this.readers]) listener(utf8(text));
  }

  /** @returns What the test put there. */
  readStdin(): Promise<Bytes> {
    return Promise.resolve(this.#stdin ?? utf8(""));
  }

  /** @param code Kept in {@linkcode FakeTerminal.exited}. */
  exit(code: number): never {
    this.exited ??= code;
    // A test goes on after the end of the program; what the program does then is of no consequence.
    return undefined as never;
  }

  /** Asks the program to leave. */
  leave(request: LeaveRequest = "key"): void {
    for (const listener of [...this.requests]) listener(request);
  }

  /** Disturbs what was drawn. */
  disturb(disturbance: Disturbance): void {
    for (const listener of [...this.disturbances]) listener(disturbance);
  }
}

function keep<Item>(set: Set<Item>, item: Item): () => void {
  set.add(item);
  return () => void set.delete(item);
}
