/**
 * What a session came to, in a few words.
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
  /** How it stood when it was last looked at; `null` before the first look. */
  last: TorrentSnapshot | null;
  /** Addresses of the peers that gave something. */
  readonly givers: Set<string>;
  completed: { readonly seconds: number; readonly bytes: number; readonly rate: number } | null;
  failed: boolean;
}

/** How to sum up. */
export interface SummaryOptions {
  /** Folder of a torrent's data by info-hash; `null` when nobody wants to know. */
  readonly savedIn: (infohash: string) => string | null;
  /** Whether the same command goes on where this run was stopped. */
  readonly resumable: boolean;
  /** What the terminal can show. */
  readonly style: Style;
  /** Where to break lines; absent for one line a torrent. */
  readonly columns?: number;
}

/** Watches torrents from the start, and sums up in the end. */
export class Summary {
  readonly #accounts = new Map<string, Account>();
  readonly #snapshots: () => readonly TorrentSnapshot[];

  /** @param snapshots Takes snapshots of all torrents. */
  constructor(snapshots: () => readonly TorrentSnapshot[]) {
    this.#snapshots = snapshots;
  }

  /**
   * Takes note of how things stand.
   *
   * @returns Snapshots of all torrents.
   */
  observe(): readonly TorrentSnapshot[] {
    const torrents = this.#snapshots();
    for (const torrent of torrents) {
      const account = this.#account(torrent.infoHash.hex);
      account.last = torrent;
      for (const peer of torrent.peers) if (peer.downloaded > 0) account.givers.add(peer.address);
    }
    return torrents;
  }

  /**
   * Takes note of an event: a peer may come and go between two looks at how things stand.
   *
   * @param event What happened.
   */
  event(event: ViewEvent): void {
    if (event.infohash === null) return;
    const account = this.#account(event.infohash);
    if (event.event === "completed") {
      this.observe(); // a download can be over between two looks: what it came to must not be missed
      account.completed = event;
    }
    if (event.event === "error") account.failed = true;
    if (event.event === "peer" && event.action === "disconnected" && (event.downloaded ?? 0) > 0) {
      account.givers.add(event.address);
    }
  }

  /**
   * @param options See {@linkcode SummaryOptions}.
   * @returns Lines, each without its end; none for a torrent that failed, since its error line says it all.
   */
  lines(options: SummaryOptions): string[] {
    return [...this.#accounts.values()].flatMap(({ last, failed, ...rest }) =>
      last === null || failed || last.state === "error" ? [] : render({ last, ...rest }, options)
    );
  }

  #account(infohash: string): Account {
    const known = this.#accounts.get(infohash);
    if (known !== undefined) return known;
    const made = { last: null, givers: new Set<string>(), completed: null, failed: false };
    this.#accounts.set(infohash, made);
    return made;
  }
}

type Outcome = Pick<Account, "givers" | "completed"> & { readonly last: TorrentSnapshot };

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

/** Phrases on as few lines as they need; one that is too long has a line of its own and is left whole. */
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

function describe({ last, givers, completed }: Outcome, { resumable }: SummaryOptions): string[] {
  const gave = last.uploaded === 0
    ? "gave nothing back"
    : `gave back ${formatSize(last.uploaded)} (ratio ${ratioOf(last).toFixed(2)})`;
  if (last.size === 0) return ["stopped before anybody said what it holds"];
  if (!isComplete({ last, completed })) {
    const part = last.size === 0 ? 0 : last.verified / last.size;
    const stopped = `stopped at ${formatPercent(part)} (${formatPart(last.verified, last.size)})`;
    return [stopped, gave, ...(resumable ? ["the same command goes on from there"] : [])];
  }
  if (completed === null || completed.bytes === 0) return [formatSize(last.size), "was complete already", gave];
  const got = `${formatSize(last.size)} in ${formatElapsed(completed.seconds)} (${formatRate(completed.rate)})`;
  return [got, `from ${formatPlural(givers.size, "peer")}`, gave];
}

function isComplete({ last, completed }: Pick<Outcome, "last" | "completed">): boolean {
  return completed !== null || (last.state !== "checking" && last.size > 0 && last.verified >= last.size);
}
