/**
 * Events as an async iterator with a bounded queue.
 *
 * @module
 */

import type { Platform, Timer } from "../platform/platform.ts";
import { type ProgressEvent, progressOf, type TorrentEvent } from "./events.ts";
import type { TorrentSnapshot } from "./snapshot.ts";

/** Events that wait for a slow reader, apart from {@linkcode MILESTONES}. */
const MAX_WAITING = 1000;
/** Milliseconds between two `progress` events. */
const PROGRESS_MS = 1000;
/** Events of which only the latest one counts. */
const OVERTAKEN: readonly string[] = ["progress", "checking"];
/** Events that a reader must not miss. A torrent has few of them, so that they need no limit. */
const MILESTONES: readonly string[] = ["added", "metadata", "completed", "error", "stopped", ...OVERTAKEN];

/** Says that events were dropped because the reader was too slow. */
export interface MissedEvent {
  /** Name of the event. */
  readonly event: "missed";
  /** Always `null`, since the event isn't about a torrent. */
  readonly infohash: null;
  /** Number of dropped events, all older than the events that follow. */
  readonly count: number;
}

/** An event of any kind. */
export interface AnyEvent {
  /** Name of the event. */
  readonly event: string;
  /** Info-hash of the torrent in hexadecimal; `null` if the event isn't about a torrent. */
  readonly infohash: string | null;
}

/** The events of an {@linkcode EventStream}. */
export type StreamedEvent<Event extends AnyEvent = TorrentEvent> = Event | ProgressEvent | MissedEvent;

/** Options for `events()`. */
export interface EventOptions {
  /** Milliseconds between two `progress` events of a torrent (default 1,000); 0 for no such events. */
  readonly progressMs?: number;
}

/**
 * The events since the stream was created. Leaving the loop ends the stream.
 *
 * A slow reader misses little: of `progress` and `checking` only the latest of each torrent waits for the reader, and
 * when more than 1,000 other events wait, the oldest `peer`, `tracker`, `warning` and similar events are dropped, which
 * a `missed` event reports. `added`, `metadata`, `completed`, `error` and `stopped` are never dropped.
 */
export interface EventStream<Event extends AnyEvent = TorrentEvent>
  extends AsyncIterableIterator<StreamedEvent<Event>, undefined>, AsyncDisposable {
  /** Waits for the next event or for the end of the stream. */
  next(): Promise<IteratorResult<StreamedEvent<Event>, undefined>>;
  /** Ends the stream and drops waiting events. A `for await` loop calls this when it is left. */
  return(): Promise<IteratorResult<StreamedEvent<Event>, undefined>>;
  /** Returns the stream itself. */
  [Symbol.asyncIterator](): EventStream<Event>;
}

/** The source of a stream's events. */
export interface StreamSource<Event extends AnyEvent> {
  /** Timers for `progress` events. */
  readonly platform: Pick<Platform, "after">;
  /** Subscribes to all events of the session. Returns a function that unsubscribes. */
  subscribe(listener: (event: Event) => void): () => void;
  /** Info-hash of the torrent whose events are streamed; `null` for all torrents. */
  readonly infohash: string | null;
  /** Returns snapshots of these torrents. */
  snapshots(): readonly TorrentSnapshot[];
  /** Settles when there will be no more events. */
  readonly over: Promise<void>;
}

/**
 * Creates a stream.
 *
 * @param source See {@linkcode StreamSource}.
 * @param options See {@linkcode EventOptions}.
 * @returns The stream, which collects events from now on.
 */
export function streamEvents<Event extends AnyEvent>(
  source: StreamSource<Event>,
  options: EventOptions = {},
): EventStream<Event> {
  return new Stream(source, options);
}

const DONE = { done: true, value: undefined } as const;

class Stream<Event extends AnyEvent> implements EventStream<Event> {
  readonly #source: StreamSource<Event>;
  readonly #progressMs: number;
  readonly #queue: StreamedEvent<Event>[] = [];
  readonly #readers: ((result: IteratorResult<StreamedEvent<Event>, undefined>) => void)[] = [];
  readonly #unsubscribe: () => void;
  #missed = 0;
  #ended = false;
  #timer: Timer | null = null;

  constructor(source: StreamSource<Event>, { progressMs = PROGRESS_MS }: EventOptions) {
    this.#source = source;
    this.#progressMs = progressMs;
    this.#unsubscribe = source.subscribe((event) => this.#take(event));
    endWhen(source.over, new WeakRef(this));
    this.#wait();
  }

  next(): Promise<IteratorResult<StreamedEvent<Event>, undefined>> {
    if (this.#missed > 0) {
      const count = this.#missed;
      this.#missed = 0;
      return Promise.resolve({ done: false, value: { event: "missed", infohash: null, count } });
    }
    const value = this.#queue.shift();
    if (value !== undefined) return Promise.resolve({ done: false, value });
    if (this.#ended) return Promise.resolve(DONE);
    return new Promise((resolve) => this.#readers.push(resolve));
  }

  return(): Promise<IteratorResult<StreamedEvent<Event>, undefined>> {
    this.#queue.length = 0;
    this.#missed = 0;
    this.end();
    return Promise.resolve(DONE);
  }

  [Symbol.asyncIterator](): EventStream<Event> {
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return();
  }

  #take(event: Event): void {
    const { infohash } = this.#source;
    if (infohash !== null && event.infohash !== infohash) return;
    // A reader shouldn't have to wait for the last `progress` event.
    if (event.event === "completed") this.#tellProgress(event.infohash);
    this.#put(event);
    if (infohash !== null && event.event === "stopped") this.end();
  }

  #put(event: StreamedEvent<Event>): void {
    const reader = this.#readers.shift();
    if (reader !== undefined) return reader({ done: false, value: event });
    if (OVERTAKEN.includes(event.event)) {
      const same = this.#queue.findIndex((other) => other.event === event.event && other.infohash === event.infohash);
      if (same >= 0) this.#queue.splice(same, 1);
    }
    this.#queue.push(event);
    if (this.#queue.length <= MAX_WAITING) return;
    const oldest = this.#queue.findIndex(({ event }) => !MILESTONES.includes(event));
    if (oldest < 0) return;
    this.#queue.splice(oldest, 1);
    this.#missed++;
  }

  #wait(): void {
    if (this.#progressMs <= 0 || this.#ended) return;
    this.#timer = this.#source.platform.after(this.#progressMs, () => {
      this.#wait();
      this.#tellProgress(null);
    });
  }

  #tellProgress(infohash: string | null): void {
    if (this.#progressMs <= 0) return;
    for (const torrent of this.#source.snapshots()) {
      if (torrent.state === "checking" || (infohash !== null && torrent.infoHash.hex !== infohash)) continue;
      this.#put(progressOf(torrent));
    }
  }

  /** Ends the stream. */
  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#unsubscribe();
    this.#timer?.cancel();
    for (const reader of this.#readers.splice(0)) reader(DONE);
  }
}

/** Ends a stream with its source. The weak reference lets an abandoned stream be collected before its session ends. */
function endWhen(over: Promise<void>, stream: WeakRef<{ end(): void }>): void {
  void over.then(() => stream.deref()?.end());
}
