/**
 * A session in a process of its own, with one torrent: it can be told what to do, watched, and killed.
 *
 * @module
 */

import type { Command, Line, Look } from "./driver_program.ts";
import { TEST_FLAGS } from "./from_source.ts";
import { Job } from "./job.ts";

export type { Look };

const PROGRAM = decodeURI(new URL("driver_program.ts", import.meta.url).pathname);
/** Seconds that anything may take, on a machine that is busy. */
const PATIENCE = 30;

/** A running session. */
export class Driver implements AsyncDisposable {
  /** The process. */
  readonly job: Job;
  /** The torrent as it was seen last; `null` for none. */
  look: Look | null = null;
  /** The torrent as it was when the session had been restored. */
  restored: Look | null = null;
  /** Where it listens. */
  port = 0;
  /** What happened, in words: states, changes, errors, warnings. */
  readonly events: string[] = [];
  #number = 0;
  #isKilled = false;

  private constructor(stateFolder: string) {
    const argv = [Deno.execPath(), "run", "--no-check", "--no-prompt", "-A", ...TEST_FLAGS, PROGRAM, stateFolder];
    this.job = new Job(argv, { name: "driver", reads: true, onLine: (line) => this.#read(line) });
  }

  /**
   * Starts a session, which restores the torrent of the last one.
   *
   * @param stateFolder Where it keeps what it remembers.
   * @returns The driver, at work.
   */
  static async start(stateFolder: string): Promise<Driver> {
    const driver = new Driver(stateFolder);
    await driver.job.line((line) => line.startsWith('{"ready":'), { seconds: PATIENCE, what: "it was ready" });
    return driver;
  }

  /**
   * Has it do something.
   *
   * @param command What.
   * @returns How the torrent looks when that is done.
   * @throws {Error} With its words, if it can't.
   */
  async tell(command: Command): Promise<Look | null> {
    const start = `{"answer":${await this.send(command)},`;
    const line = await this.job.line((line) => line.startsWith(start), { seconds: PATIENCE, what: command.do });
    const { error, look } = JSON.parse(line);
    if (error !== null) throw new Error(error);
    return look;
  }

  /**
   * Tells it to do something, and doesn't wait for the end.
   *
   * @param command What.
   * @returns The number of the answer.
   */
  async send(command: Command): Promise<number> {
    const id = ++this.#number;
    await this.job.write(`${JSON.stringify({ id, ...command })}\n`);
    return id;
  }

  /** Whether a command that was sent has been answered. */
  hasDone(id: number): boolean {
    return this.job.stdout.some((line) => line.startsWith(`{"answer":${id},"error":null`));
  }

  /**
   * Waits until the torrent looks as it should.
   *
   * @param matches Whether it does.
   * @param what What is waited for, in the message of a failure.
   * @returns How it looks.
   */
  async until(matches: (look: Look) => boolean, what: string): Promise<Look> {
    if (this.look !== null && matches(this.look)) return this.look;
    const from = this.job.stdout.length;
    const isIt = (line: string) => {
      const look: Look | undefined = JSON.parse(line).look;
      return look !== undefined && look !== null && matches(look);
    };
    let seen = 0;
    const line = await this.job.line((line) => seen++ >= from && isIt(line), { seconds: PATIENCE, what });
    return JSON.parse(line).look;
  }

  /** Ends it as `kill -9` does. */
  async kill(): Promise<void> {
    this.#isKilled = true;
    this.job.signal("SIGKILL");
    await this.job.ended;
  }

  /** Ends it in good order. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#isKilled) await this.send({ do: "stop" });
    const { code, stderr } = await this.job.exit(PATIENCE);
    if (!this.#isKilled && code !== 0) throw new Error(`the driver ended with code ${code}: ${stderr.join("\n")}`);
  }

  #read(text: string): void {
    const line = JSON.parse(text) as Partial<Extract<Line, { event: string }>> & { look?: Look | null; ready?: number };
    if (line.look !== undefined) this.look = line.look;
    if (line.ready !== undefined) [this.port, this.restored] = [line.ready, line.look ?? null];
    if (line.event === "state") this.events.push(line.state!);
    else if (line.event === "changed") this.events.push(`changed ${line.what}`);
    else if (line.event === "error" || line.event === "warning") this.events.push(`${line.event} ${line.message}`);
  }
}
