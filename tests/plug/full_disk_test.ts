import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { type Seeder, seedWithAria2 } from "../support/aria2.ts";
import { Driver, type Look } from "../support/driver.ts";
import { must } from "../support/job.ts";
import { Libtorrent } from "../support/libtorrent.ts";
import { assertSame, makeFile, type Payload } from "../support/payload.ts";
import { testWith } from "../support/requirements.ts";
import { withScratch } from "../support/scratch.ts";
import { makeTorrent, VERSIONS } from "../support/torrents.ts";

const MIB = 1024 * 1024;

/** Fixtures of a test with a full disk. */
interface Scene {
  readonly scratch: string;
  readonly payload: Payload;
  readonly torrent: string;
  readonly seeder: Seeder;
  readonly driver: Driver;
  /** Folder on a disk of 8 MiB, half of the payload. */
  readonly disk: string;
}

function testFullDisk(name: string, client: "aria2" | "libtorrent", body: (scene: Scene) => Promise<void>): void {
  for (const version of VERSIONS) {
    testWith(`${name} (${version})`, ["root", "aria2c", "python3-libtorrent"], () =>
      withScratch(async (scratch) => {
        const payload = await makeFile(`${scratch}/source`, { name: "file.bin", size: 16 * MIB + 77, seed: 31 });
        const torrent = `${scratch}/file.torrent`;
        await makeTorrent(payload, { path: torrent, version });
        const disk = `${scratch}/disk`;
        await Deno.mkdir(disk);
        await must("mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", disk);
        try {
          // aria2 1.36 knows no v2, and computes another info-hash for hybrids.
          await using seeder = client === "aria2" && version === "v1"
            ? await seedWithAria2(payload, { torrent })
            : await Libtorrent.seed(payload, { torrent });
          await using driver = await Driver.start(`${scratch}/state`);
          await body({ scratch, payload, torrent, seeder, driver, disk });
        } finally {
          await must("umount", disk);
        }
      }));
  }
}

/** Downloads until the disk is full, and asserts that the torrent goes idle with an error. */
async function fillDisk({ torrent, seeder, driver, disk }: Scene): Promise<Look> {
  await driver.tell({ do: "add", torrent, folder: disk });
  await addPeer({ seeder, driver });
  const look = await driver.until(({ state }) => state === "error", "the disk to be full");
  assertMatch(look.error!, /^cannot write: .*space/);
  while (await seeder.connections() > 0) await new Promise((resolve) => setTimeout(resolve, 20));
  const sent = await seeder.uploaded();
  await new Promise((resolve) => setTimeout(resolve, 1200)); // A tick, and the second after which libtorrent updates its figures.
  const later = (await driver.tell({ do: "look" }))!;
  assertEquals([later.state, later.peers, later.downloaded], ["error", 0, look.downloaded]);
  assert(await seeder.uploaded() - sent < MIB, "it goes on fetching");
  assertEquals(driver.events.filter((event) => event.startsWith("error ")).length, 1);
  return later;
}

async function addPeer({ seeder, driver }: Pick<Scene, "seeder" | "driver">): Promise<void> {
  await driver.tell({ do: "peers", ports: [Number(seeder.address.split(":")[1])] });
}

testFullDisk(
  "a download on a full disk reports an error, goes idle, and continues when it is resumed with more room",
  "aria2",
  async (scene) => {
    const { driver, seeder, disk, payload } = scene;
    await fillDisk(scene);
    // While the disk is still full, resuming ends in the same error.
    await driver.tell({ do: "resume" });
    const isToldAgain = () => driver.events.filter((event) => event.startsWith("error ")).length === 2;
    await driver.until(({ state }) => state === "error" && isToldAgain(), "the disk to be full still");
    await must("mount", "-o", "remount,size=40m", disk);
    const { downloaded } = driver.look!;
    await driver.tell({ do: "resume" });
    const checked = await driver.until(({ state }) => state === "downloading", "it tries again");
    assert(checked.verified[0]! >= 5 * MIB, `only ${checked.verified[0]} bytes are still there`);
    const done = await driver.until(({ state }) => state === "seeding", "it was complete");
    assert(done.downloaded - downloaded < payload.size - 5 * MIB, "most was fetched again");
    await assertSame(payload, disk);
    await driver.tell({ do: "remove", data: true });
    assertEquals([...Deno.readDirSync(disk)], []);
    assertEquals(await seeder.connections(), 0);
  },
);

testFullDisk(
  "a download on a full disk continues after a move to another disk",
  "libtorrent",
  async (scene) => {
    const { driver, disk, payload, scratch } = scene;
    await fillDisk(scene);
    const other = `${scratch}/roomy`;
    const moved = (await driver.tell({ do: "move", folder: other }))!;
    assertEquals([moved.state, moved.folder], ["error", other]);
    assertEquals([...Deno.readDirSync(disk)], []);
    await driver.tell({ do: "resume" });
    const checked = await driver.until(({ state }) => state === "downloading", "it tries again");
    assert(checked.verified[0]! >= 5 * MIB, `only ${checked.verified[0]} bytes are still there`);
    await driver.until(({ state }) => state === "seeding", "it was complete");
    await assertSame(payload, other);
  },
);

testFullDisk(
  "a download on a full disk is restored and continues after its session is killed",
  "libtorrent",
  async (scene) => {
    const { driver, seeder, disk, payload, scratch } = scene;
    await fillDisk(scene);
    await driver.kill();
    await must("mount", "-o", "remount,size=40m", disk);
    await using again = await Driver.start(`${scratch}/state`);
    const checked = await again.until(({ state }) => state === "downloading", "it goes on");
    assert(checked.verified[0]! >= 5 * MIB, `only ${checked.verified[0]} bytes are still there`);
    await addPeer({ seeder, driver: again });
    await again.until(({ state }) => state === "seeding", "it was complete");
    await assertSame(payload, disk);
  },
);

testFullDisk(
  "a download stays in its folder and continues when a move fails for lack of space",
  "aria2",
  async ({ driver, seeder, disk, payload, torrent, scratch }) => {
    await seeder.limit(6 * MIB);
    const folder = `${scratch}/out`;
    await driver.tell({ do: "add", torrent, folder });
    await addPeer({ seeder, driver });
    await driver.until(({ verified }) => verified[0]! > 9 * MIB, "it was larger than that disk");
    await assertRejects(() => driver.tell({ do: "move", folder: `${disk}/below` }), Error, "space");
    assertEquals([driver.look!.state, driver.look!.folder], ["downloading", folder]);
    assertEquals([...Deno.readDirSync(disk)], []);
    await seeder.limit(0);
    await driver.until(({ state }) => state === "seeding", "it was complete");
    await assertSame(payload, folder);
  },
);
