import { assertEquals } from "@std/assert";
import { choosePieceLength, encodeTorrent, type TorrentParts } from "../../src/metainfo/encode_torrent.ts";
import { parseMetainfo } from "../../src/metainfo/mod.ts";
import { fc } from "../support/property.ts";

const KIB = 1024;
const MIB = 1024 * KIB;

Deno.test("choosePieceLength() gives powers of two from 16 KiB to 16 MiB, at most 2048 of them below that", () => {
  const cases: [total: number, length: number][] = [
    [1, 16 * KIB],
    [32 * MIB, 16 * KIB],
    [32 * MIB + 1, 32 * KIB],
    [700 * MIB, 512 * KIB],
    [4 * 1024 * MIB, 2 * MIB],
    [32 * 1024 * MIB, 16 * MIB],
    [2 ** 50, 16 * MIB],
  ];
  for (const [total, length] of cases) assertEquals(choosePieceLength(total), length, `${total}`);
});

const name = fc.stringMatching(/^[a-z]{1,8}$/);
const url = name.map((host) => `http://${host}.test/`);
const urls = fc.uniqueArray(url, { minLength: 1, maxLength: 3 });
const length = fc.integer({ min: 1, max: 100_000 });
const folder = fc.uniqueArray(fc.record({ path: fc.array(name, { minLength: 1, maxLength: 3 }), length }), {
  minLength: 1,
  maxLength: 5,
  selector: ({ path }) => path[0],
});
const parts = fc.record({
  name,
  power: fc.integer({ min: 14, max: 20 }),
  content: fc.oneof(length, folder),
  trackers: fc.option(fc.uniqueArray(url, { maxLength: 4 }).map((list) => list.map((item) => [item]))),
  webSeeds: fc.option(urls),
  private: fc.boolean(),
  comment: fc.option(name, { nil: undefined }),
  source: fc.option(name, { nil: undefined }),
  createdBy: fc.option(name, { nil: undefined }),
  createdAt: fc.option(fc.nat(), { nil: undefined }),
});

Deno.test("parseMetainfo() finds in what encodeTorrent() made all that went in", () => {
  fc.assert(fc.property(parts, ({ power, trackers, webSeeds, ...rest }) => {
    const { content } = rest;
    const size = typeof content === "number" ? content : content.reduce((sum, file) => sum + file.length, 0);
    const pieceLength = 2 ** power;
    const pieces = new Uint8Array(Math.ceil(size / pieceLength) * 20).map((_, i) => i);
    const torrent: TorrentParts = { ...rest, pieceLength, pieces, trackers: trackers ?? [], webSeeds: webSeeds ?? [] };
    const meta = parseMetainfo(encodeTorrent(torrent));
    assertEquals(
      [meta.name, meta.pieceLength, meta.size, meta.pieces, meta.trackers, meta.webSeeds, meta.private, meta.comment],
      [rest.name, pieceLength, size, pieces, torrent.trackers, torrent.webSeeds, rest.private, rest.comment ?? null],
    );
    assertEquals(
      [meta.source, meta.createdBy, meta.createdAt],
      [
        rest.source ?? null,
        rest.createdBy ?? null,
        rest.createdAt === undefined ? null : new Date(rest.createdAt * 1000),
      ],
    );
    const files = typeof content === "number" ? [[rest.name]] : content.map(({ path }) => [rest.name, ...path]);
    assertEquals(meta.files.map(({ path }) => path), files);
  }));
});
