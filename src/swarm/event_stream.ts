/**
 * Events to be iterated over, with a memory that has an end.
 *
 * @module
 */

import type { Platform, Timer } from "../platform/platform.ts";
import { type ProgressEvent, progressOf, type TorrentEvent } from "./events.ts";
import type { TorrentSnapshot } from "./snapshot.ts";

/** Events that wait for a slow reader, of those that may be left out. */
const MAX_WAITING = 1000;
/** Milliseconds between two `progress` events. */
const PROGRESS_MS = 1000;
/** Events of which only the latest says anything. */
const OVERTAKEN: readonly string[] = ["progress", "checking"];
/** Events that a reader must not miss. A torrent has few of them, so that they need no limit. */
const MILESTONES: readonly string[] = ["added", "metadata", "completed", "error", "stopped", ...OVERTAKEN];

/** The reader was slower than what happened. */
export interface MissedEvent {
  /** Which event. */
  readonly event: "missed";
  /** No torrent in particular. */
  readonly infohash: null;
  /** How many events, older than those that come now, were left out. */
  readonly count: number;
}

/** An event of whatever kind. */
export interface AnyEvent {
  /** Which event. */
  readonly event: string;
  /** Which torrent, in hexadecimal; `null` for none in particular. */
  readonly infohash: string | null;
}

/** What an {@linkcode EventStream} gives. */
export type StreamedEvent<Event extends AnyEvent = TorrentEvent> = Event | ProgressEvent | MissedEvent;

/** Settings of `events()`. */
export interface EventOptions {
  /** Milliseconds between two `progress` events of a torrent (default 1,000); 0 for none at all. */
  readonly progressMs?: number;
}

/**
 * Events from the moment on when it was made. Leaving the loop ends it.
 *
 * A reader may take its time: of `progress` and `checking` only the latest of each torrent waits for it, and when more than
 * 1,000 others wait, the oldest of `peer`, `tracker`, `warning` and the like are left out, which a `missed` event says.
 * `added`, `metadata`, `completed`, `error` and `stopped` are never left out.
 */
export interface EventStream<Event extends AnyEvent = TorrentEvent>
  extends AsyncIterableIterator<StreamedEvent<Event>, undefined>, AsyncDisposable {
  /** Waits for the next event, or for the end. */
  next(): Promise<IteratorResult<StreamedEvent<Event>, undefined>>;
  /** Ends it; what waits is forgotten. A `for await` loop does it when it is left. */
  return(): Promise<IteratorResult<StreamedEvent<Event>, undefined>>;
  /** It is its own iterator. */
  [Symbol.asyncIterator](): EventStream<Event>;
}

/** Where the events of a stream come from. */
export interface StreamSource<Event extends AnyEvent> {
  /** For `progress`. */
  readonly platform: Pick<Platform, "after">;
  /** Tells of every event of the session; gives back what ends that. */
  subscribe(listener: (event: Event) => void): () => void;
  /** The one torrent that matters; `null` for all. */
  readonly infohash: string | null;
  /** The torrents that matter. */
  snapshots(): readonly TorrentSnapshot[];
  /** Settles when nothing more comes. */
  readonly over: Promise<void>;
}

/**
 * Makes a stream.
 *
 * @param source Where its events come from.
 * @param options See {@linkcode EventOptions}.
 * @returns The stream; it collects from now on.
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
    // Nobody should have to wait for a last one that says that all is there.
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

  /** Nothing more comes. */
  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#unsubscribe();
    this.#timer?.cancel();
    for (const reader of this.#readers.splice(0)) reader(DONE);
  }
}

/** A session may live for years: that one waits for its end must not keep a stream that has long been left, and its torrent. */
function endWhen(over: Promise<void>, stream: WeakRef<{ end(): void }>): void {
  void over.then(() => stream.deref()?.end());
}
