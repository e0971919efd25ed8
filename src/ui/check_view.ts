/**
 * Shows the progress of a hash check: a bar on a terminal, otherwise a line every few seconds.
 *
 * @module
 */

import type { Platform, Timer } from "../platform/platform.ts";
import type { Disturbance, Terminal } from "../platform/terminal.ts";
import { renderBar } from "./bar.ts";
import { formatColumnRate, formatDuration, formatPercent, formatRate } from "./format.ts";
import { LiveRegion } from "./live_region.ts";
import { painted, shown, type Style, styleFor } from "./style.ts";
import { clip } from "./text.ts";

/** Options for a {@linkcode CheckView}. */
export interface CheckViewOptions {
  /** Clock and timers. */
  readonly platform: Pick<Platform, "now" | "after">;
  /** Terminal to draw on. */
  readonly terminal: Terminal;
  /** Name of the checked torrent or folder. */
  readonly name: string;
  /** Verb for the work (default `checking`). */
  readonly verb?: string;
}

/** Shows the progress of a check. */
export interface CheckView {
  /** Starts to draw. */
  start(): void;
  /** Updates the progress: a fraction from 0 to 1, and the checked bytes. */
  progress(fraction: number, bytes: number): void;
  /** Stops drawing. Does nothing when called again. */
  close(): Promise<void>;
}

/** Milliseconds between two frames. */
const FRAME_MS = 100;
/** Milliseconds between two lines where the output is not a terminal. */
const LINE_MS = 5000;
/** Milliseconds without a frame after which the program may have been suspended. */
const LATE_MS = 4 * FRAME_MS;
const MAX_WIDTH = 120;
/** Shortest useful bar, in cells. */
const MIN_BAR = 10;
const PLAIN: Style = { color: false, unicode: true };

/** Progress of a check. */
export interface CheckState {
  /** Verb for the work, such as `checking`. */
  readonly verb: string;
  /** Name of the checked torrent or folder. */
  readonly name: string;
  /** 0 to 1. */
  readonly fraction: number;
  /** Checked bytes. */
  readonly bytes: number;
  /** Seconds since the start. */
  readonly seconds: number;
}

/** Options for {@linkcode renderCheck}. */
export interface RenderCheckOptions {
  /** Width of the window, in cells. */
  readonly columns: number;
  /** What the terminal can show. */
  readonly style: Style;
}

/**
 * Draws the progress of a check. A pure function.
 *
 * @param state The progress.
 * @param options See {@linkcode RenderCheckOptions}.
 * @returns Two lines, at most as wide as the window: the name; bar, percentage, rate and remaining time.
 */
export function renderCheck(state: CheckState, { columns, style }: RenderCheckOptions): string[] {
  const width = Math.min(MAX_WIDTH, columns);
  const head = state.verb;
  const name = clip(state.name, { width: Math.max(0, width - head.length - 2), style });
  const percent = formatPercent(state.fraction).padStart(6);
  const { rate, eta } = speedOf(state);
  const fields = [percent, formatColumnRate(rate).padStart(11), `ETA ${formatDuration(eta).padStart(7)}`];
  // Drop the less important fields in a narrow window.
  while (fields.length > 1 && MIN_BAR + fields.join("  ").length + 2 > width) fields.pop();
  const text = fields.join("  ");
  const cells = width - text.length - 2;
  const bar = cells < 3 ? "" : `${renderBar(state.fraction, { width: cells, paint: "cyan", style })}  `;
  return [`${painted(head, "cyan", style)}  ${painted(name, "bold", style)}`, bar + text.slice(0, width)];
}

/** Returns the average rate in bytes per second, and the remaining seconds at that rate. */
function speedOf({ fraction, bytes, seconds }: CheckState): { readonly rate: number; readonly eta: number | null } {
  return {
    rate: seconds > 0 ? bytes / seconds : 0,
    eta: fraction > 0 && fraction < 1 ? seconds * (1 - fraction) / fraction : null,
  };
}

/** Base class of both views: tracks the progress and calls `tick()` periodically. */
abstract class Ticking implements CheckView {
  protected readonly options: CheckViewOptions;
  readonly #interval: number;
  #fraction = 0;
  #bytes = 0;
  #startedAt = 0;
  #timer: Timer | null = null;

  constructor(options: CheckViewOptions, interval: number) {
    this.options = options;
    this.#interval = interval;
  }

  protected get state(): CheckState {
    const seconds = (this.options.platform.now() - this.#startedAt) / 1000;
    const { name, verb = "checking" } = this.options;
    return { verb, name, fraction: this.#fraction, bytes: this.#bytes, seconds };
  }

  start(): void {
    this.#startedAt = this.options.platform.now();
    this.#wait();
  }

  progress(fraction: number, bytes: number): void {
    this.#fraction = fraction;
    this.#bytes = bytes;
  }

  close(): Promise<void> {
    const timer = this.#timer;
    this.#timer = null;
    timer?.cancel();
    return timer === null ? Promise.resolve() : this.end();
  }

  protected abstract tick(): void;

  protected abstract end(): Promise<void>;

  #wait(): void {
    this.#timer = this.options.platform.after(this.#interval, () => {
      this.#wait();
      this.tick();
    });
  }
}

/** A {@linkcode CheckView} on a terminal. Skips frames that the terminal is not ready for. */
export class LiveCheckView extends Ticking {
  readonly #region = new LiveRegion();
  readonly #style: Style;
  #lastTick = 0;
  #redrawAll = false;
  #forget = () => {};

  constructor(options: CheckViewOptions) {
    super(options, FRAME_MS);
    this.#style = styleFor((name) => options.terminal.env(name));
  }

  /** Draws the first frame. */
  override start(): void {
    super.start();
    this.#forget = this.options.terminal.onDisturbance((disturbance) => this.#disturbed(disturbance));
    this.#lastTick = this.options.platform.now();
    this.tick();
  }

  protected tick(): void {
    const { terminal, platform } = this.options;
    const now = platform.now();
    const late = now - this.#lastTick > LATE_MS;
    this.#lastTick = now;
    // After a suspension, the signal that reports it may come only after this frame, so skip the frame.
    if (late || terminal.stdout.busy) return;
    const { columns, rows } = terminal.size();
    const lines = renderCheck(this.state, { columns, style: this.#style });
    const text = this.#region.draw(lines, { columns, rows, force: this.#redrawAll });
    this.#redrawAll = false;
    if (text !== "") void terminal.stdout.write(text);
  }

  protected end(): Promise<void> {
    this.#forget();
    const { terminal } = this.options;
    return terminal.stdout.write(this.#region.end({ ...terminal.size(), left: [] }));
  }

  #disturbed(disturbance: Disturbance): void {
    if (disturbance === "continued") this.#region.leave();
    this.#redrawAll = true;
  }
}

/** A {@linkcode CheckView} for output that is not a terminal. */
export class PlainCheckView extends Ticking {
  constructor(options: CheckViewOptions) {
    super(options, LINE_MS);
  }

  protected tick(): void {
    const { stdout } = this.options.terminal;
    if (stdout.busy) return;
    const { state } = this;
    const { rate, eta } = speedOf(state);
    const rest = eta === null ? "" : `, ETA ${formatDuration(eta)}`;
    const text = `${state.verb} (${formatPercent(state.fraction)}), ${formatRate(rate)}${rest}`;
    void stdout.write(`${shown(state.name, PLAIN)}: ${text}\n`);
  }

  protected end(): Promise<void> {
    return Promise.resolve();
  }
}
