/**
 * Keeps the rates of the last minute, one per second, and draws them as a sparkline.
 *
 * @module
 */

import { painted, type Style } from "./style.ts";

/** Seconds to draw. */
const MINUTE = 60;
/** Seconds to keep. Bars are aligned to the clock, so that the first bar may start before the minute. */
const KEPT = 2 * MINUTE;
const BARS = "\u2581\u2582\u2583\u2584\u2585\u2586\u2587\u2588";
const ASCII_BARS = "_.-:=+*#";

/** History of a rate over the last minute. */
export class RateHistory {
  readonly #rates: number[] = [];
  /** Second of the last rate, on the clock of `note()`. */
  #last = -1;

  /**
   * Adds a rate. The last rate within a second counts. Missed seconds get the same rate.
   *
   * @param now Milliseconds.
   * @param rate Bytes per second.
   */
  note(now: number, rate: number): void {
    const second = Math.floor(now / 1000);
    const missed = this.#last < 0 ? 1 : Math.min(KEPT, second - this.#last);
    if (missed === 0) this.#rates[this.#rates.length - 1] = rate;
    for (let i = 0; i < missed; i++) this.#rates.push(rate);
    if (this.#rates.length > KEPT) this.#rates.splice(0, this.#rates.length - KEPT);
    this.#last = second;
  }

  /** Largest rate of the last minute. */
  get peak(): number {
    return this.#rates.slice(-MINUTE).reduce((most, rate) => Math.max(most, rate), 0);
  }

  /**
   * Divides the last minute into steps.
   *
   * @param width Number of steps, at least 1.
   * @returns Mean rate of each step, the latest last; fewer than `width` during the first minute.
   */
  steps(width: number): number[] {
    const each = Math.ceil(MINUTE / Math.min(width, MINUTE));
    // Steps are aligned to the clock, so that bars of the past don't change.
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

/** Options for {@linkcode renderSpark}. */
export interface SparkOptions {
  /** Width in cells, at least 1. */
  readonly width: number;
  /** What the terminal can show. */
  readonly style: Style;
}

/**
 * Draws rates as bars.
 *
 * @param history The rates.
 * @param options See {@linkcode SparkOptions}.
 * @returns Text of `width` cells, the latest rate on the right.
 */
export function renderSpark(history: RateHistory, options: SparkOptions): string {
  const { width, style } = options;
  const bars = style.unicode ? BARS : ASCII_BARS;
  const { peak } = history;
  const text = history.steps(width).map((rate) => bars[rate <= 0 ? 0 : 1 + Math.floor(Math.min(1, rate / peak) * 6)]!);
  return painted(text.join("").padStart(width), peak > 0 ? "cyan" : "dim", style);
}
