/**
 * A program that changes stored torrents until it is killed: `store_program.ts STATE_FOLDER FIRST`. It prints the
 * number of each change once the change is in the database.
 *
 * @module
 */

import { InfoHash } from "../../src/base/info_hash.ts";
import { InfoHashes } from "../../src/base/info_hashes.ts";
import { denoPlatform } from "../../src/platform/deno_platform.ts";
import { type KeptTorrent, SessionStore, type TorrentRecord } from "../../src/session/session_store.ts";

/** Number of torrents of one program. */
export const COUNT = 3;
/** Downloaded bytes of each torrent between two changes. */
export const TRAFFIC = 1000;

/** Returns the record of a torrent after a change. The fields contain the number of the change. */
export function recordOf(change: number): TorrentRecord {
  return {
    name: `name ${change}`,
    magnet: null,
    folder: `/dl/${change}`,
    seedOnly: change % 2 === 0,
    sequential: change % 2 === 1,
    files: Array.from({ length: 200 }, (_, i) => change + i), // Makes some rows larger than a database page.
    maxDown: change,
    maxUp: change % 2 === 0 ? null : change,
    priorities: [[change, "low"]],
    trackers: [[`http://t.example/${"x".repeat(change % 6000)}`]],
    state: change % 3 === 0 ? "paused" : "running",
    error: `error ${change}`,
    done: null,
    oneOff: false,
  };
}

/** Returns the info-hash of the torrent with a number. */
export function infoHashOf(number: number): InfoHash {
  return new InfoHash(new Uint8Array(20).fill(number));
}

if (import.meta.main) {
  const [stateFolder, first] = [Deno.args[0]!, Number(Deno.args[1])];
  const say = (text: string) => Deno.stdout.writeSync(new TextEncoder().encode(`${text}\n`));
  const store = new SessionStore({ platform: denoPlatform, stateFolder, onWarning: (error) => say(error.message) });
  await store.open();
  const before = store.torrents().map(({ name }) => Number(name.split(" ")[1]));
  let change = Math.max(0, ...before);
  const traffic = { downloaded: 0, uploaded: 0 };
  const torrents = Array.from({ length: COUNT }, (_, i): KeptTorrent => ({
    infoHash: infoHashOf(first + i),
    infoHashes: new InfoHashes(infoHashOf(first + i), null),
    isDescribed: true,
    record: () => recordOf(change),
    torrentFile: () => new Uint8Array(20_000).fill(first + i),
    traffic,
  }));
  for (const torrent of torrents) store.add(torrent);
  for (;;) {
    change++;
    traffic.downloaded += TRAFFIC;
    for (const { infoHash } of torrents) store.markDirty(infoHash.hex);
    await store.flush();
    say(`${change}`);
  }
}
