/**
 * A session with one torrent in a process of its own, which a test can command, watch and kill.
 *
 * @module
 */

import type { Command, Line, Look } from "./driver_program.ts";
import { TEST_FLAGS } from "./from_source.ts";
import { Job } from "./job.ts";

export type { Look };

const PROGRAM = decodeURI(new URL("driver_program.ts", import.meta.url).pathname);
/** Seconds that any step may take on a busy machine. */
const PATIENCE = 30;

/** A running session. */
export class Driver implements AsyncDisposable {
  /** Process of the session. */
  readonly job: Job;
  /** Latest state of the torrent, or `null` if there is no torrent. */
  look: Look | null = null;
  /** State of the torrent after the session was restored. */
  restored: Look | null = null;
  /** Port that the session listens on. */
  port = 0;
  /** Events in words: states, changes, errors and warnings. */
  readonly events: string[] = [];
  #number = 0;
  #isKilled = false;

  private constructor(stateFolder: string) {
    const argv = [Deno.execPath(), "run", "--no-check", "--no-prompt", "-A", ...TEST_FLAGS, PROGRAM, stateFolder];
    this.job = new Job(argv, { name: "driver", reads: true, onLine: (line) => this.#read(line) });
  }

  /**
   * Starts a session, which restores the torrent of the previous session.
   *
   * @param stateFolder Folder of the session's state.
   * @returns The driver, once the session is ready.
   */
  static async start(stateFolder: string): Promise<Driver> {
    const driver = new Driver(stateFolder);
    await driver.job.line((line) => line.startsWith('{"ready":'), { seconds: PATIENCE, what: "it was ready" });
    return driver;
  }

  /**
   * Runs a command to its end.
   *
   * @returns State of the torrent after the command.
   * @throws {Error} If the command fails, with the program's message.
   */
  async tell(command: Command): Promise<Look | null> {
    const start = `{"answer":${await this.send(command)},`;
    const line = await this.job.line((line) => line.startsWith(start), { seconds: PATIENCE, what: command.do });
    const { error, look } = JSON.parse(line);
    if (error !== null) throw new Error(error);
    return look;
  }

  /**
   * Sends a command without waiting for its end.
   *
   * @returns Number of the answer.
   */
  async send(command: Command): Promise<number> {
    const id = ++this.#number;
    await this.job.write(`${JSON.stringify({ id, ...command })}\n`);
    return id;
  }

  /** Returns `true` if the command with this number has succeeded. */
  hasDone(id: number): boolean {
    return this.job.stdout.some((line) => line.startsWith(`{"answer":${id},"error":null`));
  }

  /**
   * Waits for a state of the torrent.
   *
   * @param matches Returns `true` for the wanted state.
   * @param what Name of the state in the message of a failure.
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

  /** Kills the process with SIGKILL. */
  async kill(): Promise<void> {
    this.#isKilled = true;
    this.job.signal("SIGKILL");
    await this.job.ended;
  }

  /** Stops the session and waits for the process to end. */
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
