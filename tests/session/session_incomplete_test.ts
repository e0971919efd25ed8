import { assert, assertEquals, assertRejects } from "@std/assert";
import { concatBytes, equalBytes, utf8 } from "../../src/base/bytes.ts";
import { ShoalError } from "../../src/base/errors.ts";
import { encodeTorrent } from "../../src/metainfo/encode_torrent.ts";
import { magnetOf, parseMagnet, parseMetainfo } from "../../src/metainfo/mod.ts";
import { type AddOptions, Session } from "../../src/session/session.ts";
import type { SessionEvent } from "../../src/session/session_events.ts";
import { finishing, platformOf } from "../plug/memory_lab.ts";
import { MemoryNetwork } from "../plug/memory_network.ts";
import { sha1 } from "../storage/fixture.ts";
import { MemoryFiles } from "../support/memory_files.ts";
import { noise } from "../support/payload.ts";
import { VirtualClock } from "../support/virtual_clock.ts";

const HOST = "10.0.0.1";
const PIECE = 16 * 1024;
const FILES = { a: 3 * PIECE - 1000, b: 5 * PIECE };

const content = Object.entries(FILES).map(([name, length]) => ({ path: [name], length }));
const data = noise(FILES.a + FILES.b, 11);
const hashes = Array.from(
  { length: Math.ceil(data.length / PIECE) },
  (_, i) => sha1(data.subarray(i * PIECE, (i + 1) * PIECE)),
);
const meta = parseMetainfo(
  encodeTorrent({ name: "t", pieceLength: PIECE, pieces: concatBytes(hashes), content, trackers: [] }),
);
const bytes = meta.files.map(({ path, offset, length }) => ({
  path: path.join("/"),
  data: data.slice(offset, offset + length),
}));

/** Options that the torrent is added with. */
const ADD: AddOptions = { folder: "/out", incomplete: "/inc" };

/** A seeder, and sessions with files of their own. */
class Lab {
  readonly clock = new VirtualClock();
  readonly #net = new MemoryNetwork(this.clock, 64 * 1024);
  readonly #sessions: Session[] = [];

  async session(files = new MemoryFiles()) {
    const session = new Session({
      platform: platformOf(this.clock, this.#net, files),
      bind: HOST,
      encryption: "off",
      stateFolder: "/state",
    });
    this.#sessions.push(session);
    const events: SessionEvent[] = [];
    session.subscribe((event) => void events.push(event));
    await session.start();
    return { session, files, events };
  }

  async seeder() {
    const { session, files } = await this.session();
    putAll(files, "/dl");
    await session.add(meta, { folder: "/dl", seedOnly: true, trust: true });
    return session.listenAddress;
  }

  /** Lets time pass until a condition holds. */
  async until(isSo: () => boolean): Promise<void> {
    for (const end = this.clock.now() + 600_000; !isSo();) {
      assert(this.clock.now() < end, "it never comes to that");
      await this.clock.play(10);
    }
  }

  async stop(...sessions: readonly Session[]): Promise<void> {
    const all = sessions.length > 0 ? sessions : this.#sessions;
    await finishing(Promise.all(all.map((session) => session.stop())), this.clock);
  }
}

function putAll(files: MemoryFiles, folder: string): void {
  for (const { path, data } of bytes) files.put(`${folder}/${path}`, data);
}

/** Paths in the two folders, without locks. */
function pathsIn(files: MemoryFiles): string[] {
  return files.paths().filter((path) => /^\/(?:inc|out)\//.test(path) && !path.endsWith(".lock"));
}

function assertHome(files: MemoryFiles): void {
  assertEquals(pathsIn(files), bytes.map(({ path }) => `/out/${path}`));
  for (const { path, data } of bytes) assert(equalBytes(files.get(`/out/${path}`)!, data), path);
}

const LINK = parseMagnet(magnetOf(meta));

for (const mounts of [[], ["/inc"], ["/out"]]) {
  for (const source of [meta, LINK]) {
    const what = `${source === meta ? "a torrent file" : "a magnet link"}${
      mounts.length > 0 ? ` with a disk at ${mounts}` : ""
    }`;
    Deno.test(`Session.add() keeps unfinished data of ${what} in its own folder, and moves it when it is complete`, async () => {
      const lab = new Lab();
      const peers = [await lab.seeder()];
      const { session, files, events } = await lab.session(new MemoryFiles({ mounts }));
      const torrent = await session.add(source, { ...ADD, peers });
      await lab.until(() => torrent.snapshot().verified > 2 * PIECE);
      assert(
        pathsIn(files).length > 0 && pathsIn(files).every((path) => path.startsWith("/inc/")),
        String(pathsIn(files)),
      );
      assertEquals(torrent.folder, "/inc");
      await finishing(torrent.finished, lab.clock);
      assertHome(files);
      assertEquals([torrent.folder, torrent.state], ["/out", "seeding"]);
      const told = events.filter((event) =>
        event.event === "completed" || (event.event === "changed" && event.what === "folder")
      );
      assertEquals(told.map(({ event }) => event), ["changed", "completed"]);
      const [, completed] = told;
      assertEquals(completed!.event === "completed" && completed.paths, bytes.map(({ path }) => `/out/${path}`));

      // It is served from its new place, and found there by the next run.
      const other = await lab.session();
      const same = await other.session.add(meta, { folder: "/dl", peers: [session.listenAddress] });
      await finishing(same.finished, lab.clock);
      await lab.stop(session);
      const again = await lab.session(files);
      const found = await again.session.add(meta, ADD);
      await finishing(found.finished, lab.clock);
      assertEquals([found.folder, found.snapshot().downloaded], ["/out", 0]);
      assertHome(files);
      await lab.stop();
    });
  }
}

Deno.test("Session.add() goes on with unfinished data where it is, and with what was begun in the other folder", async () => {
  for (const [first, then] of [[ADD, "/inc"], [{ folder: "/out" }, "/out"]] as const) {
    const lab = new Lab();
    const peers = [await lab.seeder()];
    const { session, files } = await lab.session();
    const torrent = await session.add(meta, { ...first, peers });
    await lab.until(() => torrent.snapshot().verified > 2 * PIECE);
    await lab.stop(session);
    const again = await lab.session(files);
    const goesOn = await again.session.add(meta, { ...ADD, peers });
    await lab.until(() => goesOn.state === "downloading");
    assertEquals(goesOn.folder, then);
    assert(goesOn.snapshot().verified >= 2 * PIECE);
    await finishing(goesOn.finished, lab.clock);
    assert(goesOn.snapshot().downloaded < data.length);
    assertHome(files);
    await lab.stop();
  }
});

Deno.test("a torrent whose data can't be moved to its folder fails, keeps it, and moves it when it is resumed", async () => {
  const lab = new Lab();
  const peers = [await lab.seeder()];
  const { session, files } = await lab.session();
  const torrent = await session.add(meta, { ...ADD, peers });
  const { finished } = torrent;
  await lab.until(() => torrent.state === "downloading");
  files.put("/out/t/a", utf8("mine"));
  const error = await finishing(assertRejects(() => finished, ShoalError), lab.clock);
  assertEquals([error.kind, torrent.state, torrent.folder], ["storage", "error", "/inc"]);
  for (const { path, data } of bytes) assert(equalBytes(files.get(`/inc/${path}`)!, data), path);
  assertEquals(files.get("/out/t/a"), utf8("mine"));
  await files.remove("/out/t/a");
  torrent.resume();
  await finishing(torrent.finished, lab.clock);
  assertHome(files);
  assertEquals(torrent.snapshot().downloaded <= data.length, true);
  await lab.stop();
});

Deno.test("Torrent.move() of unfinished data decides where it stays", async () => {
  const lab = new Lab();
  const peers = [await lab.seeder()];
  const { session, files } = await lab.session();
  const torrent = await session.add(meta, { ...ADD, peers });
  await lab.until(() => torrent.snapshot().verified > 0);
  await finishing(torrent.move("/third"), lab.clock);
  await finishing(torrent.finished, lab.clock);
  assertEquals(torrent.folder, "/third");
  for (const { path, data } of bytes) assert(equalBytes(files.get(`/third/${path}`)!, data), path);
  assertEquals(pathsIn(files), []);
  await lab.stop();
});

Deno.test("a folder for complete data that can't be made is told at the start", async () => {
  const lab = new Lab();
  const { session, files } = await lab.session();
  files.put("/out", utf8("a file"));
  const torrent = await session.add(meta, ADD);
  await finishing(assertRejects(() => torrent.finished, ShoalError, "/out"), lab.clock);
  await lab.stop();
});

Deno.test("a process that ends at any moment of the move leaves data that the next one brings to its folder", async () => {
  for (const mounts of [[], ["/inc"]]) {
    let kills = 0;
    for (let isOver = false; !isOver;) {
      const lab = new Lab();
      const files = new MemoryFiles({ mounts });
      putAll(files, "/inc");
      const { session } = await lab.session(files);
      let left: MemoryFiles | null = null;
      let calls = 0;
      // The session has opened its own files by now.
      files.onCall = () => {
        if (calls++ === kills) left = files.crash();
        return null;
      };
      const torrent = await session.add(meta, ADD);
      for (let i = 0; i < 1000 && left === null && torrent.state !== "seeding"; i++) await lab.clock.play(10);
      isOver = left === null;
      kills++;
      if (left === null) assertHome(files);
      const next = new Lab();
      const again = await next.session(left ?? files.copy());
      const goesOn = await again.session.add(meta, ADD);
      await finishing(goesOn.finished, next.clock);
      assertHome(again.files);
      assertEquals(goesOn.snapshot().downloaded, 0, `after ${kills} calls`);
      await next.stop();
    }
    assert(kills > 20, `${kills} calls`);
  }
});
