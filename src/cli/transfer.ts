/**
 * Runs torrents until they are done, or until somebody or something says that it is enough.
 *
 * @module
 */

import { ShoalError } from "../base/errors.ts";
import type { Metainfo } from "../metainfo/mod.ts";
import type { Timer } from "../platform/platform.ts";
import type { AddOptions, SessionOptions } from "../session/session.ts";
import type { SessionEvent } from "../session/types.ts";
import type { View } from "../ui/view.ts";
import type { Context } from "./context.ts";
import type { SessionLike, TorrentLike } from "./engine.ts";
import { errorLine } from "./error_line.ts";
import { EXIT_DONE, EXIT_INTERRUPTED, exitCodeOf } from "./exit_codes.ts";
import { type IdleLimit, type SeedGoal, untilIdle, untilSeeded } from "./limits.ts";
import { openView } from "./views.ts";

/** Milliseconds that stopping may take after Ctrl-C; what isn't done by then is left. */
const STOP_MS = 2500;
/** Milliseconds after which the program leaves even if the session doesn't come to an end. */
const LEAVE_MS = 2900;
/** Milliseconds after Ctrl-C at which the program is gone, come what may. */
const GONE_MS = 2950;

/** What to run. */
export interface Transfer {
  /** The torrents. Called once the view is open, so that it can say what goes wrong. */
  readonly load: () => Promise<readonly LoadedTorrent[]>;
  /** Settings of the session. */
  readonly session: SessionOptions;
  /** How to show it. */
  readonly show: { readonly json?: true; readonly quiet?: true };
  /** Whether the user wants to know in which folder a torrent is saved. */
  readonly tellFolder?: boolean;
  /** How long to go on seeding each torrent that is complete; `null` for not at all. */
  readonly seed: SeedGoal | null;
  /** Gives up when nothing arrives for so long; `null` for never. */
  readonly idle: IdleLimit | null;
}

/** A torrent and how to add it. */
export interface LoadedTorrent {
  readonly meta: Metainfo;
  readonly options: AddOptions;
}

/**
 * Runs a transfer to its end.
 *
 * @param transfer What to run.
 * @param context The surroundings.
 * @returns The exit code. Failures of torrents have been told on standard error by then.
 * @throws {unknown} What kept the transfer from starting.
 */
export async function runTransfer(transfer: Transfer, context: Context): Promise<number> {
  const run = new Run(transfer, context);
  const errors = await run.toTheEnd();
  for (const error of errors) {
    await context.terminal.stderr.write(errorLine(error, { verbose: context.verbosity > 0 }));
  }
  if (run.interrupted) return EXIT_INTERRUPTED;
  return errors.length === 0 ? EXIT_DONE : exitCodeOf(errors[0]);
}

/** One transfer under way. */
class Run {
  readonly #transfer: Transfer;
  readonly #context: Context;
  readonly #torrents: TorrentLike[] = [];
  /** Info-hashes of torrents whose failure the session has told by an event. */
  readonly #told = new Set<string>();
  readonly #folders = new Map<string, string>();
  /** What trackers that don't work said last, by URL, the latest last. */
  readonly #trouble = new Map<string, string>();
  #interrupted = false;
  /** The work is over; what is left is to stop in good order. */
  #worked = false;

  constructor(transfer: Transfer, context: Context) {
    this.#transfer = transfer;
    this.#context = context;
  }

  get interrupted(): boolean {
    return this.#interrupted;
  }

  /** @returns What went wrong, if anything. */
  async toTheEnd(): Promise<unknown[]> {
    const { platform, terminal, engine, verbosity } = this.#context;
    const view = await openView(this.#transfer.show, {
      platform,
      terminal,
      verbosity,
      snapshots: () => this.#torrents.map((torrent) => torrent.snapshot()),
      savedIn: (infohash) => this.#folders.get(infohash) ?? null,
    });
    const timers: Timer[] = [];
    let leave = () => {};
    const leaving = new Promise<"interrupted">((resolve) => leave = () => resolve("interrupted"));
    const forget = terminal.onInterrupt(() => {
      // Whoever presses Ctrl-C again has waited long enough.
      if (this.#interrupted || this.#worked) terminal.exit(EXIT_INTERRUPTED);
      this.#interrupted = true;
      // Whatever hangs, be it only a reader of our output that has stopped reading.
      timers.push(platform.after(GONE_MS, () => terminal.exit(EXIT_INTERRUPTED)));
      view.note("stopping; press Ctrl-C again to leave at once");
      leave();
    });
    let session: SessionLike | null = null;
    let unsubscribe = () => {};
    const errors: unknown[] = [];
    try {
      const loading = this.#transfer.load();
      if (await Promise.race([loading.then(() => "loaded"), leaving]) === "interrupted") return errors;
      const loaded = await loading;
      session = await engine.createSession(this.#transfer.session);
      unsubscribe = session.subscribe((event) => {
        this.#remember(event);
        view.event(event);
      });
      await session.start();
      view.start();
      errors.push(...await this.#work(loaded, { session, view, leaving }));
    } catch (error) {
      if (error instanceof ShoalError) view.failed(error);
      errors.push(error);
    } finally {
      this.#worked = true;
      if (session !== null) await this.#stop(session);
      unsubscribe();
      await view.close();
      forget();
      for (const timer of timers) timer.cancel();
    }
    return errors;
  }

  #remember(event: SessionEvent): void {
    if (event.event === "error") this.#told.add(event.infohash);
    if (event.event !== "tracker") return;
    this.#trouble.delete(event.url);
    if (event.status === "error") this.#trouble.set(event.url, `the tracker ${event.url} failed: ${event.message}`);
  }

  /** Adds everything and waits for the first of: all done, given up, interrupted. */
  async #work(
    loaded: readonly LoadedTorrent[],
    parts: { readonly session: SessionLike; readonly view: View; readonly leaving: Promise<"interrupted"> },
  ): Promise<unknown[]> {
    const { session, view, leaving } = parts;
    const { idle } = this.#transfer;
    const errors: unknown[] = [];
    const all = loaded.map((torrent) =>
      this.#one(torrent, session).catch((error) => {
        errors.push(error);
        if (error instanceof ShoalError && !this.#told.has(torrent.meta.infoHash.hex)) view.failed(error);
      })
    );
    const watch = idle === null ? null : untilIdle(this.#torrents, {
      platform: this.#context.platform,
      limit: idle,
      trouble: () => [...this.#trouble.values()].at(-1) ?? null,
    });
    try {
      const first = await Promise.race([Promise.all(all), leaving, ...(watch === null ? [] : [watch.done])]);
      if (first instanceof ShoalError) {
        view.failed(first);
        errors.push(first);
      }
    } finally {
      watch?.cancel();
    }
    return errors;
  }

  async #one({ meta, options }: LoadedTorrent, session: SessionLike): Promise<void> {
    const torrent = await session.add(meta, options);
    this.#torrents.push(torrent);
    await torrent.finished;
    if (this.#transfer.tellFolder) this.#folders.set(meta.infoHash.hex, options.folder);
    if (this.#transfer.seed === null) return;
    await untilSeeded(torrent, { platform: this.#context.platform, goal: this.#transfer.seed });
    await torrent.stop();
  }

  async #stop(session: SessionLike): Promise<void> {
    let timer: Timer | undefined;
    const late = new Promise<void>((resolve) => timer = this.#context.platform.after(LEAVE_MS, resolve));
    try {
      await Promise.race([session.stop(STOP_MS), late]);
    } finally {
      timer?.cancel();
    }
  }
}
