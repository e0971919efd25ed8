/**
 * The view for scripts: one JSON object per line.
 *
 * @module
 */

import type { ShoalError } from "../base/errors.ts";
import type { Timer } from "../platform/platform.ts";
import { eventLine, failureLine, type JsonLine, progressLine } from "./json_lines.ts";
import type { View, ViewEvent, ViewOptions } from "./view.ts";
import { jsonText } from "./json_text.ts";

/** Milliseconds between two `progress` events. */
const PROGRESS_MS = 1000;

/** Events that are printed only with `-v`, since they are frequent or of interest to few users. */
const ONLY_VERBOSE: readonly string[] = ["peer", "port_map", "dht"];

/** A {@linkcode View} that prints JSON lines on standard output. */
export class JsonView implements View {
  readonly isPicture = false;
  readonly #options: ViewOptions;
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
    this.#print(eventLine(event, this.#options.platform.wallClock()));
  }

  /** Notes are for people and not printed. */
  note(): void {}

  /** @param error Printed as an `error` event. */
  failed(error: ShoalError): void {
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

  #progress(infohash?: string): void {
    for (const torrent of this.#options.snapshots()) {
      if (torrent.state === "checking" || (infohash !== undefined && torrent.infoHash.hex !== infohash)) continue;
      this.#print(progressLine(torrent, this.#options.platform.wallClock()));
    }
  }

  #print(line: JsonLine): void {
    void this.#options.terminal.stdout.write(`${jsonText(line)}\n`);
  }
}
