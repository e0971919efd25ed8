/**
 * What a session came to, in a few words.
 *
 * @module
 */

import type { SessionEvent, TorrentSnapshot } from "../session/types.ts";
import { formatElapsed, formatPart, formatPercent, formatPlural, formatRate, formatSize } from "./format.ts";
import { painted, shown, type Style } from "./style.ts";
import { ratioOf } from "./ratio.ts";

interface Account {
  last: TorrentSnapshot;
  /** Addresses of the peers that gave something. */
  readonly givers: Set<string>;
  completed: { readonly seconds: number; readonly bytes: number; readonly rate: number } | null;
  failed: boolean;
}

/** Watches torrents from the start, and sums up in the end. */
export class Summary {
  readonly #accounts = new Map<string, Account>();

  /**
   * Takes note of how things stand; peers that come and go between two calls are not counted.
   *
   * @param snapshots All torrents.
   */
  observe(snapshots: readonly TorrentSnapshot[]): void {
    for (const torrent of snapshots) {
      const account = this.#account(torrent);
      account.last = torrent;
      for (const peer of torrent.peers) if (peer.downloaded > 0) account.givers.add(peer.address);
    }
  }

  /**
   * Takes note of an event; the torrents must have been observed at least once.
   *
   * @param event What happened.
   */
  event(event: SessionEvent): void {
    const account = this.#accounts.get(event.infohash);
    if (account === undefined) return;
    if (event.event === "completed") account.completed = event;
    if (event.event === "error") account.failed = true;
  }

  /**
   * @param options `savedAs`: path of a torrent's data, or `null`. `style`: what the terminal can show.
   * @returns Lines, each without its end; none for a torrent that failed, since its error line says it all.
   */
  lines(options: { readonly savedAs: (infohash: string) => string | null; readonly style: Style }): string[] {
    return [...this.#accounts.values()].filter((account) => !account.failed).flatMap((account) => {
      const path = !isComplete(account) ? null : options.savedAs(account.last.infoHash.hex);
      const name = painted(shown(account.last.name, options.style), "bold", options.style);
      const first = `${name}: ${describe(account)}`;
      return path === null ? [first] : [first, `  saved as ${shown(path, options.style)}`];
    });
  }

  #account(torrent: TorrentSnapshot): Account {
    const known = this.#accounts.get(torrent.infoHash.hex);
    if (known !== undefined) return known;
    const made = { last: torrent, givers: new Set<string>(), completed: null, failed: false };
    this.#accounts.set(torrent.infoHash.hex, made);
    return made;
  }
}

function describe({ last, givers, completed }: Account): string {
  const gave = last.uploaded === 0
    ? "gave nothing back"
    : `gave back ${formatSize(last.uploaded)} (ratio ${ratioOf(last).toFixed(2)})`;
  if (!isComplete({ last, completed })) {
    const part = last.size === 0 ? 0 : last.verified / last.size;
    return `stopped at ${formatPercent(part)} (${formatPart(last.verified, last.size)}), ${gave}; ` +
      "the same command goes on from there";
  }
  if (completed === null || completed.bytes === 0) return `${formatSize(last.size)}, was complete already, ${gave}`;
  const time = formatElapsed(completed.seconds);
  const from = formatPlural(givers.size, "peer");
  return `${formatSize(last.size)} in ${time} (${formatRate(completed.rate)}) from ${from}, ${gave}`;
}

function isComplete({ last, completed }: Pick<Account, "last" | "completed">): boolean {
  return completed !== null || (last.state !== "checking" && last.verified >= last.size);
}
