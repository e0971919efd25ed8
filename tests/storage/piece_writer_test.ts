import { assert, assertEquals, assertRejects } from "@std/assert";
import type { Bytes } from "../../src/base/bytes.ts";
import { PLAIN_MEMORY } from "../../src/base/data_memory.ts";
import { FileError } from "../../src/platform/file_errors.ts";
import type { FileHandle } from "../../src/platform/platform.ts";
import { OpenFiles } from "../../src/storage/open_files.ts";
import { PieceWriter } from "../../src/storage/piece_writer.ts";
import { MemoryFiles } from "../support/memory_files.ts";
import { settle, VirtualClock } from "../support/virtual_clock.ts";
import { Torrent } from "./fixture.ts";

function setUp(torrent: Torrent, files = new MemoryFiles()) {
  const written: number[] = [];
  const touched = new Set<number>();
  const open = new OpenFiles((file) => files.open(`/${file}`, "write"), 8);
  const writer = new PieceWriter(torrent.map, {
    memory: PLAIN_MEMORY,
    open,
    beforeEnd: () => Promise.resolve(),
    onWrote: (file) => void touched.add(file),
    onPiece: (piece) => void written.push(piece),
  });
  const writes = () => files.calls.filter((call) => call.operation === "write").map((call) => call.size);
  return { files, open, writer, written, touched, writes };
}

const one = new Torrent(100, [{ path: "a", length: 1000 }]);

Deno.test("PieceWriter merges neighbours that wait for the same file", async () => {
  const { files, writer, written, writes } = setUp(one);
  const gate = files.hold((call) => call.operation === "open");
  const work = [4, 9, 3, 2, 7, 5].map((piece) => writer.write(piece, one.piece(piece)));
  gate.open();
  await Promise.all(work);
  // Piece 4 was written alone, before the others came.
  assertEquals(writes(), [100, 200, 100, 100, 100]);
  assertEquals(written, [4, 2, 3, 5, 7, 9]);
  for (const piece of written) {
    assertEquals(files.get("/0")!.slice(piece * 100, piece * 100 + 100), one.piece(piece), `piece ${piece}`);
  }
});

Deno.test("PieceWriter writes everything whatever the order", async () => {
  const torrent = new Torrent(100, [
    { path: "a", length: 250 },
    { path: "b", length: 20 },
    { path: "pad", length: 30, pad: true },
    { path: "c", length: 1111 },
  ]);
  for (let seed = 1; seed < 20; seed++) {
    const random = new VirtualClock({ seed });
    const { files, open, writer, written, touched } = setUp(torrent);
    const order = torrent.hashes.map((_, piece) => ({ piece, turn: random.random() })).sort((a, b) => a.turn - b.turn);
    const work: Promise<void>[] = [];
    for (const { piece } of order) {
      work.push(writer.write(piece, torrent.piece(piece)));
      if (random.random() < 0.3) await work[0];
    }
    await writer.idle();
    await Promise.all(work);
    assertEquals(written.toSorted((a, b) => a - b), [...torrent.hashes.keys()]);
    assertEquals([...touched].sort(), [0, 1, 3]);
    for (const [index, path] of [[0, "a"], [1, "b"], [3, "c"]] as const) {
      assertEquals(files.get(`/${index}`), torrent.file(path));
    }
    await open.closeAll();
  }
});

Deno.test("PieceWriter does not merge what is too large to be worth a copy", async () => {
  const large = new Torrent(300 * 1024, [{ path: "a", length: 1200 * 1024 }]);
  const { files, writer, writes } = setUp(large);
  const gate = files.hold((call) => call.operation === "open");
  const work = [0, 1, 2, 3].map((piece) => writer.write(piece, large.piece(piece)));
  gate.open();
  await Promise.all(work);
  assertEquals(writes(), Array(4).fill(300 * 1024));
});

Deno.test("PieceWriter fails only the pieces whose write failed, once none of their data is in use", async () => {
  const torrent = new Torrent(100, [{ path: "a", length: 150 }, { path: "b", length: 150 }]);
  const { files, writer, written } = setUp(torrent);
  files.onCall = (call) => call.operation === "write" && call.path === "/0" && call.size === 50 ? "device" : null;
  const gate = files.hold((call) => call.operation === "write" && call.path === "/1");
  let settled = false;
  const both = assertRejects(() => writer.write(1, torrent.piece(1)), FileError).then(() => settled = true);
  const first = writer.write(0, torrent.piece(0));
  const last = writer.write(2, torrent.piece(2));
  await first;
  assert(!settled, "its half in the other file is still being written");
  gate.open();
  await Promise.all([both, last, writer.idle()]);
  assertEquals(written, [0, 2]);
});

Deno.test("PieceWriter fails all that waits for a file that can't be opened", async () => {
  const { files, writer, written } = setUp(one);
  files.onCall = (call) => call.operation === "open" ? "denied" : null;
  const results = await Promise.allSettled([1, 5].map((piece) => writer.write(piece, one.piece(piece))));
  assertEquals(results.map((result) => result.status), ["rejected", "rejected"]);
  files.onCall = () => null;
  await writer.write(1, one.piece(1));
  assertEquals(written, [1]);
});

Deno.test("PieceWriter hands on large pieces of a file while others of it are being written, but no more than four", async () => {
  const size = 300 * 1024;
  const large = new Torrent(size, [{ path: "a", length: 6 * size }]);
  const positions: number[] = [];
  const finish: (() => void)[] = [];
  const handle = {
    write(_: Bytes, position: number) {
      positions.push(position / size);
      return new Promise<void>((resolve) => finish.push(resolve));
    },
  };
  const written: number[] = [];
  const writer = new PieceWriter(large.map, {
    memory: PLAIN_MEMORY,
    open: new OpenFiles(() => Promise.resolve(handle as unknown as FileHandle), 8),
    beforeEnd: () => Promise.resolve(),
    onWrote: () => {},
    onPiece: (piece) => void written.push(piece),
  });
  const work = [0, 1, 2, 3, 4, 5].map((piece) => writer.write(piece, large.piece(piece)));
  await settle();
  assertEquals(positions.length, 4);
  finish[2]!();
  await settle();
  assertEquals([positions.length, written], [5, [positions[2]!]], "whichever is over first");
  for (let i = 0; i < 6; i++) {
    finish[i]!();
    await settle();
  }
  await Promise.all(work);
  assertEquals(positions.toSorted(), [0, 1, 2, 3, 4, 5]);
});
