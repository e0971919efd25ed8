/**
 * A stage for programs that leave early: a tracker that keeps a record, a peer that is in no hurry, and for each act a
 * folder of its own.
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
/** Milliseconds between two looks at something that makes no sound. */
const LOOK_MS = 20;

/** How Shoal can be run. */
export type Program = "compiled" | "deno run";

/** What is on a stage. */
export interface StageOptions {
  /** Bytes of the payload; 32 MiB when absent. */
  readonly size?: number;
  /** Milliseconds that the peer takes for a block of 16 KiB; 10 when absent, which makes 20 s of 32 MiB. */
  readonly blockMs?: number;
}

/** Everything that acts have in common. */
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

  /**
   * Sets a stage up, uses it, and takes it down.
   *
   * @param options See {@linkcode StageOptions}.
   * @param body What happens on it.
   */
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

  /**
   * A folder, a torrent and a place at the tracker for one run of the program.
   *
   * @param options `hangs`: the tracker never answers announces with this event.
   * @returns The act.
   */
  async act(options: { readonly hangs?: string } = {}): Promise<Act> {
    const name = `act-${++this.#acts}`;
    const folder = `${this.#folder}/${name}`;
    await Deno.mkdir(folder);
    const tracker = this.#tracker.open(name, options.hangs ?? null);
    await makeTorrent(this.#payload, { path: `${folder}/file.torrent`, pieceLength: PIECE_LENGTH, tracker });
    return new Act({ name, folder, payload: this.#payload, peer: this.#seeder.address, tracker: this.#tracker });
  }
}

/** One run of the program, or several that follow each other. */
export class Act {
  /** Where everything of it is; the data goes to `out` below it. */
  readonly folder: string;
  /** What is downloaded. */
  readonly payload: Payload;
  readonly #name: string;
  readonly #peer: string;
  readonly #tracker: RecordingTracker;

  /** @param parts The stage's. */
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

  /** Events that the tracker was told, in order; `null` for an announce without one. */
  get announces(): readonly (string | null)[] {
    return this.#tracker.announces(this.#name);
  }

  /** Environment that keeps everything in the folder. */
  get env(): Readonly<Record<string, string>> {
    return environment(this.folder);
  }

  /** Arguments that download, with more at the end. */
  download(...more: string[]): string[] {
    return ["download", "file.torrent", "-o", "out", "-p", "0", "--peer", this.#peer, ...OFFLINE, ...more];
  }

  /** Arguments that seed what everybody has, with more at the end. */
  seed(...more: string[]): string[] {
    return ["seed", "file.torrent", this.payload.folder, "-p", "0", ...OFFLINE, ...more];
  }

  /**
   * Starts the program.
   *
   * @param args Its arguments.
   * @param program How to run it.
   * @returns The running program.
   */
  start(args: readonly string[], program: Program = "compiled"): Job {
    return new Job([...commandFor(program), ...args], { name: `shoal ${args[0]}`, cwd: this.folder, env: this.env });
  }

  /**
   * Starts a shell script in which `shoal` is the program.
   *
   * @param script For `sh`.
   * @returns The running shell.
   */
  shell(script: string): Job {
    const define = `shoal() { ${commandFor("compiled").join(" ")} "$@"; }`;
    return new Job(["sh", "-c", `${define}\n${script}`], { name: script, cwd: this.folder, env: this.env });
  }

  /** Resume state as it is on disk; `null` when there is none. */
  async state(): Promise<{ readonly clean: boolean; readonly pieces: number } | null> {
    const { hex, pieces: pieceCount } = await readTorrent(`${this.folder}/file.torrent`);
    const folder = `${this.folder}/state/shoal`;
    const file = (await namesIn(folder)).find((name) => name.startsWith(hex) && name.endsWith(".resume"));
    if (file === undefined) return null;
    const bytes = await Deno.readFile(`${folder}/${file}`);
    const { clean, pieces, unsynced } = parseResumeState(bytes, { pieceCount, fileCount: 1 });
    return { clean, pieces: pieces.count + unsynced.count };
  }

  /** Waits until there are pieces, the tracker has been asked, and resume state has been saved. */
  async underWay(job: Job): Promise<void> {
    await until("pieces, an announce and resume state", job, async () => {
      return this.announces.length > 0 && ((await this.state())?.pieces ?? 0) > 0;
    });
  }
}

/**
 * Waits until something is so.
 *
 * @param what In the message of a failure.
 * @param job What is watched; when it ends, so does the waiting.
 * @param look Whether it is so.
 * @throws {Error} If it is not so within 20 seconds, or the program ends.
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
 * Plays scenes at the same time, each to its end even if another fails, so that nothing runs on when the stage is gone.
 *
 * @param scenes What is under way.
 * @returns What they come to, in order.
 * @throws {unknown} What the first of those that failed threw.
 */
export async function together<T>(scenes: readonly Promise<T>[]): Promise<T[]> {
  await Promise.allSettled(scenes);
  return await Promise.all(scenes);
}

/**
 * Names in a folder.
 *
 * @param folder Which.
 * @returns Its names, none when there is no such folder.
 */
export async function namesIn(folder: string): Promise<string[]> {
  try {
    return (await Array.fromAsync(Deno.readDir(folder))).map(({ name }) => name);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}

/** Program and first arguments. */
export function commandFor(program: Program): string[] {
  return program === "compiled" ? [BINARY] : fromSource();
}

/** An HTTP tracker that knows no peers, and remembers what it was told by whom. */
class RecordingTracker implements AsyncDisposable {
  readonly #server: Deno.HttpServer<Deno.NetAddr>;
  readonly #announces = new Map<string, (string | null)[]>();
  readonly #hangs = new Map<string, string | null>();
  readonly #release = Promise.withResolvers<void>();

  constructor() {
    const options = { hostname: "127.0.0.1", port: 0, onListen: () => {} };
    this.#server = Deno.serve(options, (request) => this.#answer(new URL(request.url)));
  }

  /** Makes room for somebody. @returns The announce URL. */
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
