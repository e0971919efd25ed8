/**
 * A torrent that is paused: what its trackers hear of it.
 *
 * @module
 */

import type { PeerSources } from "./peer_sources.ts";
import type { TorrentState } from "./types.ts";

/** Milliseconds for telling trackers that we leave. */
export const FAREWELL_MS = 2_000;

/** Whether a torrent is paused, and what is to be done when it no longer is. */
export class Pause {
  #isOn = false;
  #farewell: Promise<void> = Promise.resolve();
  #trackers: readonly (readonly string[])[] | null = null;

  /** Whether the torrent is paused. */
  get isOn(): boolean {
    return this.#isOn;
  }

  /** Settles when trackers have been told of the last pause, or were given time for it. Never rejects. */
  get farewell(): Promise<void> {
    return this.#farewell;
  }

  /**
   * Whether peers are not to be looked for now.
   *
   * @param trackers Where they would be looked for; those that are named first are asked after the pause, too.
   */
  holds(trackers: readonly (readonly string[])[]): boolean {
    this.#trackers ??= trackers;
    return this.#isOn;
  }

  /**
   * The torrent is paused from now on.
   *
   * @param sources What looks for peers, if anything does; is stopped.
   * @returns What looks for peers from now on: nothing.
   */
  begin(sources: PeerSources | null): null {
    this.#isOn = true;
    if (sources) this.#farewell = sources.stop(FAREWELL_MS);
    return null;
  }

  /**
   * The torrent goes on.
   *
   * @param start Looks for peers again; called if they have been looked for before, as soon as trackers know of the pause: else
   * they might hear that we left after they heard that we are there.
   */
  end(start: (trackers: readonly (readonly string[])[]) => void): void {
    this.#isOn = false;
    void this.#farewell.then(() => {
      if (!this.#isOn && this.#trackers) start(this.#trackers);
    });
  }
}

/**
 * What a paused torrent is doing.
 *
 * @param state What it would be doing.
 * @returns `paused`, but for what a pause doesn't hold up.
 */
export function pausedState(state: TorrentState): TorrentState {
  return state === "metadata" || state === "downloading" || state === "seeding" ? "paused" : state;
}
