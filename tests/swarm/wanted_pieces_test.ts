import { assertEquals } from "@std/assert";
import { Bitfield } from "../../src/base/bitfield.ts";
import type { Metainfo } from "../../src/metainfo/mod.ts";
import { piecePriorities, verifiedBytes, wantedPiecesOf } from "../../src/swarm/wanted_pieces.ts";

/** Returns a torrent with files of these lengths in pieces of 10 bytes; a negative length is padding. */
function metaOf(...lengths: number[]): Metainfo {
  let offset = 0;
  const files = lengths.map((length) => {
    const file = { offset, length: Math.abs(length), pad: length < 0 };
    offset += file.length;
    return file;
  });
  const size = lengths.reduce((sum, length) => sum + Math.max(0, length), 0);
  const parts = { files, pieceLength: 10, pieceCount: Math.ceil(offset / 10), totalLength: offset, size };
  return parts as unknown as Metainfo; // the fields that wanted_pieces.ts reads
}

function levels(meta: Metainfo, ...rest: Parameters<typeof piecePriorities> extends [unknown, ...infer R] ? R : never) {
  const levelOf = piecePriorities(meta, ...rest);
  return Array.from({ length: meta.pieceCount }, (_, index) => levelOf(index));
}

Deno.test("piecePriorities() gives a piece the priority of the file that comes first of those that share it", () => {
  const meta = metaOf(15, 10, 5, 20);
  assertEquals(levels(meta, new Map([[0, "low"], [1, "high"], [2, "low"]])), [-1, 1, 1, 0, 0]);
  assertEquals(levels(meta, new Map()), [0, 0, 0, 0, 0]);
  assertEquals(levels(meta, new Map([[3, "low"]])), [0, 0, 0, -1, -1]);
});

Deno.test("piecePriorities() looks at wanted files only, and neither at padding nor at empty files", () => {
  const meta = metaOf(15, 10, 5, 20);
  assertEquals(levels(meta, new Map([[0, "low"], [1, "high"]]), new Set([0, 3])), [-1, -1, 0, 0, 0]);
  const padded = metaOf(5, -5, 0, 10);
  assertEquals(levels(padded, new Map([[0, "low"], [2, "high"], [3, "low"]])), [-1, -1]);
});

Deno.test("verifiedBytes() counts the wanted bytes that are there, without padding", () => {
  const meta = metaOf(15, -5, 10, 7);
  const have = new Bitfield(4);
  for (const index of [1, 2, 3]) have.set(index);
  assertEquals(verifiedBytes(wantedPiecesOf(meta), have), 22);
  assertEquals(verifiedBytes(wantedPiecesOf(meta, new Set([0])), have), 5);
  assertEquals(verifiedBytes(wantedPiecesOf(meta, new Set()), have), 0);
});
