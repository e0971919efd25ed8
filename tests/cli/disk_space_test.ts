import { assertEquals } from "@std/assert";
import type { SessionEvent } from "../../src/session/session_events.ts";
import { DiskSpace } from "../../src/cli/disk_space.ts";
import type { Disk } from "../../src/platform/platform.ts";
import type { ViewEvent } from "../../src/ui/view.ts";
import { settle, VirtualClock } from "../support/virtual_clock.ts";
import { assertClean, FakeTorrent, metaOf, World } from "./fake_engine.ts";

const GIB = 1024 ** 3;

/** Lets torrents begin to download with 3 of 4 GiB missing, and returns the warnings. */
async function warnings(world: World, ...args: string[]): Promise<string[]> {
  const { code } = await world.start(...args);
  for (const torrent of world.session.added) {
    torrent.state = { state: "downloading", size: 4 * GIB, verified: GIB };
    const infohash = torrent.infoHash.hex;
    world.session.emit({ event: "state", infohash, state: "downloading", previous: "checking" } satisfies SessionEvent);
    await settle();
  }
  await world.clock.play(2000);
  for (const torrent of world.session.added) torrent.finish();
  assertEquals(await code, 0);
  assertClean(world);
  return world.terminal.stderr.lines.map((line) => line.replace("shoal: warning: ", ""));
}

function worldOf(disks: Readonly<Record<string, [device: string, free: number]>>): World {
  const world = new World();
  for (const [path, [device, free]] of Object.entries(disks)) world.disks.set(path, { device, free });
  return world;
}

Deno.test("download says at the start that the disk is too small for what is missing, once", async () => {
  const line = (free: string, missing: string) =>
    `the disk is too small: ${free} are free, and ${missing} are missing (out)`;
  const out = ["-o", "out"];
  assertEquals(await warnings(worldOf({ out: ["1", 3 * GIB] }), "a.torrent", ...out), []);
  assertEquals(await warnings(worldOf({}), "a.torrent", ...out), []);
  const small = worldOf({ out: ["1", 2 * GIB] });
  assertEquals(await warnings(small, "a.torrent", ...out), [line("2 GiB", "3 GiB")]);
  // Each of them has room, but not both.
  const both = worldOf({ out: ["1", 5 * GIB] });
  const [told, ...rest] = await warnings(both, "a.torrent", "b.torrent", ...out);
  assertEquals([told!.replace(/^[ab]: /, ""), rest], [line("5 GiB", "6 GiB"), []]);
  assertEquals(await warnings(worldOf({ out: ["1", 2 * GIB] }), "a.torrent", "-q", ...out), []);
});

Deno.test("download --incomplete says that the disk to which the data is moved is too small, if it is another one", async () => {
  const args = ["a.torrent", "-o", "out", "--incomplete", "inc"];
  const line = "the disk is too small: 3.5 GiB are free, and 4 GiB are to be moved there (out)";
  assertEquals(await warnings(worldOf({ inc: ["1", 9 * GIB], out: ["2", 3.5 * GIB] }), ...args), [line]);
  assertEquals(await warnings(worldOf({ inc: ["1", 3.5 * GIB], out: ["1", 3.5 * GIB] }), ...args), []);
  const inc = "the disk is too small: 1 GiB are free, and 3 GiB are missing (inc)";
  assertEquals(await warnings(worldOf({ inc: ["1", GIB], out: ["1", GIB] }), ...args), [inc]);
});

/** A check of the disk of `out`, with counts of what it reads. */
class Counted {
  readonly clock = new VirtualClock();
  readonly warnings: ViewEvent[] = [];
  readonly space: DiskSpace;
  disks = 0;
  snapshots = 0;

  constructor(free: number, count: number) {
    const disk = (): Promise<Disk> => {
      this.disks++;
      return Promise.resolve({ device: "1", free });
    };
    const after = this.clock.after.bind(this.clock);
    this.space = new DiskSpace({
      platform: { after, files: { disk } },
      view: { event: (event) => void this.warnings.push(event) },
    });
    for (const name of this.names(count)) {
      const torrent = new FakeTorrent(metaOf(name), { folder: "out" });
      torrent.state = { state: "downloading", size: GIB, verified: 0 };
      const snapshot = torrent.snapshot.bind(torrent);
      this.space.add(Object.assign(torrent, { snapshot: () => (this.snapshots++, snapshot()) }), "out");
    }
  }

  names(count: number): string[] {
    return Array.from({ length: count }, (_, i) => String.fromCharCode(1 + i));
  }

  /** Lets all torrents begin at once. */
  async begin(count: number): Promise<void> {
    for (const name of this.names(count)) this.space.check(metaOf(name).infoHash.hex);
    await this.clock.play(5000);
  }
}

Deno.test("many torrents that begin together are checked once, and not again after the warning", async () => {
  const counted = new Counted(GIB, 200);
  await counted.begin(200);
  assertEquals([counted.disks, counted.snapshots, counted.warnings.length], [1, 200, 1]);
  await counted.begin(200);
  assertEquals([counted.disks, counted.snapshots, counted.warnings.length], [1, 200, 1]);
  // Where there is room, those that begin later are checked, too.
  const roomy = new Counted(300 * GIB, 200);
  await roomy.begin(100);
  assertEquals([roomy.disks, roomy.snapshots], [1, 100]);
  await roomy.begin(200);
  assertEquals([roomy.disks, roomy.snapshots, roomy.warnings.length], [2, 300, 0]);
});

Deno.test("a torrent that begins before it is added is checked as well", async () => {
  const counted = new Counted(0, 0);
  counted.space.check(metaOf("a").infoHash.hex);
  const torrent = new FakeTorrent(metaOf("a"), { folder: "out" });
  torrent.state = { state: "downloading", size: GIB, verified: 0 };
  counted.space.add(torrent, "out");
  await counted.clock.play(5000);
  assertEquals(counted.warnings.length, 1);
});

Deno.test("close() cancels the check", async () => {
  const counted = new Counted(0, 1);
  counted.space.check(metaOf("\x01").infoHash.hex);
  counted.space.close();
  assertEquals(counted.clock.pending, 0);
  await counted.begin(1);
  assertEquals([counted.disks, counted.warnings.length], [0, 0]);
});
