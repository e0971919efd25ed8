import { assert, assertEquals, assertGreaterOrEqual } from "@std/assert";
import { messageOf } from "../../src/base/errors.ts";
import { type Seeder, seedWithAria2 } from "../support/aria2.ts";
import { Driver, type Look } from "../support/driver.ts";
import type { Command } from "../support/driver_program.ts";
import { Libtorrent } from "../support/libtorrent.ts";
import { assertSame, makeFiles, type Payload } from "../support/payload.ts";
import { seededRandom } from "../support/random.ts";
import { testWith } from "../support/requirements.ts";
import { withTwoScratches } from "../support/scratch.ts";
import { makeTorrent } from "../support/torrents.ts";

const MIB = 1024 * 1024;
const PIECE = 64 * 1024;
/** Kills in all; `PLUG_KILLS=200` for the full run. */
const KILLS = Math.ceil(Number(Deno.env.get("PLUG_KILLS") ?? 30) * 2 / 3);
/** Decides when each of them comes. */
const SEED = Number(Deno.env.get("PLUG_SEED") ?? 1);
/** Downloads at the same time. */
const AT_ONCE = 3;
/** Bytes a second at which a change finds a download under way. */
const SLOW = 3 * MIB;
/** Milliseconds after which a change is in the database: one second between two writes, and a busy machine. */
const WRITTEN_MS = 3_000;
/** Milliseconds between a change and the kill, at most. */
const LATEST_MS = 4_000;

/** Where a download may be. */
interface Place {
  readonly state: string;
  /** Where it begins, another folder there, and one on another file system. */
  readonly folders: readonly [string, string, string];
}

/** What a user has chosen. */
type Settings = Omit<Look, "state" | "error" | "verified" | "downloaded" | "uploaded" | "peers">;

/** A change, and what is different afterwards. */
interface Kind {
  readonly name: string;
  command(place: Place): Command;
  /** What it makes of the settings; `null` when the torrent is gone. */
  changed(settings: Settings, place: Place): Settings | null;
  /** Files that are wanted first; all when absent. */
  readonly files?: readonly number[];
  /** Whether the torrent is paused before. */
  readonly paused?: boolean;
}

const KINDS: readonly Kind[] = [
  ...[1, 2].flatMap((to): Kind[] =>
    [1, 2].map((time) => ({ // twice: most happens in a move
      name: `${to === 1 ? "move" : "move to another file system"} ${time}`,
      command: ({ folders }) => ({ do: "move", folder: folders[to]! }),
      changed: (settings, { folders }) => ({ ...settings, folder: folders[to]! }),
    }))
  ),
  { name: "remove", command: () => ({ do: "remove", data: false }), changed: () => null },
  { name: "remove with data", command: () => ({ do: "remove", data: true }), changed: () => null },
  { name: "pause", command: () => ({ do: "pause" }), changed: (settings) => ({ ...settings, paused: true }) },
  {
    name: "resume",
    command: () => ({ do: "resume" }),
    changed: (settings) => ({ ...settings, paused: false }),
    paused: true,
  },
  {
    name: "fewer files",
    command: () => ({ do: "files", files: [2] }),
    changed: (settings) => ({ ...settings, files: [2] }),
  },
  {
    name: "more files",
    command: () => ({ do: "files", files: null }),
    changed: (settings) => ({ ...settings, files: [0, 1, 2] }),
    files: [1],
  },
  { name: "check", command: () => ({ do: "recheck" }), changed: (settings) => settings },
  {
    name: "trackers",
    command: () => ({ do: "trackers", trackers: ["http://127.0.0.1:1/announce"] }),
    changed: (settings) => ({ ...settings, trackers: ["http://127.0.0.1:1/announce"] }),
  },
  {
    name: "limits",
    command: () => ({ do: "limits", down: 4 * MIB, up: 50_000 }),
    changed: (settings) => ({ ...settings, down: 4 * MIB, up: 50_000 }),
  },
  {
    name: "order",
    command: () => ({ do: "sequential", sequential: true }),
    changed: (settings) => ({ ...settings, sequential: true }),
  },
  {
    name: "priorities",
    command: () => ({ do: "priority", files: [1], priority: "high" }),
    changed: (settings) => ({ ...settings, priorities: [[1, "high"]] }),
  },
];

const sum = (numbers: readonly number[]) => numbers.reduce((total, number) => total + number, 0);

function settingsOf(look: Look | null): Settings | null {
  if (look === null) return null;
  const { paused, folder, files, sequential, trackers, priorities, down, up } = look;
  return { paused, folder, files, sequential, trackers, priorities, down, up };
}

/** Asserts that what is under a final name is right. @returns How many files are. */
async function assertNamesRight(payload: Payload, folder: string): Promise<number> {
  let right = 0;
  for (const { path } of payload.files) {
    const bytes = await Deno.readFile(`${folder}/${path}`).catch(() => null);
    if (bytes === null) continue;
    assertEquals(bytes, await Deno.readFile(`${payload.folder}/${path}`), `${folder}/${path}`);
    right++;
  }
  return right;
}

/** Everything in a folder, at any depth, but for locks, which lie there until somebody uses the folder again. */
async function listing(folder: string): Promise<string[]> {
  const found: string[] = [];
  const entries = await Array.fromAsync(Deno.readDir(folder)).catch(() => []); // it may not be there
  for (const { name, isDirectory } of entries) {
    if (/^\.shoal.*\.lock$/.test(name)) continue;
    found.push(name);
    if (isDirectory) found.push(...(await listing(`${folder}/${name}`)).map((path) => `${name}/${path}`));
  }
  return found;
}

/** What becomes of one download whose session is killed around a change. */
async function killOne(
  kind: Kind,
  { payload, torrent, seeder, place, random }: {
    readonly payload: Payload;
    readonly torrent: string;
    readonly seeder: Seeder;
    readonly place: Place;
    readonly random: () => number;
  },
): Promise<string> {
  const peers: Command = { do: "peers", ports: [Number(seeder.address.split(":")[1])] };
  const [first] = place.folders;
  const driver = await Driver.start(place.state);
  await driver.tell({ do: "add", torrent, folder: first, down: SLOW });
  if (kind.files) await driver.tell({ do: "files", files: kind.files });
  await driver.tell(peers);
  const part = payload.size * (0.15 + random() * (kind.files ? 0.1 : 0.4));
  await driver.until((look) => sum(look.verified) > part, "it was under way");
  if (kind.paused) {
    await driver.tell({ do: "pause" });
    await new Promise((resolve) => setTimeout(resolve, 1500)); // that it is in the database for sure
  }
  const before = settingsOf(driver.look)!;
  const sent = sum(driver.look!.verified);
  const id = await driver.send(kind.command(place));
  const at = performance.now();
  // Most happens soon.
  await new Promise((resolve) => setTimeout(resolve, random() ** 4 * LATEST_MS));
  const answered = driver.hasDone(id);
  const isWritten = answered && performance.now() - at > WRITTEN_MS;
  const verified = driver.look?.state === "downloading" ? sum(driver.look.verified) : sent;
  await driver.kill();

  for (const folder of place.folders) await assertNamesRight(payload, folder);
  const after = kind.changed(before, place);
  // What is brought in order after a kill may be interrupted by the next.
  for (let kills = Math.floor(random() * 3); kills > 0; kills--) {
    const next = await Driver.start(place.state);
    await new Promise((resolve) => setTimeout(resolve, random() ** 4 * 200));
    await next.kill();
    for (const folder of place.folders) await assertNamesRight(payload, folder);
  }
  await using again = await Driver.start(place.state);
  const restored = settingsOf(again.restored);
  const outcome = JSON.stringify(restored) === JSON.stringify(after) ? "after" : "before";
  assertEquals(restored, outcome === "after" ? after : before, "neither as before nor as after the change");
  if (isWritten) assertEquals(outcome, "after", "a change that was made seconds ago");
  if (restored === null) {
    assertEquals(await listing(place.folders[1]), []);
    if (kind.name === "remove with data") {
      assertEquals(await listing(first), [], "files of a torrent that was removed");
    } else await again.tell({ do: "add", torrent, folder: first });
  }
  if (restored !== null || kind.name === "remove") {
    const look = await again.until(({ state }) => state !== "checking", "it knows what is there");
    assertEquals([look.error, look.state === "error"], [null, false]);
    assertGreaterOrEqual(sum(look.verified), verified, "bytes that were verified");
    for (const folder of place.folders) if (folder !== look.folder) assertEquals(await listing(folder), [], folder);
    await again.tell({ do: "limits", down: null });
    if (look.paused) await again.tell({ do: "resume" });
    await again.tell({ do: "files", files: null });
    await again.tell(peers);
    await again.until(({ state }) => state === "seeding", "it was complete");
    await assertSame(payload, look.folder);
    for (const folder of place.folders) if (folder !== look.folder) assertEquals(await listing(folder), [], folder);
    assertEquals(again.events.filter((event) => /^(error|warning)/.test(event)), []);
    await again.tell({ do: "remove", data: true });
    assertEquals(await listing(look.folder), []);
  }
  return `${answered ? "done" : "under way"}, ${outcome}`;
}

testWith(
  `a session that is killed ${KILLS} times around a change of a download has the change or doesn't, and ends right`,
  ["aria2c", "python3-libtorrent"],
  async () => {
    await withTwoScratches(async (scratch, elsewhere) => {
      const payload = await makeFiles(`${scratch}/source`, { name: "set", count: 3, size: 9 * MIB + 123, seed: 1 });
      const torrent = `${scratch}/set.torrent`;
      await makeTorrent(payload, { path: torrent, pieceLength: PIECE });
      await using aria2 = await seedWithAria2(payload, { torrent });
      await using libtorrent = await Libtorrent.seed(payload, { torrent });
      const failures: string[] = [];
      const outcomes: string[] = [];
      let next = 0;
      const work = async (): Promise<void> => {
        while (next < KILLS && failures.length < 3) {
          const number = next++;
          const kind = KINDS[number % KINDS.length]!;
          const folders = [`${scratch}/${number}/a`, `${scratch}/${number}/b/c`, `${elsewhere}/${number}`] as const;
          const place = { state: `${scratch}/${number}/state`, folders };
          const seeder = number % 2 === 0 ? aria2 : libtorrent;
          const random = seededRandom(SEED * 10_000 + number);
          try {
            outcomes.push(`${kind.name}: ${await killOne(kind, { payload, torrent, seeder, place, random })}`);
          } catch (error) {
            failures.push(`kill ${number}, ${kind.name}: ${messageOf(error)}`);
          }
        }
      };
      await Promise.all(Array.from({ length: AT_ONCE }, work));
      assertEquals(failures, []);
      // What came of it each time.
      await Deno.stdout.write(new TextEncoder().encode(`\n${outcomes.sort().join("\n")}\n`));
      assert(outcomes.some((outcome) => outcome.endsWith("before")) || KILLS < 20, "every kill came too late");
      assert(outcomes.some((outcome) => outcome.endsWith("after")) || KILLS < 20, "every kill came too soon");
    });
  },
);
