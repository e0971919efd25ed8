/**
 * A program that changes the settings of a session's torrent until it is killed:
 * `session_program.ts STATE_FOLDER FOLDER TORRENT`. It prints the restored settings as JSON, then the number of each
 * change. The settings follow from the number.
 *
 * @module
 */

import { parseMetainfo } from "../../src/metainfo/mod.ts";
import { denoPlatform } from "../../src/platform/deno_platform.ts";
import { Session, type TorrentHandle } from "../../src/session/session.ts";

/** Settings of a torrent that are restored. */
export interface Settings {
  readonly paused: boolean;
  readonly sequential: boolean;
  readonly limits: { readonly down: number | null; readonly up: number | null };
  readonly trackers: readonly (readonly string[])[];
  readonly priorities: readonly (readonly [number, string])[];
}

/** Returns the settings that a change sets. */
export function settingsOf(change: number): Settings {
  return {
    paused: change % 2 === 1,
    sequential: change % 3 === 1,
    limits: { down: 1000 + change, up: change % 3 === 0 ? null : 2000 + change },
    trackers: Array.from({ length: change % 4 }, (_, i) => [`http://127.0.0.1:1/${change}/${i}`]),
    priorities: change % 5 === 0 ? [] : [[0, change % 2 === 0 ? "high" : "low"]],
  };
}

/** Returns the current settings. */
function settingsNow({ paused, sequential, limits, trackers, priorities }: TorrentHandle): Settings {
  return {
    paused,
    sequential,
    limits,
    trackers,
    priorities: [...priorities].filter(([, level]) => level !== "normal"),
  };
}

function change(torrent: TorrentHandle, { paused, sequential, limits, trackers, priorities }: Settings): void {
  torrent.setLimits(limits);
  torrent.setSequential(sequential);
  torrent.setTrackers(trackers);
  torrent.setPriority([0], (priorities[0]?.[1] ?? "normal") as "high");
  if (paused) torrent.pause();
  else torrent.resume();
}

if (import.meta.main) {
  const [stateFolder, folder, path] = Deno.args as [string, string, string];
  const say = (value: unknown) => Deno.stdout.writeSync(new TextEncoder().encode(`${JSON.stringify(value)}\n`));
  const platform = denoPlatform;
  const session = new Session({ platform, port: 0, bind: "127.0.0.1", encryption: "off", stateFolder });
  session.subscribe((event) => (event.event === "warning" || event.event === "error") && say(event));
  await session.start();
  const [restored] = await session.restore();
  const torrent = restored ?? await session.add(parseMetainfo(await Deno.readFile(path)), { folder });
  say(restored ? settingsNow(restored) : null);
  for (let number = (torrent.limits.down ?? 1000) - 1000 + 1;; number++) {
    change(torrent, settingsOf(number));
    say(number);
    await new Promise<void>((resolve) => void platform.after(platform.random() * 60, resolve));
  }
}
