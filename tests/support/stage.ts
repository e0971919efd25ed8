/**
 * A stage for tests of programs that exit early: a tracker that records announces, a slow peer, and a folder for each
 * act.
 *
 * @module
 */

import { parseResumeState } from "../../src/storage/resume_state.ts";
import { BINARY, environment, OFFLINE } from "./binary.ts";
import { Job } from "./job.ts";
import { makeFile, type Payload } from "./payload.ts";
import { withScratch } from "./scratch.ts";
import { SlowSeeder } from "./slow_seeder.ts";
import { makeTorrent, readTorrent } from "./torrents.ts";
import { fromSource } from "./from_source.ts";

const PIECE_LENGTH = 1 << 18;
/** Milliseconds between two polls. */
const LOOK_MS = 20;

/** How Shoal is run. */
export type Program = "compiled" | "deno run";

/** Options for {@linkcode Stage.with}. */
export interface StageOptions {
  /** Bytes of the payload; 32 MiB when absent. */
  readonly size?: number;
  /** Milliseconds per block of 16 KiB; 10 when absent, so that 32 MiB take 20 s. */
  readonly blockMs?: number;
}

/** Options for {@linkcode Stage.act}. */
export interface ActOptions {
  /** Event for which the tracker never answers an announce; none when absent. */
  readonly hangs?: string;
}

/** The parts that all acts share. */
export class Stage {
  readonly #folder: string;
  readonly #payload: Payload;
  readonly #seeder: SlowSeeder;
  readonly #tracker: RecordingTracker;
  #acts = 0;

  private constructor(
    parts: {
      readonly folder: string;
      readonly payload: Payload;
      readonly seeder: SlowSeeder;
      readonly tracker: RecordingTracker;
    },
  ) {
    this.#folder = parts.folder;
    this.#payload = parts.payload;
    this.#seeder = parts.seeder;
    this.#tracker = parts.tracker;
  }

  /** Sets up a stage, calls `body`, and takes the stage down. */
  static async with(options: StageOptions, body: (stage: Stage) => Promise<void>): Promise<void> {
    await withScratch(async (folder) => {
      const size = options.size ?? 32 << 20;
      const payload = await makeFile(`${folder}/source`, { name: "file.bin", size, seed: 41 });
      const torrent = `${folder}/file.torrent`;
      await makeTorrent(payload, { path: torrent, pieceLength: PIECE_LENGTH });
      await using seeder = await SlowSeeder.start(payload, { torrent, blockMs: options.blockMs ?? 10 });
      await using tracker = new RecordingTracker();
      await body(new Stage({ folder, payload, seeder, tracker }));
    });
  }

  /** Makes a folder, a torrent and a tracker URL for one run of the program. */
  async act(options: ActOptions = {}): Promise<Act> {
    const name = `act-${++this.#acts}`;
    const folder = `${this.#folder}/${name}`;
    await Deno.mkdir(folder);
    const tracker = this.#tracker.open(name, options.hangs ?? null);
    await makeTorrent(this.#payload, { path: `${folder}/file.torrent`, pieceLength: PIECE_LENGTH, tracker });
    return new Act({ name, folder, payload: this.#payload, peer: this.#seeder.address, tracker: this.#tracker });
  }
}

/** One run of the program, or several in a row. */
export class Act {
  /** Folder of the act; downloaded data goes to `out` in it. */
  readonly folder: string;
  /** Payload to download. */
  readonly payload: Payload;
  readonly #name: string;
  readonly #peer: string;
  readonly #tracker: RecordingTracker;

  /** @param parts Parts of the stage. */
  constructor(
    parts: {
      readonly name: string;
      readonly folder: string;
      readonly payload: Payload;
      readonly peer: string;
      readonly tracker: RecordingTracker;
    },
  ) {
    this.folder = parts.folder;
    this.payload = parts.payload;
    this.#name = parts.name;
    this.#peer = parts.peer;
    this.#tracker = parts.tracker;
  }

  /** Events announced to the tracker, in order; `null` for an announce without an event. */
  get announces(): readonly (string | null)[] {
    return this.#tracker.announces(this.#name);
  }

  /** Environment variables that keep every file in the folder. */
  get env(): Readonly<Record<string, string>> {
    return environment(this.folder);
  }

  /** Returns arguments for a download, with `more` at the end. */
  download(...more: string[]): string[] {
    return ["download", "file.torrent", "-o", "out", "-p", "0", "--peer", this.#peer, ...OFFLINE, ...more];
  }

  /** Returns arguments for seeding the payload, with `more` at the end. */
  seed(...more: string[]): string[] {
    return ["seed", "file.torrent", this.payload.folder, "-p", "0", ...OFFLINE, ...more];
  }

  /**
   * Starts the program.
   *
   * @param program How to run the program.
   */
  start(args: readonly string[], program: Program = "compiled"): Job {
    return new Job([...commandFor(program), ...args], { name: `shoal ${args[0]}`, cwd: this.folder, env: this.env });
  }

  /** Starts a shell script in which `shoal` is the program. */
  shell(script: string): Job {
    const define = `shoal() { ${commandFor("compiled").join(" ")} "$@"; }`;
    return new Job(["sh", "-c", `${define}\n${script}`], { name: script, cwd: this.folder, env: this.env });
  }

  /** Reads the resume state on disk; `null` if there is none. */
  async state(): Promise<{ readonly clean: boolean; readonly pieces: number } | null> {
    const { hex, pieces: pieceCount } = await readTorrent(`${this.folder}/file.torrent`);
    const folder = `${this.folder}/state/shoal`;
    const file = (await namesIn(folder)).find((name) => name.startsWith(hex) && name.endsWith(".resume"));
    if (file === undefined) return null;
    const bytes = await Deno.readFile(`${folder}/${file}`);
    const { clean, pieces, unsynced } = parseResumeState(bytes, { pieceCount, fileCount: 1 });
    return { clean, pieces: pieces.count + unsynced.count };
  }

  /** Waits until the torrent has pieces, the tracker has been announced to, and the resume state has been saved. */
  async underWay(job: Job): Promise<void> {
    await until("pieces, an announce and resume state", job, async () => {
      return this.announces.length > 0 && ((await this.state())?.pieces ?? 0) > 0;
    });
  }
}

/**
 * Waits for a condition.
 *
 * @param what Name of the condition in the message of a failure.
 * @param job Program that must not end before the condition holds.
 * @param look Returns `true` if the condition holds.
 * @throws {Error} If the condition doesn't hold within 20 seconds, or the program ends.
 */
export async function until(what: string, job: Job, look: () => boolean | Promise<boolean>): Promise<void> {
  const end = performance.now() + 20_000;
  let ended = false;
  void job.ended.then(() => ended = true);
  while (!await look()) {
    if (ended) throw new Error(`it ended before there were ${what}\n${job.report}`);
    if (performance.now() > end) throw new Error(`waited in vain for ${what}\n${job.report}`);
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}

/**
 * Waits for every scene, even if one fails, so that nothing is still running when the stage is gone.
 *
 * @returns Their results, in order.
 * @throws {unknown} The error of the first scene in the list that failed.
 */
export async function together<T>(scenes: readonly Promise<T>[]): Promise<T[]> {
  await Promise.allSettled(scenes);
  return await Promise.all(scenes);
}

/** Returns the names in a folder; none if the folder doesn't exist. */
export async function namesIn(folder: string): Promise<string[]> {
  try {
    return (await Array.fromAsync(Deno.readDir(folder))).map(({ name }) => name);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}

/** Returns program and first arguments. */
export function commandFor(program: Program): string[] {
  return program === "compiled" ? [BINARY] : fromSource();
}

/** An HTTP tracker that returns no peers and records the announces of each act. */
class RecordingTracker implements AsyncDisposable {
  readonly #server: Deno.HttpServer<Deno.NetAddr>;
  readonly #announces = new Map<string, (string | null)[]>();
  readonly #hangs = new Map<string, string | null>();
  readonly #release = Promise.withResolvers<void>();

  constructor() {
    const options = { hostname: "127.0.0.1", port: 0, onListen: () => {} };
    this.#server = Deno.serve(options, (request) => this.#answer(new URL(request.url)));
  }

  /** Starts the record of an act and returns its announce URL. */
  open(name: string, hangs: string | null): string {
    this.#announces.set(name, []);
    this.#hangs.set(name, hangs);
    return `http://127.0.0.1:${this.#server.addr.port}/${name}/announce`;
  }

  announces(name: string): readonly (string | null)[] {
    return this.#announces.get(name) ?? [];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#release.resolve();
    await this.#server.shutdown();
  }

  async #answer(url: URL): Promise<Response> {
    const name = url.pathname.split("/")[1]!;
    const event = url.searchParams.get("event");
    this.#announces.get(name)?.push(event);
    if (event !== null && event === this.#hangs.get(name)) await this.#release.promise;
    return new Response("d8:intervali1800e5:peers0:e");
  }
}
