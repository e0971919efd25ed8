/**
 * Runs torrents until they are done, or until somebody or something says that it is enough.
 *
 * @module
 */

import { ShoalError } from "../base/errors.ts";
import { redact, secretsIn } from "../base/secrets.ts";
import type { Magnet, Metainfo } from "../metainfo/mod.ts";
import type { Timer } from "../platform/platform.ts";
import type { AddOptions, SessionOptions } from "../session/session.ts";
import type { CompletedEvent, SessionEvent } from "../session/session_events.ts";
import { isShown, type LiveControls, type View } from "../ui/view.ts";
import type { CompletionCalls } from "./on_complete.ts";
import type { Context } from "./context.ts";
import type { ShutdownReason } from "./shutdown.ts";
import type { SessionLike, TorrentLike } from "./engine.ts";
import { errorLine } from "./error_line.ts";
import { EXIT_DONE, exitCodeOf } from "./exit_codes.ts";
import { type IdleLimit, type SeedGoal, untilIdle, untilSeeded } from "./seed_goals.ts";
import { startStreaming, type Streaming, type StreamWish } from "./streaming.ts";
import { openView } from "./views.ts";

/** Milliseconds that stopping may take after Ctrl-C; what isn't done by then is left. */
const STOP_MS = 2500;
/** Milliseconds after which the program leaves even if the session doesn't come to an end. */
const LEAVE_MS = 2800;

/** What to run. */
export interface Transfer {
  /** The torrents. Called once the view is open, so that it can say what goes wrong. */
  readonly load: () => Promise<readonly LoadedTorrent[]>;
  /** Settings of the session. */
  readonly session: SessionOptions;
  /** Called once the session listens, before anything is shown. */
  readonly started?: (session: SessionLike, view: View) => Promise<void>;
  /** Ends the transfer when it settles: why it can't go on. */
  readonly broken?: Promise<ShoalError>;
  /** How to show it. */
  readonly show: { readonly json?: true; readonly quiet?: true };
  /**
   * Whether what arrives stays after the end: then the user wants to know in which folder it is, and that the same command
   * goes on from there.
   */
  readonly keeps?: boolean;
  /** How long to go on seeding each torrent that is complete; `null` for not at all. */
  readonly seed: SeedGoal | null;
  /** URL that is told of each torrent that is complete. */
  readonly onComplete?: string;
  /** Gives up when nothing arrives for so long; `null` for never. */
  readonly idle: IdleLimit | null;
  /** Where to serve the files over HTTP meanwhile; not at all when absent or `null`. */
  readonly stream?: StreamWish | null;
}

/** A torrent and how to add it. */
export interface LoadedTorrent {
  readonly source: Metainfo | Magnet;
  /** Other sources of the same torrent, whose trackers, web seeds and peers are used, too. */
  readonly more?: readonly (Metainfo | Magnet)[];
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
  if (run.cutShort) return context.shutdown.code;
  return errors.length === 0 ? EXIT_DONE : exitCodeOf(errors[0]);
}

/** One transfer under way. */
class Run {
  readonly #transfer: Transfer;
  readonly #context: Context;
  readonly #torrents: TorrentLike[] = [];
  #session: SessionLike | null = null;
  /** Info-hashes of torrents whose failure the session has told by an event. */
  readonly #told = new Set<string>();
  /** By info-hash, of torrents that are complete: what is done when one can't go on. */
  readonly #onFailure = new Map<string, () => void>();
  readonly #folders = new Map<string, string>();
  /** What trackers that don't work said last, by URL, and why metadata can't be fetched, by info-hash; the latest last. */
  readonly #trouble = new Map<string, string>();
  #streaming: Streaming | null = null;
  #cutShort = false;

  constructor(transfer: Transfer, context: Context) {
    this.#transfer = transfer;
    this.#context = context;
  }

  /** Whether the program was asked to leave before the work was done. */
  get cutShort(): boolean {
    return this.#cutShort;
  }

  /** @returns What went wrong, if anything. */
  async toTheEnd(): Promise<unknown[]> {
    const { platform, terminal, engine, shutdown, verbosity } = this.#context;
    const view = await openView(this.#transfer.show, {
      platform,
      terminal,
      verbosity,
      snapshots: () => this.#torrents.map((torrent) => torrent.snapshot()),
      savedIn: (infohash) => this.#folders.get(infohash) ?? null,
      resumable: this.#transfer.keeps ?? false,
      controls: this.#controls,
    });
    shutdown.tell = (reason) => view.note(farewell(reason));
    shutdown.lastWords = () => view.close();
    shutdown.listen();
    let session: SessionLike | null = null;
    let unsubscribe = () => {};
    const errors: unknown[] = [];
    try {
      const calls = await this.#openCalls(view);
      const loaded = await shutdown.unlessLeaving(this.#transfer.load());
      session = this.#session = await engine.createSession(this.#transfer.session);
      unsubscribe = session.subscribe((event) => {
        this.#remember(event);
        if (isShown(event)) view.event(event);
        if (event.event === "completed") calls?.tell(event);
      });
      await session.start();
      await this.#transfer.started?.(session, view);
      const { stream = null } = this.#transfer;
      if (stream) this.#streaming = await startStreaming(stream, { context: this.#context, view });
      view.start();
      await this.#work(loaded, { session, view, errors });
      if (calls) await shutdown.unlessLeaving(calls.settled());
    } catch (thrown) {
      const error = thrown instanceof ShoalError ? this.#context.config?.blame(thrown) ?? thrown : thrown;
      if (shutdown.explains(error)) this.#cutShort = true;
      else {
        if (error instanceof ShoalError) view.failed(error);
        errors.push(error);
      }
    } finally {
      void this.#streaming?.close();
      if (session !== null) await this.#stop(session);
      unsubscribe();
      await view.close();
      shutdown.tell = () => {};
      shutdown.lastWords = () => Promise.resolve();
    }
    return errors;
  }

  async #openCalls(view: View): Promise<CompletionCalls | null> {
    const { onComplete: url } = this.#transfer;
    if (url === undefined) return null;
    const { CompletionCalls } = await import("./on_complete.ts");
    const { platform, shutdown } = this.#context;
    const onFailure = ({ infohash }: CompletedEvent, message: string) =>
      view.event({ event: "warning", infohash, message: redact(message, secretsIn(url)), where: redact(url) });
    return new CompletionCalls(url, { platform, signal: shutdown.signal, onFailure });
  }

  get #controls(): LiveControls {
    const find = (infohash: string) => this.#torrents.find((torrent) => torrent.infoHash.hex === infohash);
    return {
      pieceMap: (infohash, cells) => find(infohash)?.pieceMap(cells) ?? null,
      files: (infohash) => find(infohash)?.files() ?? [],
      togglePause: (infohashes) => {
        const torrents = infohashes.flatMap((infohash) => find(infohash) ?? []);
        const goOn = torrents.every((torrent) => torrent.paused);
        for (const torrent of torrents) goOn ? torrent.resume() : torrent.pause();
      },
      limits: () => this.#session?.limits ?? { down: null, up: null },
      setLimits: (limits) => this.#session?.setLimits(limits),
      quit: () => this.#context.shutdown.ask("key"),
    };
  }

  #remember(event: SessionEvent): void {
    if (event.event === "error") {
      this.#told.add(event.infohash);
      this.#onFailure.get(event.infohash)?.();
    }
    // While nobody has given the metadata, why it can't be fetched is worth telling.
    if (event.event === "metadata") this.#trouble.delete(event.infohash);
    if (event.event === "warning" && event.infohash !== null && this.#isSearching(event.infohash)) {
      this.#trouble.set(event.infohash, `${event.where}: ${event.message}`);
    }
    if (event.event !== "tracker") return;
    this.#trouble.delete(event.url);
    if (event.status === "error") this.#trouble.set(event.url, `the tracker ${event.url} failed: ${event.message}`);
  }

  #isSearching(infohash: string): boolean {
    const torrent = this.#torrents.find(({ infoHash }) => infoHash.hex === infohash);
    return torrent?.snapshot().state === "metadata";
  }

  /** Adds everything and waits for the first of: all done, given up, asked to leave. Failures go to `errors`. */
  async #work(
    loaded: readonly LoadedTorrent[],
    { session, view, errors }: { readonly session: SessionLike; readonly view: View; readonly errors: unknown[] },
  ): Promise<void> {
    const { idle, broken } = this.#transfer;
    const all = loaded.map((torrent) =>
      this.#one(torrent, session).catch((error) => {
        errors.push(error);
        if (error instanceof ShoalError && !this.#told.has(torrent.source.infoHash.hex)) view.failed(error);
      })
    );
    const watch = idle === null ? null : untilIdle(this.#torrents, {
      platform: this.#context.platform,
      limit: idle,
      trouble: () => [...this.#trouble.values()].at(-1) ?? null,
    });
    try {
      const first = await this.#context.shutdown.unlessLeaving(
        Promise.race([Promise.all(all), ...(watch === null ? [] : [watch.done]), ...(broken ? [broken] : [])]),
      );
      if (first instanceof ShoalError) {
        view.failed(first);
        errors.push(first);
      }
    } finally {
      watch?.cancel();
    }
  }

  async #one({ source, more = [], options }: LoadedTorrent, session: SessionLike): Promise<void> {
    const torrent = await session.add(source, options);
    for (const other of more) await session.add(other, options);
    this.#torrents.push(torrent);
    this.#streaming?.add(torrent);
    await torrent.finished;
    if (this.#transfer.keeps) this.#folders.set(source.infoHash.hex, options.folder);
    if (this.#transfer.seed === null) return;
    const seeded = untilSeeded(torrent, { platform: this.#context.platform, goal: this.#transfer.seed });
    await Promise.race([seeded, this.#failureOf(torrent)]);
    await torrent.stop();
  }

  /** Rejects when a torrent that was complete can't go on. */
  #failureOf(torrent: TorrentLike): Promise<never> {
    const { promise, reject } = Promise.withResolvers<never>();
    this.#onFailure.set(torrent.infoHash.hex, () => void torrent.finished.catch(reject));
    return promise;
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

/** What is said when the program is to leave. */
function farewell(reason: ShutdownReason): string {
  switch (reason) {
    case "key":
      return "stopping; press Ctrl-C again to leave at once";
    case "unread":
      return "stopping, since nobody reads standard output any more";
    case "failed":
      return "stopping, since standard output can't be written";
    default:
      return "stopping";
  }
}
