/**
 * The view for people: a table that redraws itself, with messages above it.
 *
 * @module
 */

import type { Timer } from "../platform/platform.ts";
import type { SessionEvent } from "../session/types.ts";
import { LiveRegion, SHOW_CURSOR } from "./live_region.ts";
import { type LogLine, LogLines, plainLogLine, styledLogLine } from "./log_lines.ts";
import { type Style, styleFor } from "./style.ts";
import { Summary } from "./summary.ts";
import { renderTable } from "./table.ts";
import type { View, ViewOptions } from "./view.ts";

/** Milliseconds between two frames: five a second. */
const FRAME_MS = 200;
/** Milliseconds that a terminal that takes nothing may hold up the end. */
const LAST_WRITE_MS = 500;
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
  #undo: (() => void)[] = [];

  /** @param options What to draw from and on. */
  constructor(options: ViewOptions) {
    this.#options = options;
    this.#summary = new Summary(options.snapshots);
    this.#style = styleFor((name) => options.terminal.env(name));
    this.#log = new LogLines(options.verbosity);
  }

  /** Draws the first frame. */
  start(): void {
    const { terminal } = this.#options;
    this.#open = true;
    this.#undo = [terminal.atExit(SHOW_CURSOR), terminal.onRedraw(() => this.#redrawAll = true)];
    this.#tick();
  }

  /** @param event Shown in the table by and by; a message about it appears above. */
  event(event: SessionEvent): void {
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
    const { platform, terminal, savedIn } = this.#options;
    this.#summary.observe();
    const { columns } = terminal.size();
    const left = [...this.#takeWaiting(), ...this.#summary.lines({ savedIn, style: this.#style, columns })];
    const written = terminal.stdout.write(this.#region.end({ columns, left }));
    let deadline: Timer | undefined;
    const late = new Promise<"late">((resolve) => deadline = platform.after(LAST_WRITE_MS, () => resolve("late")));
    const inTime = await Promise.race([written, late]) !== "late";
    deadline?.cancel();
    // Until the cursor is back for sure, the end of the program still owes it.
    const [takeBackCursor, ...others] = this.#undo;
    if (inTime) takeBackCursor?.();
    for (const undo of others) undo();
  }

  #tick(): void {
    this.#timer = this.#options.platform.after(FRAME_MS, () => this.#tick());
    const { terminal } = this.#options;
    const torrents = this.#summary.observe();
    if (terminal.stdout.busy) return;
    const { columns, rows } = terminal.size();
    const lines = renderTable(torrents, { columns, rows, style: this.#style });
    const text = this.#region.draw(lines, { columns, above: this.#takeWaiting(), force: this.#redrawAll });
    this.#redrawAll = false;
    if (text !== "") void terminal.stdout.write(text);
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
