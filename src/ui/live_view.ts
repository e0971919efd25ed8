/**
 * The view for people: a picture on the terminal that is redrawn periodically, shows messages, and responds to keys.
 *
 * @module
 */

import type { Timer } from "../platform/platform.ts";
import type { Disturbance } from "../platform/terminal.ts";
import type { Bytes } from "../base/bytes.ts";
import type { TorrentSnapshot } from "../session/session_events.ts";
import { LiveRegion } from "./live_region.ts";
import { formatPlural } from "./format.ts";
import { type LogLine, LogLines, plainLogLine, styledLogLine } from "./log_lines.ts";
import { type Style, styleFor } from "./style.ts";
import { Summary } from "./summary.ts";
import { logRows, type Picture, renderDashboard, scrollArea, type Window } from "./dashboard.ts";
import { ASK_CURSOR, KeyReader } from "./keys.ts";
import { endsHold, FIRST_STATE, handleKey, type KeyAction, type LiveState } from "./live_state.ts";
import { RateHistory } from "./spark.ts";
import type { View, ViewEvent, ViewOptions } from "./view.ts";

/** Milliseconds between two frames. */
const FRAME_MS = 200;
/** Milliseconds that close() waits for a terminal that takes no output. */
const LAST_WRITE_MS = 500;
/** Milliseconds without a frame after which the program may have been suspended. */
const LATE_MS = 2 * FRAME_MS;
/** Milliseconds without data after which a download is called stalled. */
const STALLED_MS = 10_000;
/**
 * Milliseconds after the start until the terminal is asked where the cursor is. A program that ends sooner would leave the
 * answer to the shell.
 */
const ASK_MS = 1000;
/** Milliseconds that close() waits for that answer. */
const ANSWER_MS = 100;
/** Most messages to keep for the next frame. The oldest are dropped if the terminal is blocked. */
const MAX_WAITING = 200;

/** A {@linkcode View} on a terminal. Skips frames that the terminal is not ready for. */
export class LiveView implements View {
  readonly isPicture = true;
  readonly #options: ViewOptions;
  readonly #style: Style;
  readonly #region = new LiveRegion();
  readonly #summary: Summary;
  readonly #log: LogLines;
  readonly #keys = new KeyReader({ onCursor: (row) => this.#cursorAt(row) });
  readonly #rates = new Map<string, { readonly down: RateHistory; readonly up: RateHistory }>();
  /** Time at which each torrent last got data or did something else than download, by info-hash. */
  readonly #movedAt = new Map<string, number>();
  #state: LiveState = FIRST_STATE;
  #torrents: readonly TorrentSnapshot[] = [];
  /** Most peers shown since the window or the selected torrent changed. */
  #peerRows = 0;
  /** Messages shown in the picture. */
  readonly #pane: string[] = [];
  /** Messages to print above the picture with the next frame. */
  #waiting: string[] = [];
  #lost = 0;
  #timer: Timer | null = null;
  #redrawAll = false;
  /** Time from which on the terminal is to be asked where the cursor is; `null` while there is no need. */
  #askAt: number | null = null;
  /** Called with the answer that is awaited; `null` if none is. */
  #onAnswer: (() => void) | null = null;
  /** Whether the cursor has moved since the question. */
  #isAnswerOld = false;
  /** Size of the window and of the picture in the last frame. */
  #shape = "";
  #open = false;
  #forget = () => {};
  #stopKeys: (() => void) | null = null;
  /** Ends {@linkcode LiveView.hold}; `null` while the view isn't held. */
  #release: (() => void) | null = null;
  /** Time of the last tick, in milliseconds. */
  #lastTick = 0;

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
    this.#askAt = platform.now() + ASK_MS;
    this.#forget = terminal.onDisturbance((disturbance) => this.#disturbed(disturbance));
    this.#stopKeys = terminal.readKeys((bytes) => this.#typed(bytes));
    this.#tick();
  }

  /** @param event Shown with the next frame, with a message if it warrants one. */
  event(event: ViewEvent): void {
    this.#summary.event(event);
    const line = this.#log.of(event);
    if (line !== null) this.#say(line);
  }

  /** @param text Shown among the messages. */
  note(text: string): void {
    this.#say({ level: "note", text });
  }

  /** Failures are reported by the error line. */
  failed(): void {}

  /**
   * Keeps the picture until a key is pressed. Keys that show something else, such as `f`, still do that.
   *
   * @returns Settles at once if standard input is not a terminal.
   */
  hold(): Promise<void> {
    if (!this.#open || this.#stopKeys === null) return Promise.resolve();
    this.note("done; look around with the keys below, and press q or Enter to end");
    this.#torrents = this.#summary.observe();
    this.#draw();
    return new Promise((resolve) => this.#release = resolve);
  }

  /** Replaces the picture by the summary. */
  async close(): Promise<void> {
    if (!this.#open) return;
    this.#open = false;
    this.#timer?.cancel();
    await this.#answered();
    this.#stopKeys?.();
    const { platform, terminal, savedIn, resumable } = this.#options;
    this.#summary.observe();
    const { columns, rows } = terminal.size();
    const summary = this.#summary.lines({ savedIn, resumable, style: this.#style, columns });
    const left = [...this.#takeWaiting(), ...this.#pane.splice(0), ...summary];
    const written = terminal.stdout.write(this.#region.end({ columns, rows, left }));
    let deadline: Timer | undefined;
    const late = new Promise<void>((resolve) => deadline = platform.after(LAST_WRITE_MS, resolve));
    await Promise.race([written, late]);
    deadline?.cancel();
    this.#forget();
  }

  #tick(): void {
    const { platform } = this.#options;
    this.#timer = platform.after(FRAME_MS, () => this.#tick());
    const now = platform.now();
    const late = now - this.#lastTick > LATE_MS;
    this.#lastTick = now;
    this.#torrents = this.#summary.observe();
    for (const torrent of this.#torrents) {
      const { down, up } = this.#ratesOf(torrent);
      down.note(now, torrent.rateDown);
      up.note(now, torrent.rateUp);
      const moves = torrent.state !== "downloading" || torrent.rateDown > 0;
      const { hex } = torrent.infoHash;
      if (moves || !this.#movedAt.has(hex)) this.#movedAt.set(hex, now);
    }
    // After a suspension, the signal that reports it may come only after this frame, so skip the frame.
    if (!late) this.#draw();
  }

  #draw(): void {
    const { terminal } = this.#options;
    if (terminal.stdout.busy) return;
    const { columns, rows } = terminal.size();
    const selected = this.#torrents[this.#state.selected];
    this.#peerRows = Math.max(this.#peerRows, selected?.peers.length ?? 0);
    const pane = logRows(this.#picture, this.#window);
    this.#waiting.push(...this.#pane.splice(0, Math.max(0, this.#pane.length - pane)));
    const lines = renderDashboard(this.#picture, this.#window);
    const above = this.#takeWaiting();
    const text = this.#region.draw(lines, { columns, rows, above, force: this.#redrawAll });
    this.#redrawAll = false;
    const shape = `${columns} ${rows} ${lines.length}`;
    if (shape !== this.#shape || above.length > 0) this.#isAnswerOld = true;
    this.#shape = shape;
    const question = this.#question();
    if (text + question !== "") void terminal.stdout.write(text + question);
  }

  /** Returns the question where the cursor is, if it is time to ask. */
  #question(): string {
    const now = this.#options.platform.now();
    if (this.#stopKeys === null || this.#askAt === null || now < this.#askAt || this.#onAnswer !== null) return "";
    this.#askAt = null;
    this.#isAnswerOld = false;
    this.#onAnswer = () => {};
    return ASK_CURSOR;
  }

  #cursorAt(row: number): void {
    if (this.#onAnswer === null) return;
    this.#onAnswer();
    this.#onAnswer = null;
    if (this.#isAnswerOld) this.#askAt = this.#options.platform.now();
    else this.#region.cursorAt(row);
  }

  /** Waits a moment for an answer that is due, which would otherwise be typed into the shell. */
  async #answered(): Promise<void> {
    if (this.#onAnswer === null) return;
    let deadline: Timer | undefined;
    await new Promise<void>((resolve) => {
      this.#onAnswer = resolve;
      deadline = this.#options.platform.after(ANSWER_MS, resolve);
    });
    deadline?.cancel();
  }

  get #window(): Window {
    return { ...this.#options.terminal.size(), style: this.#style };
  }

  get #picture(): Picture {
    const { controls, platform } = this.#options;
    const selected = this.#torrents[this.#state.selected];
    const hash = this.#selectedHash;
    const since = platform.now() - STALLED_MS;
    return {
      torrents: this.#torrents,
      state: this.#state,
      rates: this.#ratesOf(selected),
      pieces: (cells) => controls.pieceMap(hash, cells),
      files: () => controls.files(hash),
      sources: () => controls.sources(hash),
      log: this.#pane,
      peerRows: this.#peerRows,
      limits: controls.limits(),
      stalled: new Set([...this.#movedAt].filter(([, at]) => at <= since).map(([hex]) => hex)),
    };
  }

  #ratesOf(torrent: TorrentSnapshot | undefined): { readonly down: RateHistory; readonly up: RateHistory } {
    const key = torrent?.infoHash.hex ?? "";
    const known = this.#rates.get(key) ?? { down: new RateHistory(), up: new RateHistory() };
    this.#rates.set(key, known);
    return known;
  }

  #typed(bytes: Bytes): void {
    const keys = this.#keys.read(bytes, { typing: this.#state.prompt !== null });
    if (!this.#open || keys.length === 0) return;
    for (const key of keys) {
      const around = { torrents: this.#torrents.length, ...scrollArea(this.#picture, this.#window) };
      if (this.#release !== null && endsHold(this.#state, { key, around })) {
        this.#release();
        return;
      }
      const { state, action } = handleKey(this.#state, { key, around });
      if (state.selected !== this.#state.selected) this.#peerRows = 0;
      this.#state = state;
      if (action) this.#do(action);
    }
    this.#torrents = this.#summary.observe();
    this.#draw();
  }

  get #selectedHash(): string {
    return this.#torrents[this.#state.selected]?.infoHash.hex ?? "";
  }

  #do(deed: KeyAction): void {
    const { controls } = this.#options;
    if (deed.kind === "quit") controls.quit();
    else if (deed.kind === "limits") controls.setLimits(deed);
    else if (deed.kind === "pause") {
      controls.togglePause(deed.all ? this.#torrents.map(({ infoHash }) => infoHash.hex) : [this.#selectedHash]);
    }
  }

  /** After `continued`, the shell's output follows the picture, so a new picture is drawn below. */
  #disturbed(disturbance: Disturbance): void {
    if (disturbance === "continued") this.#region.leave();
    this.#redrawAll = true;
    this.#askAt = this.#options.platform.now();
    this.#peerRows = 0;
  }

  #say(line: LogLine): void {
    const { terminal } = this.#options;
    // Messages go to standard error if it is redirected.
    if (!this.#open || !terminal.stderr.isTerminal) return void terminal.stderr.write(plainLogLine(line));
    this.#pane.push(styledLogLine(line, this.#style));
    if (this.#pane.length + this.#waiting.length <= MAX_WAITING) return;
    (this.#waiting.length > 0 ? this.#waiting : this.#pane).shift();
    this.#lost++;
  }

  #takeWaiting(): string[] {
    const lines = this.#lost === 0
      ? this.#waiting
      : [`(${formatPlural(this.#lost, "message")} left out)`, ...this.#waiting];
    this.#waiting = [];
    this.#lost = 0;
    return lines;
  }
}
