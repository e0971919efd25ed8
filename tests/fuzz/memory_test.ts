import { assert, assertLess } from "@std/assert";
import { allocatedBy } from "./allocations.ts";
import { InputMaker } from "./fuzzer.ts";
import { TARGETS } from "./targets/mod.ts";
import { WORST_SHAPES } from "./worst/mod.ts";

const SIZE = 1 << 13;
/** Bytes of arrays for each byte of an input; the worst are two-byte values, of which each takes two rows of the tape. */
const MOST_BYTES_PER_BYTE = 40;
/** Whatever is made however short an input is. */
const FLAT_BYTES = 300_000;

Deno.test("no decoder asks for memory out of proportion to its worst shapes", () => {
  for (const shape of WORST_SHAPES) {
    const input = shape.make(SIZE);
    const bytes = allocatedBy(() => shape.run(input));
    assertLess(bytes, MOST_BYTES_PER_BYTE * input.length + FLAT_BYTES, `${shape.name}: ${bytes} bytes`);
  }
});

Deno.test("no decoder asks for memory that an input merely claims", () => {
  const runs = new Map(WORST_SHAPES.map(({ name, run }) => [name.split(":")[0]!, run]));
  const decoders = [
    ["bencode", "bencode"],
    ["metainfo", "torrent"],
    ["file-tree", "torrent with a tree"],
    ["frames", "frames"],
    ["extension-handshake", "extension handshake"],
    ["announce-reply", "tracker"],
  ] as const;
  for (const [name, decoder] of decoders) {
    const maker = new InputMaker(TARGETS.find((target) => target.name === name)!, 7);
    const run = runs.get(decoder)!;
    for (let index = 0; index < 300; index++) {
      const input = maker.make(index);
      const bytes = allocatedBy(() => run(input));
      assertLess(bytes, MOST_BYTES_PER_BYTE * input.length + FLAT_BYTES, `${name}, input ${index}: ${bytes} bytes`);
    }
  }
});

Deno.test("allocatedBy() sees what is made by length, however it is made", () => {
  const million = 1_000_000;
  const ways: [() => unknown, number][] = [
    [() => new Uint8Array(million), million],
    [() => new Uint32Array(million), 4 * million],
    [() => new ArrayBuffer(million), million],
    [() => new Array(million), 8 * million],
    [() => Uint8Array.from({ length: million }), million],
    [() => Array.from({ length: million }), 8 * million],
    [() => "x".repeat(million), million],
    [() => new Uint8Array(new ArrayBuffer(million)).slice(), 2 * million],
    [() => new Uint8Array(new ArrayBuffer(million)).subarray(5), million],
  ];
  for (const [way, bytes] of ways) assert(allocatedBy(() => void way()) === bytes, String(way));
  const before = Uint8Array;
  assert(new before(3) instanceof Uint8Array && new Uint8Array(3) instanceof before, "all is as it was");
});
