/**
 * The rates of the last minute: kept a second at a time, drawn as a line of bars.
 *
 * @module
 */

import { painted, type Style } from "./style.ts";

/** Seconds that are drawn. */
const MINUTE = 60;
/** Seconds that are kept: what is drawn is cut where the clock says, so that a minute may begin anywhere in its first step. */
const KEPT = 2 * MINUTE;
const BARS = "\u2581\u2582\u2583\u2584\u2585\u2586\u2587\u2588";
const ASCII_BARS = "_.-:=+*#";

/** One rate over the last minute. */
export class RateHistory {
  readonly #rates: number[] = [];
  /** Number of the second that the last rate is of. */
  #last = -1;

  /**
   * Takes note of a rate. Of several in one second the last counts; seconds that were missed count as that one.
   *
   * @param now Milliseconds.
   * @param rate Bytes a second.
   */
  note(now: number, rate: number): void {
    const second = Math.floor(now / 1000);
    const missed = this.#last < 0 ? 1 : Math.min(KEPT, second - this.#last);
    if (missed === 0) this.#rates[this.#rates.length - 1] = rate;
    for (let i = 0; i < missed; i++) this.#rates.push(rate);
    if (this.#rates.length > KEPT) this.#rates.splice(0, this.#rates.length - KEPT);
    this.#last = second;
  }

  /** The largest of the last minute. */
  get peak(): number {
    return this.#rates.slice(-MINUTE).reduce((most, rate) => Math.max(most, rate), 0);
  }

  /**
   * The rates, in as many steps as there is room for.
   *
   * @param width How many steps, at least 1.
   * @returns Means, the latest last; fewer while there is less than a minute.
   */
  steps(width: number): number[] {
    const each = Math.ceil(MINUTE / Math.min(width, MINUTE));
    // Cut where the clock says, so that what is past stays as it was drawn.
    const first = this.#last - this.#rates.length + 1;
    const groups = new Map<number, number[]>();
    for (const [i, rate] of this.#rates.entries()) {
      const key = Math.floor((first + i) / each);
      const group = groups.get(key);
      if (group) group.push(rate);
      else groups.set(key, [rate]);
    }
    return [...groups.values()].slice(-Math.ceil(MINUTE / each)).map((group) =>
      group.reduce((a, b) => a + b, 0) / group.length
    );
  }
}

/**
 * Draws rates as bars.
 *
 * @param history The rates.
 * @param options `width`: cells, at least 1. `style`: what the terminal can show.
 * @returns Text of `width` cells, the latest on the right.
 */
export function renderSpark(
  history: RateHistory,
  options: { readonly width: number; readonly style: Style },
): string {
  const { width, style } = options;
  const bars = style.unicode ? BARS : ASCII_BARS;
  const { peak } = history;
  const text = history.steps(width).map((rate) => bars[rate <= 0 ? 0 : 1 + Math.floor(Math.min(1, rate / peak) * 6)]!);
  return painted(text.join("").padStart(width), peak > 0 ? "cyan" : "dim", style);
}
