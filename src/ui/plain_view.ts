/**
 * The view for files and pipes: a line of progress every few seconds, messages on standard error.
 *
 * @module
 */

import type { Timer } from "../platform/platform.ts";
import { isSameReason, type TorrentSnapshot, type TorrentState } from "../session/session_events.ts";
import {
  formatDuration,
  formatPart,
  formatPercent,
  formatPlural,
  formatRate,
  formatSize,
  ratioOf,
  remainingTime,
} from "./format.ts";
import { type LogLine, LogLines, plainLogLine } from "./log_lines.ts";
import { shown, type Style } from "./style.ts";
import { Summary } from "./summary.ts";
import type { View, ViewEvent, ViewOptions } from "./view.ts";

/** Milliseconds between two looks at the torrents and their peers. */
const LOOK_MS = 1000;
/** Looks per line of progress. */
const LOOKS_PER_LINE = 5;
/** Looks for which nothing arrives before it is said why: most waits are over sooner. */
const LOOKS_OF_WAITING = 3;
/** Looks between two times that the reason is said. */
const LOOKS_PER_REASON = 30;
/** Reasons at one look. Thousands of torrents may wait. */
const MAX_REASONS = 10;
/** Output keeps non-ASCII characters but has no colours. */
const STYLE: Style = { color: false, unicode: true };

/** A torrent to which nothing arrives. */
interface Waiting {
  /** Number of looks since it began to wait. */
  readonly looks: number;
  /** The reason that was said last; `null` if none was. */
  readonly said: string | null;
  /** Value of `looks` at that time. */
  readonly saidAt: number;
}

/** A {@linkcode View} for output that is not a terminal. */
export class PlainView implements View {
  readonly isPicture = false;
  readonly #options: ViewOptions;
  readonly #summary: Summary;
  readonly #log: LogLines;
  /** Last line of each torrent, by info-hash. An unchanged line is not repeated. */
  readonly #said = new Map<string, string>();
  /** Torrents that have been waiting, by info-hash. */
  readonly #waiting = new Map<string, Waiting>();
  /** Names of magnet links whose metadata isn't here yet, by info-hash, until that was said. */
  readonly #searching = new Map<string, string>();
  #looks = 0;
  #timer: Timer | null = null;
  #open = false;

  constructor(options: ViewOptions) {
    this.#options = options;
    this.#summary = new Summary(options.snapshots);
    this.#log = new LogLines(options.verbosity);
  }

  /** Starts the timer. The first line comes with the first event or after some seconds. */
  start(): void {
    this.#open = true;
    this.#wait();
  }

  /** @param event Printed at once if it warrants a message. */
  event(event: ViewEvent): void {
    this.#summary.event(event);
    if (event.event === "error" || event.event === "stopped") this.#searching.delete(event.infohash);
    if (event.event === "added" || event.event === "metadata") {
      const { infohash, name, size, files } = event;
      // Metadata that is kept from an earlier run arrives at once.
      if (size === null || files === null) this.#searching.set(infohash, name);
      else {
        this.#searching.delete(infohash);
        this.#introduce(name, `${formatSize(size)} in ${formatPlural(files, "file")}`);
      }
    }
    if (event.event === "error") return; // the caller writes its error line
    const line = this.#log.of(event);
    if (line !== null) this.#say(line);
  }

  /** @param text Printed on standard error. */
  note(text: string): void {
    this.#say({ level: "note", text });
  }

  /** Failures are reported by the error line. */
  failed(): void {}

  /** Prints the summary. */
  async close(): Promise<void> {
    if (!this.#open) return;
    this.#open = false;
    this.#timer?.cancel();
    const { savedIn, resumable, terminal } = this.#options;
    this.#summary.observe();
    const lines = this.#summary.lines({ savedIn, resumable, style: STYLE });
    await terminal.stdout.write(lines.map((line) => `${line}\n`).join(""));
  }

  #wait(): void {
    this.#timer = this.#options.platform.after(LOOK_MS, () => {
      this.#wait();
      this.#look();
    });
  }

  #introduce(name: string, what: string): void {
    void this.#options.terminal.stdout.write(`${shown(name, STYLE)}: ${what}\n`);
  }

  #look(): void {
    const { terminal } = this.#options;
    for (const name of this.#searching.values()) this.#introduce(name, "asking peers for the metadata");
    this.#searching.clear();
    const torrents = this.#summary.observe();
    this.#looks++;
    this.#explain(torrents);
    if (this.#looks % LOOKS_PER_LINE !== 0 || terminal.stdout.busy) return;
    for (const torrent of torrents) {
      const line = plainLine(torrent);
      if (this.#said.get(torrent.infoHash.hex) === line) continue;
      this.#said.set(torrent.infoHash.hex, line);
      void terminal.stdout.write(`${line}\n`);
    }
  }

  /** Says why nothing arrives: after some seconds, soon when the reason is another one, and then twice a minute. */
  #explain(torrents: readonly TorrentSnapshot[]): void {
    const due = torrents.filter((torrent) => {
      const hash = torrent.infoHash.hex;
      if (torrent.waiting === null || !isExplained(torrent.state)) return this.#waiting.delete(hash) && false;
      const { looks, said, saidAt } = this.#waiting.get(hash) ?? { looks: 0, said: null, saidAt: 0 };
      const now = looks + 1;
      const isDue = said === null
        ? now >= LOOKS_OF_WAITING
        : now - saidAt >= (isSameReason(said, torrent.waiting) ? LOOKS_PER_REASON : LOOKS_PER_LINE);
      this.#waiting.set(hash, { looks: now, ...(isDue ? { said: torrent.waiting, saidAt: now } : { said, saidAt }) });
      return isDue;
    });
    const { terminal } = this.#options;
    if (due.length === 0 || terminal.stdout.busy) return;
    const lines = due.slice(0, MAX_REASONS).map((torrent) => shown(`${torrent.name}: ${torrent.waiting}`, STYLE));
    const more = due.length > MAX_REASONS ? [`${formatPlural(due.length - MAX_REASONS, "more torrent")} waiting`] : [];
    void terminal.stdout.write([...lines, ...more].map((line) => `${line}\n`).join(""));
  }

  #say(line: LogLine): void {
    void this.#options.terminal.stderr.write(plainLogLine(line));
  }
}

/** Returns `true` if a torrent in this state ought to get on, so that its waiting is explained. */
function isExplained(state: TorrentState): boolean {
  return state === "metadata" || state === "checking" || state === "downloading";
}

/**
 * Describes the progress of a torrent in one line.
 *
 * @param torrent The torrent.
 * @returns The line without a line end.
 */
function plainLine(torrent: TorrentSnapshot): string {
  return `${shown(torrent.name, STYLE)}: ${describe(torrent)}`;
}

function describe(torrent: TorrentSnapshot): string {
  const peers = formatPlural(torrent.peerCount, "peer");
  const up = `${formatRate(torrent.rateUp)} up`;
  switch (torrent.state) {
    case "downloading": {
      const left = remainingTime(torrent);
      const eta = left === null ? "" : `, ETA ${formatDuration(left)}`;
      const part = `${formatPercent(torrent.progress)} (${formatPart(torrent.verified, torrent.size)})`;
      return `${part}, ${formatRate(torrent.rateDown)} down, ${up}, ${peers}${eta}`;
    }
    case "seeding":
      return `seeding, ${up}, ${formatSize(torrent.uploaded)} sent (ratio ${ratioOf(torrent).toFixed(2)}), ${peers}`;
    case "metadata":
      return `metadata (${formatPercent(torrent.progress)}), ${peers}`;
    case "error":
      return `failed at ${formatPercent(torrent.progress)}: ${shown(torrent.error ?? "", STYLE)}`;
    default:
      return `${torrent.state} (${formatPercent(torrent.progress)})`;
  }
}
