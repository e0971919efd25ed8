import { assertEquals } from "@std/assert";
import type { SessionEvent } from "../../src/session/session_events.ts";
import { settle } from "../support/virtual_clock.ts";
import { assertClean, World } from "./fake_engine.ts";

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
