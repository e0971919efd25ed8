/**
 * What `shoal tracker` says of itself.
 *
 * @module
 */

import type { TrackerStatistics } from "../tracker_server/server.ts";

/**
 * Statistics in one line.
 *
 * @param statistics What the tracker has done, and what it knows.
 * @returns The line, without its end.
 *
 * @example
 * ```ts
 * statisticsLine(tracker.statistics);
 * // "2 torrents, 5 peers (1 complete) of 4 addresses | 12 announces over HTTP, 7 over UDP | 1 scrape | 0 refused"
 * ```
 */
export function statisticsLine(statistics: TrackerStatistics): string {
  const { torrents, peers, seeders, networks, announces, scrapes, refused } = statistics;
  return [
    `${count(torrents, "torrent")}, ${count(peers, "peer")} (${seeders} complete) of ${
      count(networks, "address", "addresses")
    }`,
    `${count(announces.http, "announce")} over HTTP, ${announces.udp} over UDP`,
    count(scrapes, "scrape"),
    `${refused} refused`,
  ].join(" | ");
}

function count(number: number, noun: string, nouns = `${noun}s`): string {
  return `${number} ${number === 1 ? noun : nouns}`;
}
