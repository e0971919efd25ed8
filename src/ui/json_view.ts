/**
 * The view for scripts: one JSON object per line.
 *
 * @module
 */

import type { Timer } from "../platform/platform.ts";
import { eventLine, failureLine, type JsonLine, progressLine } from "./json_lines.ts";
import type { View, ViewEvent, ViewOptions } from "./view.ts";
import { jsonText } from "./json_text.ts";

/** Milliseconds between two looks at the torrents, and least milliseconds between two `progress` events of a torrent. */
const PROGRESS_MS = 1000;
/** Milliseconds after which the `progress` of a torrent is printed again although nothing has changed. */
const REPEAT_MS = 30_000;

/** Events that are printed only with `-v`, since they are frequent or of interest to few users. */
const ONLY_VERBOSE: readonly string[] = ["peer", "port_map", "dht"];

/** The last `progress` event of a torrent. */
interface Printed {
  /** The event without what changes by itself; see `stateOf()`. */
  readonly state: string;
  /** Time at which it was printed, in milliseconds. */
  readonly at: number;
}

/** A {@linkcode View} that prints JSON lines on standard output. */
export class JsonView implements View {
  readonly isPicture = false;
  readonly #options: ViewOptions;
  /** By info-hash. */
  readonly #printed = new Map<string, Printed>();
  /** Info-hashes of torrents that have stopped: nothing is printed about them any more. */
  readonly #stopped = new Set<string>();
  #timer: Timer | null = null;
  #open = false;

  constructor(options: ViewOptions) {
    this.#options = options;
  }

  /** Starts to print `progress` events. */
  start(): void {
    this.#open = true;
    this.#wait();
  }

  /** @param event Printed at once. `peer`, `port_map` and `dht` events are printed only with `-v`. */
  event(event: ViewEvent): void {
    if (ONLY_VERBOSE.includes(event.event) && this.#options.verbosity === 0) return;
    // Print the final progress before `completed`, so that a script needn't wait for it.
    if (event.event === "completed") this.#progress(event.infohash);
    if (event.event === "added") this.#stopped.delete(event.infohash);
    this.#print(eventLine(event, this.#options.platform.wallClock()));
    if (event.event === "stopped") {
      this.#stopped.add(event.infohash);
      this.#printed.delete(event.infohash);
    }
  }

  /** Notes are for people and not printed. */
  note(): void {}

  /** @param error Printed as an `error` event. */
  failed(error: unknown): void {
    this.#print(failureLine(error, this.#options.platform.wallClock()));
  }

  /** Waits until everything is printed. */
  async close(): Promise<void> {
    if (!this.#open) return;
    this.#open = false;
    this.#timer?.cancel();
    await this.#options.terminal.stdout.write("");
  }

  #wait(): void {
    this.#timer = this.#options.platform.after(PROGRESS_MS, () => {
      this.#wait();
      // Skip a `progress` event if the reader is behind. Other events are never skipped.
      if (!this.#options.terminal.stdout.busy) this.#progress();
    });
  }

  /**
   * Prints the progress of torrents that has changed or was printed long ago.
   *
   * @param infohash A torrent whose progress is printed in any case. The others are left out then.
   */
  #progress(infohash?: string): void {
    const { platform, snapshots } = this.#options;
    const now = platform.now();
    for (const torrent of snapshots()) {
      const { hex } = torrent.infoHash;
      if (this.#stopped.has(hex) || torrent.state === "stopping" || torrent.state === "stopped") continue;
      if (torrent.state === "checking" || (infohash !== undefined && hex !== infohash)) continue;
      const line = progressLine(torrent, platform.wallClock());
      const state = stateOf(line);
      const last = this.#printed.get(hex);
      if (infohash === undefined && last?.state === state && now - last.at < REPEAT_MS) continue;
      this.#printed.set(hex, { state, at: now });
      this.#print(line);
    }
  }

  #print(line: JsonLine): void {
    void this.#options.terminal.stdout.write(`${jsonText(line)}\n`);
  }
}

/**
 * Returns a text that differs between two `progress` events if something has changed. The time is left out, and so are
 * the numbers in sentences, which may count down seconds.
 */
function stateOf({ time: _, ...fields }: JsonLine): string {
  const values = Object.entries(fields).map(([key, value]) =>
    typeof value === "string" && key !== "infohash" ? value.replace(/\d+/g, "") : value
  );
  return JSON.stringify(values);
}
