import { assert, assertEquals, assertGreater, assertLess, assertLessOrEqual } from "@std/assert";
import { messageOf } from "../../src/base/errors.ts";
import { type Seeder, seedWithAria2 } from "../support/aria2.ts";
import { Driver } from "../support/driver.ts";
import { Libtorrent } from "../support/libtorrent.ts";
import { assertSame, makeFiles, type Payload } from "../support/payload.ts";
import { testWith } from "../support/requirements.ts";
import { withTwoScratches } from "../support/scratch.ts";
import { makeTorrent } from "../support/torrents.ts";

const MIB = 1024 * 1024;
const PIECE = 64 * 1024;
/** Bytes a second of a transfer until its change has been made, so that the transfer is still running then. */
const SLOW = 2 * MIB;
/** Part of the payload that is downloaded before the change is made. */
const UNDER_WAY = 0.15;
/** Bytes that may be in flight when connections are closed: requested blocks, and what the system buffers. */
const IN_FLIGHT = 2 * MIB;

/** Makes three files. Some pieces span two files. */
const makePayload = (folder: string) => makeFiles(folder, { name: "set", count: 3, size: 7 * MIB + 123, seed: 1 });

const sum = (numbers: readonly number[]) => numbers.reduce((total, number) => total + number, 0);

/** The download or seed that a test changes. */
interface Scene {
  readonly driver: Driver;
  readonly payload: Payload;
  readonly folder: string;
  /** A folder on the same file system, and a folder on another file system. */
  readonly others: readonly [string, string];
  /** The seeder that the download uses, `null` for a seed. */
  readonly seeder: Seeder | null;
}

/** A change, and its expected result. */
interface Change {
  readonly name: string;
  /**
   * Makes the change.
   *
   * @returns The folder that holds the payload afterwards.
   */
  make(scene: Scene): Promise<string>;
  /** Bytes of the payload that the seeder may send twice, 0 by default. */
  readonly twice?: number;
}

/** Waits until a seeder has uploaded a number of bytes. libtorrent updates its counter once a second. */
async function untilUploaded(seeder: Seeder, bytes: number): Promise<number> {
  while (await seeder.uploaded() < bytes) await new Promise((resolve) => setTimeout(resolve, 20));
  return await seeder.uploaded();
}

async function untilConnections(seeder: Seeder, count: number): Promise<void> {
  while (await seeder.connections() !== count) await new Promise((resolve) => setTimeout(resolve, 20));
}

/** Starts a tracker that returns no peers and records the events of announces. */
function startTracker(): { readonly url: string; readonly heard: string[]; readonly server: Deno.HttpServer } {
  const heard: string[] = [];
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, (request) => {
    const { pathname, searchParams } = new URL(request.url);
    if (pathname === "/announce") heard.push(searchParams.get("event") ?? "");
    return new Response("d8:intervali1800e5:peers0:e");
  });
  return { url: `http://127.0.0.1:${server.addr.port}/announce`, heard, server };
}

async function untilHeard(heard: readonly string[], events: readonly string[]): Promise<void> {
  while (heard.length < events.length) await new Promise((resolve) => setTimeout(resolve, 20));
  assertEquals(heard, events);
}

const CHANGES: readonly Change[] = [
  {
    name: "a limit",
    async make({ driver, folder }) {
      const rate = SLOW / 4;
      await driver.tell({ do: "limits", down: rate });
      const before = (await driver.tell({ do: "look" }))!.downloaded;
      await new Promise((resolve) => setTimeout(resolve, 2000)); // long enough to measure a rate
      const after = (await driver.tell({ do: "limits", down: null }))!.downloaded;
      assertLessOrEqual(after - before, rate * 2 * 1.5);
      assertGreater(after - before, rate * 2 * 0.3);
      return folder;
    },
  },
  {
    name: "order and priorities",
    async make({ driver, folder }) {
      await driver.tell({ do: "sequential", sequential: true });
      await driver.tell({ do: "priority", files: [2], priority: "high" });
      const { verified } = await driver.until(
        ({ verified }) => verified[2]! >= 2 * MIB,
        "the file to be fetched first",
      );
      // Without the order and the priority, the other files would have about as much.
      assertLess(verified[0]! + verified[1]!, 4 * MIB);
      await driver.tell({ do: "priority", files: [2], priority: "normal" });
      await driver.tell({ do: "sequential", sequential: false });
      return folder;
    },
  },
  {
    name: "a pause",
    async make({ driver, seeder, folder }) {
      assertEquals((await driver.tell({ do: "pause" }))!.state, "paused");
      await untilConnections(seeder!, 0);
      const { downloaded } = (await driver.tell({ do: "look" }))!;
      const sent = await seeder!.uploaded();
      await new Promise((resolve) => setTimeout(resolve, 500)); // long enough for a megabyte
      assertEquals((await driver.tell({ do: "look" }))!.downloaded, downloaded);
      assertEquals(await seeder!.uploaded(), sent);
      await driver.tell({ do: "resume" });
      await untilConnections(seeder!, 1);
      return folder;
    },
    twice: IN_FLIGHT,
  },
  {
    name: "a check",
    async make({ driver, folder }) {
      const before = sum(driver.look!.verified);
      const look = (await driver.tell({ do: "recheck" }))!;
      assertEquals(look.state, "downloading");
      assertGreater(sum(look.verified), before - 1);
      return folder;
    },
    twice: IN_FLIGHT,
  },
  {
    name: "fewer files, and all again",
    async make({ driver, payload, folder }) {
      const fewer = (await driver.tell({ do: "files", files: [0] }))!;
      assertEquals([fewer.files, fewer.state], [[0], "downloading"]);
      const done = await driver.until(({ state }) => state === "seeding", "the only file to be there");
      assertEquals(done.verified[0], payload.files[0]!.size);
      assertEquals(
        await Deno.readFile(`${folder}/${payload.files[0]!.path}`),
        await Deno.readFile(`${payload.folder}/${payload.files[0]!.path}`),
      );
      const all = (await driver.tell({ do: "files", files: null }))!;
      assertEquals([all.files, all.state], [[0, 1, 2], "downloading"]);
      return folder;
    },
    twice: IN_FLIGHT,
  },
  {
    name: "a move",
    async make({ driver, folder, others: [other] }) {
      const look = (await driver.tell({ do: "move", folder: other }))!;
      assertEquals([look.folder, look.state], [other, "downloading"]);
      assertEquals([...Deno.readDirSync(folder)], []);
      return other;
    },
  },
  {
    name: "a move to another file system",
    async make({ driver, folder, others: [, other] }) {
      const look = (await driver.tell({ do: "move", folder: other }))!;
      assertEquals([look.folder, look.state], [other, "downloading"]);
      assertEquals([...Deno.readDirSync(folder)], []);
      return other;
    },
  },
  {
    name: "other trackers",
    async make({ driver, folder }) {
      const [first, second] = [startTracker(), startTracker()];
      try {
        await driver.tell({ do: "trackers", trackers: [first.url] });
        await untilHeard(first.heard, ["started"]);
        await driver.tell({ do: "trackers", trackers: [second.url] });
        await untilHeard(second.heard, ["started"]);
        await untilHeard(first.heard, ["started", "stopped"]);
        assertEquals((await driver.tell({ do: "pause" }))!.trackers, [second.url]);
        await untilHeard(second.heard, ["started", "stopped"]);
        await driver.tell({ do: "resume" });
        await untilHeard(second.heard, ["started", "stopped", "started"]);
        await driver.tell({ do: "trackers", trackers: [] });
        await untilHeard(second.heard, ["started", "stopped", "started", "stopped"]);
      } finally {
        await Promise.all([first, second].map(({ server }) => server.shutdown()));
      }
      return folder;
    },
    twice: IN_FLIGHT,
  },
];

/** Downloads the torrent once for each of {@linkcode CHANGES}. */
async function changeDownloads(
  { payload, torrent, seeder, driver, folder, elsewhere }: {
    readonly payload: Payload;
    readonly torrent: string;
    readonly seeder: Seeder;
    readonly driver: Driver;
    readonly folder: string;
    readonly elsewhere: string;
  },
): Promise<void> {
  for (const [i, { name, make, twice = 0 }] of CHANGES.entries()) {
    try {
      const out = `${folder}/out ${i}`;
      const sent = await seeder.uploaded();
      await seeder.limit(SLOW);
      await driver.tell({ do: "add", torrent, folder: out });
      await driver.tell({ do: "peers", ports: [Number(seeder.address.split(":")[1])] });
      await driver.until((look) => sum(look.verified) > payload.size * UNDER_WAY, "it was under way");
      const others = [`${folder}/other ${i}`, `${elsewhere}/${i}`] as const;
      const end = await make({ driver, payload, folder: out, others, seeder });
      await seeder.limit(0);
      await driver.until(({ state }) => state === "seeding", "it was complete");
      await assertSame(payload, end);
      assertEquals([...Deno.readDirSync(end)].map(({ name }) => name), [payload.name]);
      // Removing the torrent with its data leaves no file.
      assertEquals(await driver.tell({ do: "remove", data: true }), null);
      assertEquals([...Deno.readDirSync(end)], []);
      await untilConnections(seeder, 0);
      const more = await untilUploaded(seeder, sent + payload.size) - sent - payload.size;
      assertLessOrEqual(more, twice, "bytes that were sent twice");
    } catch (error) {
      throw new Error(`${name}: ${messageOf(error)}\n${driver.events.join(", ")}`, { cause: error });
    }
  }
  assertEquals(driver.events.filter((event) => /^(error|warning)/.test(event)), []);
}

testWith(
  "downloads from aria2 and libtorrent complete after each change made while they run",
  ["aria2c", "python3-libtorrent"],
  () =>
    withTwoScratches(async (scratch, elsewhere) => {
      const payload = await makePayload(`${scratch}/source`);
      const torrent = `${scratch}/set.torrent`;
      await makeTorrent(payload, { path: torrent, pieceLength: PIECE });
      await Promise.all([seedWithAria2, Libtorrent.seed].map(async (seed, i) => {
        await using seeder = await seed(payload, { torrent });
        await using driver = await Driver.start(`${scratch}/state ${i}`);
        await changeDownloads({
          ...{ payload, torrent, seeder, driver },
          folder: `${scratch}/${i}`,
          elsewhere: `${elsewhere}/${i}`,
        });
      }));
    }),
);

/** Changes to a seed while libtorrent downloads from the seed. */
const CHANGES_OF_SEED: readonly Change[] = [
  {
    name: "a pause",
    async make({ driver, folder }) {
      await driver.tell({ do: "pause" });
      const { uploaded, peers } = await driver.until(({ peers }) => peers === 0, "it has left");
      await new Promise((resolve) => setTimeout(resolve, 500)); // long enough for a megabyte
      assertEquals([(await driver.tell({ do: "look" }))!.uploaded, peers], [uploaded, 0]);
      await driver.tell({ do: "resume" });
      return folder;
    },
  },
  {
    name: "a check",
    async make({ driver, folder }) {
      assertEquals((await driver.tell({ do: "recheck" }))!.state, "seeding");
      return folder;
    },
  },
  {
    name: "fewer files",
    async make({ driver, folder }) {
      const { files, state } = (await driver.tell({ do: "files", files: [1] }))!;
      assertEquals([files, state], [[1], "seeding"]);
      return folder;
    },
  },
  {
    name: "a limit",
    async make({ driver, folder }) {
      const rate = SLOW / 4;
      await driver.tell({ do: "limits", up: rate });
      const before = (await driver.tell({ do: "look" }))!.uploaded;
      await new Promise((resolve) => setTimeout(resolve, 2000)); // long enough to measure a rate
      const { uploaded } = (await driver.tell({ do: "look" }))!;
      assertLessOrEqual(uploaded - before, rate * 2 * 1.5);
      assertGreater(uploaded - before, rate * 2 * 0.3);
      return folder;
    },
  },
  ...CHANGES.filter(({ name }) => name.startsWith("a move")).map(({ name }): Change => ({
    name,
    async make({ driver, folder, others }) {
      const other = others[name === "a move" ? 0 : 1];
      const { state, folder: now } = (await driver.tell({ do: "move", folder: other }))!;
      assertEquals([state, now], ["seeding", other]);
      assertEquals([...Deno.readDirSync(folder)], []);
      return other;
    },
  })),
];

testWith(
  "libtorrent completes its download from shoal after each change to the seed made while it runs",
  ["python3-libtorrent"],
  () =>
    withTwoScratches(async (scratch, elsewhere) => {
      const payload = await makePayload(`${scratch}/source`);
      const torrent = `${scratch}/set.torrent`;
      await makeTorrent(payload, { path: torrent, pieceLength: PIECE });
      await using driver = await Driver.start(`${scratch}/state`);
      let folder = payload.folder;
      await driver.tell({ do: "add", torrent, folder });
      await driver.until(({ state }) => state === "seeding", "it seeded");
      for (const [i, { name, make }] of CHANGES_OF_SEED.entries()) {
        const into = `${scratch}/out ${i}`;
        await driver.tell({ do: "limits", up: SLOW });
        await using leecher = Libtorrent.leech(into, { torrent, ports: [driver.port] });
        try {
          await leecher.until(({ progress }) => progress > UNDER_WAY, "it was under way");
          const others = [`${scratch}/other ${i}`, `${elsewhere}/${i}`] as const;
          folder = await make({ driver, payload, folder, others, seeder: null });
          assert(!leecher.status!.seeds, "it was complete before the change");
          await driver.tell({ do: "limits", up: null });
          await leecher.until(({ seeds }) => seeds, "it was complete");
        } catch (error) {
          throw new Error(`${name}: ${messageOf(error)}\n${driver.events.join(", ")}`, { cause: error });
        }
        await leecher[Symbol.asyncDispose]();
        await assertSame({ ...payload, folder }, into);
      }
      assertEquals(driver.events.filter((event) => /^(error|warning)/.test(event)), []);
    }),
);
