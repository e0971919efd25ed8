/**
 * A program under test: started, watched line by line and stopped, with its log kept for the report of a failure.
 *
 * @module
 */

import { messageOf } from "../../src/base/errors.ts";

/** Options for {@linkcode Job}. */
export interface JobOptions {
  /** Name in messages. */
  readonly name: string;
  /** Working folder. */
  readonly cwd?: string;
  /** Environment variables on top of the test's own. */
  readonly env?: Readonly<Record<string, string>>;
  /** If `true`, standard input comes from {@linkcode Job.write}; standard input is empty otherwise. */
  readonly reads?: boolean;
  /** Called with every line of standard output. */
  readonly onLine?: (line: string) => void;
}

/** Exit code and output of a program. */
export interface JobResult {
  /** Exit code; 128 and above for a signal. */
  readonly code: number;
  /** Lines of standard output. */
  readonly stdout: readonly string[];
  /** Lines of standard error. */
  readonly stderr: readonly string[];
}

/** The most lines kept of each stream; later lines are dropped. */
const MAX_LINES = 50_000;

/** Limit of a wait. */
export interface WaitOptions {
  /** Time limit. */
  readonly seconds: number;
  /** Name of the awaited event in the message of a failure. */
  readonly what: string;
}

/** Options for {@linkcode run}. */
export interface JobRunOptions extends Partial<JobOptions> {
  /** Time limit; 30 when absent. */
  readonly seconds?: number;
}

/** A running program. */
export class Job implements AsyncDisposable {
  /** Name in messages. */
  readonly name: string;
  /** `performance.now()` at the start of the program. */
  readonly startedAt: number;
  /** Lines of standard output so far. */
  readonly stdout: string[] = [];
  /** Lines of standard error so far. */
  readonly stderr: string[] = [];
  /** Settles when the program has ended and all its output has been read. */
  readonly ended: Promise<JobResult>;
  readonly #process: Deno.ChildProcess;
  readonly #command: string;
  readonly #watchers = new Set<() => void>();
  readonly #input: WritableStreamDefaultWriter<Uint8Array> | null;
  #running = true;

  /** Starts a program. */
  constructor(argv: readonly string[], options: JobOptions) {
    this.name = options.name;
    this.#command = argv.map((arg) => arg.length > 200 ? `${arg.slice(0, 30)}...` : arg).join(" ");
    const [program, ...args] = argv;
    this.startedAt = performance.now();
    this.#process = new Deno.Command(program!, {
      args,
      stdin: options.reads ? "piped" : "null",
      stdout: "piped",
      stderr: "piped",
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
      ...(options.env === undefined ? {} : { env: options.env }),
    }).spawn();
    this.#input = options.reads ? this.#process.stdin.getWriter() : null;
    // The program reads nothing more once it has ended.
    this.ended = this.#watch(options.onLine).finally(() => this.#input?.abort().catch(() => {}));
  }

  /** Process id. */
  get pid(): number {
    return this.#process.pid;
  }

  /** Writes text to the program's standard input. */
  async write(text: string): Promise<void> {
    await this.#input!.write(new TextEncoder().encode(text));
  }

  /**
   * Waits for a line of standard output. Lines received before the call count, too.
   *
   * @param matches Returns `true` for the wanted line.
   * @throws {Error} If the line doesn't come in time, or the program ends first.
   */
  async line(matches: (line: string) => boolean, options: WaitOptions): Promise<string> {
    let next = 0;
    const found = Promise.withResolvers<string>();
    const look = () => {
      for (; next < this.stdout.length; next++) if (matches(this.stdout[next]!)) found.resolve(this.stdout[next]!);
    };
    this.#watchers.add(look);
    look();
    const ended = this.ended.then((result) => {
      throw new Error(`${this.name} ended with code ${result.code} before ${options.what}`);
    });
    try {
      return await within(Promise.race([found.promise, ended]), { ...options, what: `${this.name}: ${options.what}` });
    } finally {
      this.#watchers.delete(look);
    }
  }

  /**
   * Waits for the program to end.
   *
   * @param seconds Time limit.
   * @throws {Error} If the program is still running after that time.
   */
  exit(seconds: number): Promise<JobResult> {
    return within(this.ended, { seconds, what: `${this.name} to end` });
  }

  /** Sends a signal; does nothing if the program has ended. */
  signal(signal: Deno.Signal): void {
    if (!this.#running) return;
    try {
      this.#process.kill(signal);
    } catch (error) {
      // The program may end between the check and the call.
      if (!(error instanceof TypeError) && !(error instanceof Deno.errors.NotFound)) throw error;
    }
  }

  /** Ends the program with SIGTERM, and with SIGKILL if it still runs after 3 seconds. */
  async stop(): Promise<void> {
    this.signal("SIGTERM");
    const timer = setTimeout(() => this.signal("SIGKILL"), 3000);
    await this.ended;
    clearTimeout(timer);
  }

  /** Same as {@linkcode stop}. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  /** Report for a failed test: the command and the last lines of both streams. */
  get report(): string {
    const tail = (lines: readonly string[], stream: string) =>
      lines.slice(-40).map((line) => `  ${stream} ${line.slice(0, 300)}`);
    return [`--- ${this.name}: ${this.#command}`, ...tail(this.stdout, "|"), ...tail(this.stderr, "!")].join("\n");
  }

  async #watch(onLine: ((line: string) => void) | undefined): Promise<JobResult> {
    const [status] = await Promise.all([
      this.#process.status,
      readLines(this.#process.stdout, (line) => {
        push(this.stdout, line);
        onLine?.(line);
        for (const look of this.#watchers) look();
      }),
      readLines(this.#process.stderr, (line) => push(this.stderr, line)),
    ]);
    this.#running = false;
    return { code: status.code, stdout: this.stdout, stderr: this.stderr };
  }
}

function push(lines: string[], line: string): void {
  if (lines.length < MAX_LINES) lines.push(line);
}

async function readLines(stream: ReadableStream<Uint8Array>, onLine: (line: string) => void): Promise<void> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const bytes of stream) {
    const lines = (rest + decoder.decode(bytes, { stream: true })).split("\n");
    rest = lines.pop()!;
    lines.forEach(onLine);
  }
  if (rest !== "") onLine(rest);
}

/**
 * Runs a program until it exits.
 *
 * @throws {Error} If the program takes too long; the message holds its log.
 */
export async function run(argv: readonly string[], options: JobRunOptions = {}): Promise<JobResult> {
  await using job = new Job(argv, { name: argv[0]!, ...options });
  try {
    return await job.exit(options.seconds ?? 30);
  } catch (error) {
    throw new Error(`${messageOf(error)}\n${job.report}`, { cause: error });
  }
}

/**
 * Runs a program that must succeed.
 *
 * @throws {Error} If the exit code is not 0.
 */
export async function must(...argv: string[]): Promise<void> {
  const result = await run(argv);
  if (result.code !== 0) {
    throw new Error(`${argv.join(" ")} ended with code ${result.code}: ${result.stderr.join(" ")}`);
  }
}

/**
 * Waits for a promise within a time limit.
 *
 * @throws {Error} If the promise doesn't settle in time.
 */
export async function within<T>(promise: Promise<T>, options: WaitOptions): Promise<T> {
  const late = Promise.withResolvers<never>();
  const message = `waited ${options.seconds} s in vain for ${options.what}`;
  const timer = setTimeout(() => late.reject(new Error(message)), options.seconds * 1000);
  try {
    return await Promise.race([promise, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}
