/**
 * Runs torrents until they are complete and seeded, time out, fail, or the program is asked to stop.
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
import { DiskSpace } from "./disk_space.ts";
import { errorLine } from "./error_line.ts";
import { EXIT_DONE, exitCodeOf } from "./exit_codes.ts";
import { fitAdvice, type NamedFolders } from "./folder_advice.ts";
import { type IdleLimit, type SeedGoal, untilIdle, untilSeeded } from "./seed_goals.ts";
import { startStreaming, type Streaming, type StreamOption } from "./streaming.ts";
import { openView } from "./views.ts";

/** Milliseconds that stopping the session may take after Ctrl-C. Work that isn't done by then is abandoned. */
const STOP_MS = 2500;
/** Milliseconds after which the program exits even if the session doesn't stop. */
const LEAVE_MS = 2800;

/** A transfer to run. */
export interface Transfer {
  /**
   * Loads the torrents. Called once the view is open, so that the view can show errors. A source that can't be used is
   * passed to `onBad`, and the others are transferred all the same.
   */
  readonly load: (onBad: ReportBad) => Promise<readonly LoadedTorrent[]>;
  /** Session options. */
  readonly session: SessionOptions;
  /** Called once the session listens, before the view starts. */
  readonly started?: (session: SessionLike, view: View) => Promise<void>;
  /** Ends the transfer with an error when it resolves. */
  readonly failure?: Promise<ShoalError>;
  /** Options for the view. */
  readonly show: { readonly json?: true; readonly quiet?: true };
  /**
   * Whether the downloaded data is kept. The view then shows the folder, and tells the user that the same command
   * resumes the download.
   */
  readonly keeps?: boolean;
  /** Whether the live view stays when all is done, until the user presses a key (default `false`). */
  readonly hold?: boolean;
  /** How long to seed each complete torrent; `null` to not seed. */
  readonly seed: SeedGoal | null;
  /** URL to post the `completed` event of each torrent to. */
  readonly onComplete?: string;
  /** Gives up after this time without progress; `null` for never. */
  readonly idle: IdleLimit | null;
  /** Where to serve the files over HTTP; absent or `null` to not serve them. */
  readonly stream?: StreamOption | null;
}

/** Tells the user why a source can't be used. The program goes on, and exits with the code of the first such error. */
export type ReportBad = (error: ShoalError) => Promise<void>;

/** A torrent and how to add it. */
export interface LoadedTorrent {
  readonly source: Metainfo | Magnet;
  /** Further sources of the same torrent. Their trackers, web seeds and peers are used, too. */
  readonly more?: readonly (Metainfo | Magnet)[];
  readonly options: AddOptions;
}

/**
 * Runs a transfer to its end. Prints failures of torrents to standard error.
 *
 * @param transfer The transfer.
 * @param context The environment.
 * @returns The exit code.
 * @throws {unknown} The error that kept the transfer from starting.
 */
export async function runTransfer(transfer: Transfer, context: Context): Promise<number> {
  const run = new Run(transfer, context);
  const errors = await run.toTheEnd();
  for (const error of errors) if (!run.hasTold(error)) await run.tell(error);
  if (run.cutShort) return context.shutdown.code;
  return errors.length === 0 ? EXIT_DONE : exitCodeOf(errors[0]);
}

/** A running transfer. */
class Run {
  readonly #transfer: Transfer;
  readonly #context: Context;
  readonly #torrents: TorrentLike[] = [];
  #session: SessionLike | null = null;
  /** Info-hashes of torrents whose failure the session has reported by an event. */
  readonly #told = new Set<string>();
  /** Called when a complete torrent fails, by info-hash. */
  readonly #onFailure = new Map<string, () => void>();
  readonly #folders = new Map<string, string>();
  /**
   * Last error of each failing tracker, by URL, and reason why metadata can't be fetched, by info-hash; the latest
   * last.
   */
  readonly #lastProblems = new Map<string, { readonly text: string; readonly ofTracker: boolean }>();
  /** Errors whose line on standard error has been written. */
  readonly #written = new Set<unknown>();
  #streaming: Streaming | null = null;
  #space: DiskSpace | null = null;
  /** Folders that the options name; `null` if there is no such option or nothing is loaded yet. */
  #named: NamedFolders | null = null;
  /** Name of the torrent of each error, where there are several torrents. */
  readonly #names = new Map<unknown, string>();
  #cutShort = false;

  constructor(transfer: Transfer, context: Context) {
    this.#transfer = transfer;
    this.#context = context;
  }

  /** Whether the program was asked to stop before the work was done. */
  get cutShort(): boolean {
    return this.#cutShort;
  }

  /** Writes the line of an error to standard error. */
  async tell(error: unknown): Promise<void> {
    const { terminal, verbosity } = this.#context;
    const fit = this.#transfer.keeps && this.#named === null ? error : fitAdvice(error, this.#named);
    const told = withName(fit, this.#names.get(error));
    await terminal.stderr.write(errorLine(told, { verbose: verbosity > 0 }));
  }

  /** Returns `true` if the line of an error has been written to standard error. */
  hasTold(error: unknown): boolean {
    return this.#written.has(error);
  }

  /**
   * Runs the transfer.
   *
   * @returns The errors that occurred.
   */
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
    shutdown.onBegin = (reason) => view.note(farewell(reason));
    shutdown.restoreTerminal = () => view.close();
    shutdown.listen();
    let session: SessionLike | null = null;
    let unsubscribe = () => {};
    const errors: unknown[] = [];
    try {
      const calls = await this.#openCalls(view);
      const loaded = await shutdown.raceShutdown(
        this.#transfer.load((error) => this.#reportBad(error, { view, errors })),
      );
      if (loaded.length === 0) return errors;
      session = this.#session = await engine.createSession(this.#transfer.session);
      this.#space = new DiskSpace({ platform, view });
      unsubscribe = session.subscribe((event) => {
        this.#remember(event);
        if (event.event === "state" && event.state === "downloading") {
          this.#space?.check(event.infohash);
        }
        if (isShown(event)) view.event(event);
        if (event.event === "completed") calls?.tell(event);
      });
      await session.start();
      await this.#transfer.started?.(session, view);
      const { stream = null } = this.#transfer;
      if (stream) this.#streaming = await startStreaming(stream, { context: this.#context, view });
      view.start();
      await this.#work(loaded, { session, view, errors });
      if (calls) await shutdown.raceShutdown(calls.settled());
      if (this.#transfer.hold && errors.length === 0) await shutdown.raceShutdown(view.hold?.() ?? Promise.resolve());
    } catch (thrown) {
      const error = thrown instanceof ShoalError ? this.#context.config?.blame(thrown) ?? thrown : thrown;
      if (shutdown.isShutdownError(error)) this.#cutShort = true;
      else {
        view.failed(error);
        errors.push(error);
      }
    } finally {
      void this.#streaming?.close();
      this.#space?.close();
      if (session !== null) await this.#stop(session);
      unsubscribe();
      await view.close();
      shutdown.onBegin = () => {};
      shutdown.restoreTerminal = () => Promise.resolve();
    }
    return errors;
  }

  /** Prints the error of a source at once. The view is not drawn yet. */
  async #reportBad(
    thrown: ShoalError,
    { view, errors }: { readonly view: View; readonly errors: unknown[] },
  ): Promise<void> {
    const error = this.#context.config?.blame(thrown) ?? thrown;
    errors.push(error);
    this.#written.add(error);
    view.failed(error);
    await this.tell(error);
  }

  async #openCalls(view: View): Promise<CompletionCalls | null> {
    const { onComplete: url } = this.#transfer;
    if (url === undefined) return null;
    const { CompletionCalls } = await import("./on_complete.ts");
    const { platform, shutdown } = this.#context;
    const onFailure = ({ infohash }: CompletedEvent, message: string) =>
      view.event({
        event: "warning",
        infohash,
        message: redact(message, secretsIn(url)),
        where: redact(url),
        loses: true,
      });
    return new CompletionCalls(url, { platform, signal: shutdown.signal, onFailure });
  }

  get #controls(): LiveControls {
    const find = (infohash: string) => this.#find(infohash);
    return {
      pieceMap: (infohash, cells) => find(infohash)?.pieceMap(cells) ?? null,
      files: (infohash) => find(infohash)?.files() ?? [],
      sources: (infohash) => find(infohash)?.sources() ?? null,
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

  #find(infohash: string): TorrentLike | undefined {
    return this.#torrents.find((torrent) => torrent.infoHash.hex === infohash);
  }

  #nameOf(source: Metainfo | Magnet): string {
    const { hex } = source.infoHash;
    return this.#find(hex)?.snapshot().name ?? ("pieces" in source ? source.name : source.displayName) ?? hex;
  }

  #remember(event: SessionEvent): void {
    if (event.event === "error") {
      this.#told.add(event.infohash);
      this.#onFailure.get(event.infohash)?.();
    }
    // A failure to fetch metadata is only of interest while the metadata is missing.
    if (event.event === "metadata") this.#lastProblems.delete(event.infohash);
    if (event.event === "warning" && event.infohash !== null && this.#isSearching(event.infohash)) {
      this.#lastProblems.set(event.infohash, { text: `${event.where}: ${event.message}`, ofTracker: false });
    }
    if (event.event !== "tracker") return;
    this.#lastProblems.delete(event.url);
    if (event.status === "error") {
      this.#lastProblems.set(event.url, {
        text: `the tracker ${event.url} failed: ${event.message}`,
        ofTracker: true,
      });
    }
  }

  #isSearching(infohash: string): boolean {
    return this.#find(infohash)?.snapshot().state === "metadata";
  }

  /**
   * Adds all torrents and waits until all are done, the transfer times out or breaks, or the program is asked to stop.
   * Failures are added to `errors`.
   */
  async #work(
    loaded: readonly LoadedTorrent[],
    { session, view, errors }: { readonly session: SessionLike; readonly view: View; readonly errors: unknown[] },
  ): Promise<void> {
    const { idle, failure } = this.#transfer;
    // All torrents of a run have the same folders.
    if (this.#transfer.keeps) this.#named = loaded[0]?.options ?? null;
    const all = loaded.map((torrent) =>
      this.#one(torrent, session).catch((error) => {
        errors.push(error);
        if (loaded.length > 1) this.#names.set(error, this.#nameOf(torrent.source));
        if (!this.#told.has(torrent.source.infoHash.hex)) view.failed(error);
        // The others may go on for days. A picture on the terminal shows the error, and a line would be drawn over.
        if (view.isPicture && this.#context.terminal.stderr.isTerminal) return;
        this.#written.add(error);
        void this.tell(error);
      })
    );
    const watch = idle === null ? null : untilIdle(this.#torrents, {
      platform: this.#context.platform,
      limit: idle,
      trouble: ({ trackers }) =>
        [...this.#lastProblems.values()].findLast(({ ofTracker }) => trackers || !ofTracker)?.text ?? null,
    });
    try {
      const first = await this.#context.shutdown.raceShutdown(
        Promise.race([Promise.all(all), ...(watch === null ? [] : [watch.done]), ...(failure ? [failure] : [])]),
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
    this.#space?.add(torrent, options.folder);
    this.#streaming?.add(torrent);
    await torrent.finished;
    if (this.#transfer.keeps) this.#folders.set(source.infoHash.hex, options.folder);
    // A torrent that has become one with another of the run is over. The other one stands for both, and is seeded.
    if (torrent.snapshot().state === "stopped") return void this.#torrents.splice(this.#torrents.indexOf(torrent), 1);
    if (this.#transfer.seed === null) return;
    const seeded = untilSeeded(torrent, { platform: this.#context.platform, goal: this.#transfer.seed });
    await Promise.race([seeded, this.#failureOf(torrent)]);
    await torrent.stop();
  }

  /** Returns a promise that rejects when a complete torrent fails. */
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

/** Adds the name of a torrent to its error, unless the error has it. */
function withName(error: unknown, name: string | undefined): unknown {
  if (name === undefined || !(error instanceof ShoalError) || error.message.includes(name)) return error;
  const { kind, what, where, why, hint } = error;
  return new ShoalError(kind, { what: `${name}: ${what}`, where, why, hint, cause: error });
}

/** Returns the message for a shutdown. */
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
