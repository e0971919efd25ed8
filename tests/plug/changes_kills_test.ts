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
import { makeTorrent, type Version } from "../support/torrents.ts";

const MIB = 1024 * 1024;
const PIECE = 64 * 1024;
/** Number of kills. The full run has `PLUG_KILLS=200`. */
const KILLS = Math.ceil(Number(Deno.env.get("PLUG_KILLS") ?? 30) * 2 / 3);
/** Seed of the random times of the kills. */
const SEED = Number(Deno.env.get("PLUG_SEED") ?? 1);
/** Number of simultaneous downloads. */
const AT_ONCE = 3;
/** Bytes a second, so slow that a download is still running when the change is made. */
const SLOW = 3 * MIB;
/** Milliseconds after which a change must be in the database: 1 s between two writes, and time for a busy machine. */
const WRITTEN_MS = 3_000;
/** Largest time in milliseconds between a change and the kill. */
const LATEST_MS = 4_000;

/** Folders of a download. */
interface Place {
  readonly state: string;
  /** The first folder, a folder on the same file system, and a folder on another file system. */
  readonly folders: readonly [string, string, string];
}

/** Settings of a torrent that a user can change. */
type Settings = Omit<Look, "state" | "error" | "verified" | "downloaded" | "uploaded" | "peers">;

/** A change, and its expected result. */
interface Kind {
  readonly name: string;
  command(place: Place): Command;
  /** Returns the settings after the change, or `null` if the torrent is removed. */
  changed(settings: Settings, place: Place): Settings | null;
  /** Files that are selected before the change, all by default. */
  readonly files?: readonly number[];
  /** `true` if the torrent is paused before the change. */
  readonly paused?: boolean;
}

const KINDS: readonly Kind[] = [
  ...[1, 2].flatMap((to): Kind[] =>
    [1, 2].map((time) => ({ // Each move occurs twice, since a move has the most steps.
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

/** Asserts that files under final names have the right bytes. Returns the number of such files. */
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

/** Returns the paths of everything below a folder except locks, which stay there until the folder is used again. */
async function listing(folder: string): Promise<string[]> {
  const found: string[] = [];
  const entries = await Array.fromAsync(Deno.readDir(folder)).catch(() => []); // The folder may not exist.
  for (const { name, isDirectory } of entries) {
    if (/^\.shoal.*\.lock$/.test(name)) continue;
    found.push(name);
    if (isDirectory) found.push(...(await listing(`${folder}/${name}`)).map((path) => `${name}/${path}`));
  }
  return found;
}

/** Kills the session of a download around a change, and checks that it continues. Returns the outcome in words. */
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
    await new Promise((resolve) => setTimeout(resolve, 1500)); // By then the pause is in the database.
  }
  const before = settingsOf(driver.look)!;
  const sent = sum(driver.look!.verified);
  const id = await driver.send(kind.command(place));
  const at = performance.now();
  // Short delays are the most frequent, since most steps of a change happen soon.
  await new Promise((resolve) => setTimeout(resolve, random() ** 4 * LATEST_MS));
  const answered = driver.hasDone(id);
  const isWritten = answered && performance.now() - at > WRITTEN_MS;
  const verified = driver.look?.state === "downloading" ? sum(driver.look.verified) : sent;
  await driver.kill();

  for (const folder of place.folders) await assertNamesRight(payload, folder);
  const after = kind.changed(before, place);
  // Further kills interrupt the recovery from the first.
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
  `a session killed ${KILLS} times around a change restores the torrent before or after the change, and completes`,
  ["aria2c", "python3-libtorrent"],
  async () => {
    await withTwoScratches(async (scratch, elsewhere) => {
      const payload = await makeFiles(`${scratch}/source`, { name: "set", count: 3, size: 9 * MIB + 123, seed: 1 });
      await using stack = new AsyncDisposableStack();
      const swarms: { readonly torrent: string; readonly seeder: Seeder; readonly version: Version }[] = [];
      // The files of a hybrid have other numbers than these tests choose files by; else it is as a v2 torrent here.
      for (const version of ["v1", "v2"] as const) {
        const torrent = `${scratch}/${version}.torrent`;
        await makeTorrent(payload, { path: torrent, pieceLength: PIECE, version });
        swarms.push({ torrent, version, seeder: stack.use(await Libtorrent.seed(payload, { torrent })) });
        if (version === "v2") continue; // aria2 doesn't know it
        swarms.push({ torrent, version, seeder: stack.use(await seedWithAria2(payload, { torrent })) });
      }
      const failures: string[] = [];
      const outcomes: string[] = [];
      let next = 0;
      const work = async (): Promise<void> => {
        while (next < KILLS && failures.length < 3) {
          const number = next++;
          const kind = KINDS[number % KINDS.length]!;
          const folders = [`${scratch}/${number}/a`, `${scratch}/${number}/b/c`, `${elsewhere}/${number}`] as const;
          const place = { state: `${scratch}/${number}/state`, folders };
          const { torrent, seeder, version } = swarms[number % swarms.length]!;
          const random = seededRandom(SEED * 10_000 + number);
          try {
            outcomes.push(`${kind.name}: ${await killOne(kind, { payload, torrent, seeder, place, random })}`);
          } catch (error) {
            failures.push(`kill ${number} (${version}), ${kind.name}: ${messageOf(error)}`);
          }
        }
      };
      await Promise.all(Array.from({ length: AT_ONCE }, work));
      assertEquals(failures, []);
      // Prints the outcome of each kill.
      await Deno.stdout.write(new TextEncoder().encode(`\n${outcomes.sort().join("\n")}\n`));
      assert(outcomes.some((outcome) => outcome.endsWith("before")) || KILLS < 20, "every kill came too late");
      assert(outcomes.some((outcome) => outcome.endsWith("after")) || KILLS < 20, "every kill came too soon");
    });
  },
);
