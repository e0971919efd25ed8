import { assertEquals, assertThrows } from "@std/assert";
import { FileMap, type FileRange, holdsData } from "../../src/storage/layout.ts";
import { fc } from "../support/property.ts";
import { layoutOf } from "./fixture.ts";

const layouts = fc.record({
  pieceLength: fc.integer({ min: 1, max: 40 }),
  files: fc.array(
    fc.record({ length: fc.integer({ min: 0, max: 60 }), pad: fc.boolean() }),
    { minLength: 1, maxLength: 12 },
  ),
}).map(({ pieceLength, files }) => layoutOf(pieceLength, files.map((file, i) => ({ path: `t/${i}`, ...file }))));

Deno.test("FileMap.ranges() puts every byte where it belongs", () => {
  fc.assert(fc.property(layouts, fc.nat(), fc.nat(), (layout, a, b) => {
    const map = new FileMap(layout);
    // File and position of every byte.
    const places: (readonly [file: number, position: number] | null)[] = [];
    for (const [index, file] of layout.files.entries()) {
      for (let position = 0; position < file.length; position++) places.push(file.pad ? null : [index, position]);
    }
    const offset = a % (layout.totalLength + 1);
    const length = b % (layout.totalLength - offset + 1);
    const found = places.slice(offset, offset + length).map((): readonly [number, number] | null => null);
    const ranges = map.ranges(offset, length);
    for (const range of ranges) {
      for (let i = 0; i < range.length; i++) found[range.at + i] = [range.file, range.position + i];
    }
    assertEquals(found, places.slice(offset, offset + length));
    assertEquals(ranges.every((range) => range.length > 0), true);
    assertEquals(ranges.map((range) => range.at), ranges.map((range) => range.at).sort((x, y) => x - y));
  }));
});

Deno.test("FileMap.piecesOfFile() names the pieces whose ranges name the file", () => {
  fc.assert(fc.property(layouts, (layout) => {
    const map = new FileMap(layout);
    const pieces = layout.files.map((): number[] => []);
    for (let piece = 0; piece < layout.pieceCount; piece++) {
      for (const range of map.rangesOfPiece(piece)) pieces[range.file]!.push(piece);
    }
    for (const [index, file] of layout.files.entries()) {
      const { first, end } = map.piecesOfFile(index);
      if (holdsData(file)) assertEquals(Array.from({ length: end - first }, (_, i) => first + i), pieces[index]);
      if (file.length === 0) assertEquals(first, end);
    }
  }));
});

Deno.test("FileMap.pieceSize() makes the last piece as long as what is left", () => {
  const map = new FileMap(layoutOf(16, [{ path: "a", length: 40 }]));
  assertEquals([map.pieceSize(0), map.pieceSize(1), map.pieceSize(2)], [16, 16, 8]);
});

Deno.test("FileMap.ranges() leaves out links and empty files", () => {
  const layout = layoutOf(16, [
    { path: "a", length: 10 },
    { path: "empty" },
    { path: "link", link: "a" },
    { path: "b", length: 10 },
  ]);
  const expected: FileRange[] = [
    { file: 0, position: 0, at: 0, length: 10 },
    { file: 3, position: 0, at: 10, length: 6 },
  ];
  assertEquals(new FileMap(layout).rangesOfPiece(0), expected);
});

Deno.test("new PieceMap() refuses numbers that contradict each other", () => {
  const good = layoutOf(16, [{ path: "a", length: 40 }, { path: "b", length: 1 }]);
  assertThrows(() => new FileMap({ ...good, pieceCount: 2 }), RangeError, "2 pieces");
  assertThrows(() => new FileMap({ ...good, pieceLength: 0 }), RangeError, "pieces of 0");
  assertThrows(() => new FileMap({ ...good, files: good.files.slice(0, 1) }), RangeError, "40 bytes");
  assertThrows(() => new FileMap({ ...good, files: good.files.toReversed() }), RangeError, "is at byte 40");
});
