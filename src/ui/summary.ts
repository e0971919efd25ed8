/**
 * Summarizes a session at its end.
 *
 * @module
 */

import stringWidth from "string-width";
import type { TorrentSnapshot } from "../session/session_events.ts";
import { formatElapsed, formatPart, formatPercent, formatPlural, formatRate, formatSize, ratioOf } from "./format.ts";
import { painted, shown, type Style } from "./style.ts";
import { clip } from "./text.ts";
import type { ViewEvent } from "./view.ts";

interface Account {
  /** Last snapshot; `null` before the first one. */
  last: TorrentSnapshot | null;
  /** Addresses of the peers that sent payload. */
  readonly senders: Set<string>;
  completed: { readonly bytes: number; readonly downloading: number } | null;
  failed: boolean;
}

/** Options for {@linkcode Summary.lines}. */
export interface SummaryOptions {
  /** Returns the folder of a torrent's data by info-hash; `null` if the folder shall not be shown. */
  readonly savedIn: (infohash: string) => string | null;
  /** Whether the same command resumes the download. */
  readonly resumable: boolean;
  /** What the terminal can show. */
  readonly style: Style;
  /** Width at which to break lines; one line per torrent when absent. */
  readonly columns?: number;
}

/** Follows torrents from the start of a session and summarizes them at its end. */
export class Summary {
  readonly #accounts = new Map<string, Account>();
  readonly #snapshots: () => readonly TorrentSnapshot[];

  /** @param snapshots Returns snapshots of all torrents. */
  constructor(snapshots: () => readonly TorrentSnapshot[]) {
    this.#snapshots = snapshots;
  }

  /**
   * Takes and records snapshots.
   *
   * @returns Snapshots of all torrents.
   */
  observe(): readonly TorrentSnapshot[] {
    const torrents = this.#snapshots();
    for (const torrent of torrents) {
      const account = this.#account(torrent.infoHash.hex);
      account.last = torrent;
      for (const peer of torrent.peers) if (peer.downloaded > 0) account.senders.add(peer.address);
    }
    return torrents;
  }

  /**
   * Records an event. Events show peers that come and go between two snapshots.
   *
   * @param event The event.
   */
  event(event: ViewEvent): void {
    if (event.infohash === null) return;
    const account = this.#account(event.infohash);
    if (event.event === "completed") {
      this.observe(); // a download can be over between two snapshots
      account.completed = event;
    }
    if (event.event === "error") account.failed = true;
    if (event.event === "peer" && event.action === "disconnected" && (event.downloaded ?? 0) > 0) {
      account.senders.add(event.address);
    }
  }

  /**
   * Returns the summary.
   *
   * @param options See {@linkcode SummaryOptions}.
   * @returns Lines without line ends. A failed torrent has no lines, since its error line is enough, nor has one that has
   * become one with another.
   */
  lines(options: SummaryOptions): string[] {
    const present = new Set(this.#snapshots().map(({ infoHash }) => infoHash.hex));
    return [...this.#accounts].flatMap(([infohash, { last, failed, ...rest }]) =>
      last === null || !present.has(infohash) || failed || last.state === "error"
        ? []
        : render({ last, ...rest }, options)
    );
  }

  #account(infohash: string): Account {
    const known = this.#accounts.get(infohash);
    if (known !== undefined) return known;
    const made = { last: null, senders: new Set<string>(), completed: null, failed: false };
    this.#accounts.set(infohash, made);
    return made;
  }
}

type Outcome = Pick<Account, "senders" | "completed"> & { readonly last: TorrentSnapshot };

function render(outcome: Outcome, options: SummaryOptions): string[] {
  const { savedIn, style, columns = Infinity } = options;
  const { last } = outcome;
  const folder = isComplete(outcome) ? savedIn(last.infoHash.hex) : null;
  const place = folder === null ? [] : [`saved in ${folder === "." ? "the current folder" : shown(folder, style)}`];
  const phrases = [...describe(outcome, options), ...place];
  const name = shown(last.name, style);
  const line = `${name}: ${phrases.join(", ")}`;
  if (stringWidth(line) <= columns) return [painted(name, "bold", style) + line.slice(name.length)];
  return [painted(clip(name, { width: columns, style }), "bold", style), ...packed(phrases, columns)];
}

/**
 * Distributes phrases over as few lines as possible. A phrase that is too long has a line of its own and is not cut.
 */
function packed(phrases: readonly string[], columns: number): string[] {
  const lines: string[] = [];
  for (const [i, phrase] of phrases.entries()) {
    const text = i < phrases.length - 1 ? `${phrase},` : phrase;
    const last = lines.at(-1);
    if (last !== undefined && stringWidth(last) + 1 + stringWidth(text) <= columns) {
      lines[lines.length - 1] += ` ${text}`;
    } else lines.push(`  ${text}`);
  }
  return lines;
}

function describe({ last, senders, completed }: Outcome, { resumable }: SummaryOptions): string[] {
  if (last.size === 0) return ["stopped before the metadata arrived"];
  const ratio = `${formatSize(last.uploaded)} (ratio ${ratioOf(last).toFixed(2)})`;
  // What wasn't downloaded can't be given back.
  if (!resumable && last.downloaded === 0 && last.verified > 0) {
    const sent = last.uploaded === 0 ? "nobody fetched any of it" : `sent ${ratio}`;
    return [isComplete({ last, completed }) ? formatSize(last.size) : formatPart(last.verified, last.size), sent];
  }
  const gave = last.uploaded === 0 ? "gave nothing back" : `gave back ${ratio}`;
  if (!isComplete({ last, completed })) {
    const part = last.size === 0 ? 0 : last.verified / last.size;
    const stopped = `stopped at ${formatPercent(part)} (${formatPart(last.verified, last.size)})`;
    return [stopped, gave, ...(resumable ? ["the same command goes on from there"] : [])];
  }
  if (completed === null || completed.bytes === 0) return [`${formatSize(last.size)}, complete already`, gave];
  const { bytes, downloading } = completed;
  // Time and rate are those of what was fetched now, which may be a small part of the whole.
  const part = bytes < last.size ? `, ${formatSize(bytes)} of it fetched` : "";
  const rate = downloading > 0 ? ` (${formatRate(bytes / downloading)})` : "";
  const got = `${formatSize(last.size)}${part} in ${formatElapsed(downloading)}${rate}`;
  return [got, `from ${formatPlural(senders.size, "peer")}`, gave];
}

function isComplete({ last, completed }: Pick<Outcome, "last" | "completed">): boolean {
  return completed !== null || (last.state !== "checking" && last.size > 0 && last.verified >= last.size);
}
