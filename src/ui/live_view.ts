/**
 * The view for people: a table that redraws itself, with messages above it.
 *
 * @module
 */

import type { Timer } from "../platform/platform.ts";
import type { Disturbance } from "../platform/terminal.ts";
import { LiveRegion } from "./live_region.ts";
import { type LogLine, LogLines, plainLogLine, styledLogLine } from "./log_lines.ts";
import { type Style, styleFor } from "./style.ts";
import { Summary } from "./summary.ts";
import { renderTable } from "./table.ts";
import type { View, ViewEvent, ViewOptions } from "./view.ts";

/** Milliseconds between two frames: five a second. */
const FRAME_MS = 200;
/** Milliseconds that a terminal that takes nothing may hold up the end. */
const LAST_WRITE_MS = 500;
/** Milliseconds without a frame after which the program may have been suspended. */
const LATE_MS = 2 * FRAME_MS;
/** Most messages kept for the next frame; a terminal that is held up gets the latest ones. */
const MAX_WAITING = 200;

/** {@linkcode View} on a terminal. A frame that the terminal is not ready for is left out, never queued. */
export class LiveView implements View {
  readonly #options: ViewOptions;
  readonly #style: Style;
  readonly #region = new LiveRegion();
  readonly #summary: Summary;
  readonly #log: LogLines;
  #waiting: string[] = [];
  #lost = 0;
  #timer: Timer | null = null;
  #redrawAll = false;
  #open = false;
  #forget = () => {};
  /** When the last frame was due. */
  #lastTick = 0;

  /** @param options What to draw from and on. */
  constructor(options: ViewOptions) {
    this.#options = options;
    this.#summary = new Summary(options.snapshots);
    this.#style = styleFor((name) => options.terminal.env(name));
    this.#log = new LogLines(options.verbosity);
  }

  /** Draws the first frame. */
  start(): void {
    const { platform, terminal } = this.#options;
    this.#open = true;
    this.#lastTick = platform.now();
    this.#forget = terminal.onDisturbance((disturbance) => this.#disturbed(disturbance));
    this.#tick();
  }

  /** @param event Shown in the table by and by; a message about it appears above. */
  event(event: ViewEvent): void {
    this.#summary.event(event);
    const line = this.#log.of(event);
    if (line !== null) this.#say(line);
  }

  /** @param text Shown above the table. */
  note(text: string): void {
    this.#say({ level: "note", text });
  }

  /** The error line is enough. */
  failed(): void {}

  /** Replaces the table by the summary. */
  async close(): Promise<void> {
    if (!this.#open) return;
    this.#open = false;
    this.#timer?.cancel();
    const { platform, terminal, savedIn, resumable } = this.#options;
    this.#summary.observe();
    const { columns } = terminal.size();
    const summary = this.#summary.lines({ savedIn, resumable, style: this.#style, columns });
    const left = [...this.#takeWaiting(), ...summary];
    const written = terminal.stdout.write(this.#region.end({ columns, left }));
    let deadline: Timer | undefined;
    const late = new Promise<void>((resolve) => deadline = platform.after(LAST_WRITE_MS, resolve));
    await Promise.race([written, late]);
    deadline?.cancel();
    this.#forget();
  }

  #tick(): void {
    const { platform, terminal } = this.#options;
    this.#timer = platform.after(FRAME_MS, () => this.#tick());
    const now = platform.now();
    const late = now - this.#lastTick > LATE_MS;
    this.#lastTick = now;
    const torrents = this.#summary.observe();
    // After a pause, the signal that says why comes before the next frame, and may come after this one.
    if (late || terminal.stdout.busy) return;
    const { columns, rows } = terminal.size();
    const lines = renderTable(torrents, { columns, rows, style: this.#style });
    const text = this.#region.draw(lines, { columns, above: this.#takeWaiting(), force: this.#redrawAll });
    this.#redrawAll = false;
    if (text !== "") void terminal.stdout.write(text);
  }

  /** After `continued`, what the shell wrote stands below the table; a new one is drawn below that. */
  #disturbed(disturbance: Disturbance): void {
    if (disturbance === "continued") this.#region.leave();
    this.#redrawAll = true;
  }

  #say(line: LogLine): void {
    const { terminal } = this.#options;
    // Whoever sends standard error elsewhere wants the messages there.
    if (!this.#open || !terminal.stderr.isTerminal) return void terminal.stderr.write(plainLogLine(line));
    this.#waiting.push(styledLogLine(line, this.#style));
    if (this.#waiting.length > MAX_WAITING) {
      this.#waiting.shift();
      this.#lost++;
    }
  }

  #takeWaiting(): string[] {
    const lines = this.#lost === 0 ? this.#waiting : [`(${this.#lost} messages left out)`, ...this.#waiting];
    this.#waiting = [];
    this.#lost = 0;
    return lines;
  }
}
