import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { ShoalError } from "../../src/base/errors.ts";
import { type Metainfo, parseMagnet, torrentFile } from "../../src/metainfo/mod.ts";
import { piecesOf, ReadAhead, type TorrentReader } from "../../src/swarm/torrent_reader.ts";
import { Lab, NAME, PIECE } from "../support/session_lab.ts";
import { SlowSeeder } from "../support/slow_seeder.ts";

const MIB = 1024 * 1024;
/** Blocks per piece. */
const BLOCKS = PIECE / (16 * 1024);

Deno.test("ReadAhead wants some seconds of reading, in bounds", () => {
  const ahead = new ReadAhead(0);
  assertEquals(ahead.ahead(0), 4 * MIB);
  for (let second = 1; second <= 30; second++) ahead.read(MIB / 2, second * 1000);
  const slow = ahead.ahead(30_000);
  assert(slow > 9 * MIB && slow < 11 * MIB, `${slow}`);
  for (let second = 31; second <= 60; second++) ahead.read(100 * MIB, second * 1000);
  assertEquals(ahead.ahead(60_000), 32 * MIB);
  for (let second = 61; second <= 150; second++) ahead.read(MIB / 8, second * 1000);
  assertEquals(ahead.ahead(150_000), 4 * MIB);
});

Deno.test("piecesOf() covers bytes with pieces", () => {
  const layout = { pieceLength: 100 };
  assertEquals(piecesOf(layout, { begin: 0, end: 1 }), { first: 0, end: 1 });
  assertEquals(piecesOf(layout, { begin: 99, end: 100 }), { first: 0, end: 1 });
  assertEquals(piecesOf(layout, { begin: 99, end: 101 }), { first: 0, end: 2 });
  assertEquals(piecesOf(layout, { begin: 200, end: 200 }), { first: 2, end: 2 });
});

/** A seeder of the lab's payload that stops after some blocks until it is allowed more. */
async function haltingSeeder(
  lab: Lab,
  made: { readonly meta: Metainfo; readonly source: string },
  blocks: number,
): Promise<SlowSeeder> {
  const torrent = `${lab.make("torrents")}/t.torrent`;
  await Deno.writeFile(torrent, torrentFile(made.meta.info, made.meta));
  return await SlowSeeder.start({ folder: made.source, name: NAME } as never, { torrent, blockMs: 0, blocks });
}

function addressOf(seeder: SlowSeeder) {
  const [host = "", port] = seeder.address.split(":");
  return { host, port: Number(port) };
}

/** Reads a range, in as many reads as necessary. */
async function readAll(reader: TorrentReader, begin: number, end: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(end - begin);
  for (let at = begin; at < end;) {
    const part = await reader.read(at, { length: end - at });
    assert(part.length > 0);
    bytes.set(part, at - begin);
    at += part.length;
  }
  return bytes;
}

Deno.test("Torrent.open() reads what is asked for first, wherever that is, while the rest is downloaded", async () => {
  await using lab = new Lab();
  const made = await lab.payload(16 * PIECE + 100);
  const { meta, data } = made;
  await using seeder = await haltingSeeder(lab, made, 6 * BLOCKS);
  const { session } = await lab.session();
  const folder = lab.make("out");
  const torrent = await session.add(meta, { folder, peers: [addressOf(seeder)] });
  assertEquals(torrent.wantedFiles, [0]);
  const [late, early] = [torrent.open(0), torrent.open(0)];
  const position = 11 * PIECE + 5;
  // If other pieces come first, the reads never settle without the time limit.
  const signal = AbortSignal.timeout(60_000);
  // Two readers, one behind the other, are both served before everything else, with the first 6 of 17 pieces.
  const [tail, head] = await Promise.all([
    late.read(position, { length: 1000, signal }),
    early.read(0, { length: 1000, signal }),
  ]);
  assertEquals([tail, head], [data.slice(position, position + 1000), data.slice(0, 1000)]);
  early.close();
  // A seek to the last byte is served with the next 5 pieces.
  const last = late.read(data.length - 1, { signal });
  seeder.allow(5 * BLOCKS);
  assertEquals(await last, data.slice(-1));
  seeder.allow(Infinity);
  assertEquals((await late.read(data.length)).length, 0);
  await assertRejects(() => late.read(-1), RangeError);
  await assertRejects(() => late.read(0, { length: 0 }), RangeError);
  late.close();
  // A reader reads from beginning to end, while the file gets its final name.
  const whole = torrent.open(0);
  assertEquals(await readAll(whole, 0, data.length), data);
  await torrent.finished;
  assertEquals(await readAll(whole, PIECE - 10, 3 * PIECE), data.slice(PIECE - 10, 3 * PIECE));
  whole.close();
  await assertRejects(() => whole.read(0), Error, "closed");
});

Deno.test("Torrent.open() fails for what isn't there to be read, and reads that wait fail with the torrent", async () => {
  await using lab = new Lab();
  const { meta } = await lab.payload(3 * PIECE);
  const { session } = await lab.session();
  const link = await session.add(parseMagnet(`magnet:?xt=urn:btih:${"ab".repeat(20)}`), { folder: lab.make("link") });
  assertEquals(link.wantedFiles, []);
  assertThrows(() => link.open(0), Error, "no metadata");
  const torrent = await session.add(meta, { folder: lab.make("out") });
  assertThrows(() => torrent.open(1), ShoalError, "the torrent has 1 file");
  const reader = torrent.open(0);
  const stop = new AbortController();
  const given = reader.read(0, { signal: stop.signal });
  const reason = new Error("gone");
  stop.abort(reason);
  await assertRejects(() => given, Error, "gone");
  const waiting = assertRejects(() => reader.read(0), ShoalError, "the torrent was stopped");
  await torrent.stop();
  await waiting;
  await assertRejects(() => reader.read(0), ShoalError, "the torrent was stopped");
});

Deno.test("Torrent.open() knows only the files that are downloaded", async () => {
  await using lab = new Lab();
  const { meta } = await lab.payload(3 * PIECE);
  const { session } = await lab.session();
  const torrent = await session.add(meta, { folder: lab.make("out"), files: new Set() });
  assertEquals(torrent.wantedFiles, []);
  assertThrows(() => torrent.open(0), ShoalError, "it is not downloaded");
});
