import { assert, assertEquals, assertLessOrEqual } from "@std/assert";
import { BlockHashes } from "../../../src/swarm/pieces/block_hashes.ts";
import { fc } from "../../support/property.ts";
import type { Bytes } from "../../../src/base/bytes.ts";
import { HeldHashes } from "../../support/held_hashes.ts";

const KIB = 1024;
const sizeOf = (piece: number) => (1 + piece % 7) * 16 * KIB;
const hashesOf = (piece: number): Bytes => new Uint8Array(32 * (1 + piece % 7)).fill(piece);

function lab(keptBytes = 1000) {
  const source = new HeldHashes(hashesOf);
  const clock = { now: 0 };
  const hashes = new BlockHashes({ source, pieceSize: sizeOf, now: () => clock.now, keptBytes });
  const log: string[] = [];
  const ask = (piece: number) =>
    hashes.ask(piece, (found) => log.push(`${piece} ${found === null ? "none" : found.length}`));
  return { source, clock, hashes, log, ask };
}

Deno.test("BlockHashes asks once for a piece, however many wait, and keeps the answer", async () => {
  const { source, hashes, log, ask } = lab();
  ask(1);
  ask(1);
  assertEquals(source.asked, [1]);
  source.answer(1);
  assertEquals(log, ["1 64", "1 64"]);
  ask(1);
  assertEquals(log.length, 2, "not within the call");
  await Promise.resolve();
  assertEquals([source.asked, log.length, hashes.bytes], [[1], 3, 64]);
});

Deno.test("BlockHashes ends one wait, or all when closed, and ignores answers that come later", () => {
  const { source, hashes, log, ask } = lab();
  const end = ask(1);
  ask(1);
  ask(2);
  end();
  end();
  assertEquals(log, ["1 none"]);
  source.answer(1);
  assertEquals(log, ["1 none", "1 64"]);
  hashes.close();
  assertEquals(log, ["1 none", "1 64", "2 none"]);
  source.answer(2);
  assertEquals([log.length, hashes.bytes, hashes.get(2), hashes.obtainable], [3, 0, null, false]);
});

Deno.test("BlockHashes takes hashes of the wrong number for none, and waits before it asks in advance again", () => {
  const { source, clock, hashes, log, ask } = lab();
  ask(1);
  assert(!hashes.mayAsk(1), "asked already");
  source.answer(1, new Uint8Array(32));
  assertEquals([log, hashes.get(1), hashes.mayAsk(1), hashes.mayAsk(2)], [["1 none"], null, false, true]);
  clock.now = 10_000;
  assert(hashes.mayAsk(1));
});

Deno.test("BlockHashes is behind with three answers awaited, but neither for long nor if nobody answers", () => {
  const { source, clock, hashes, ask } = lab();
  let caughtUp = 0;
  hashes.caughtUp = () => caughtUp++;
  for (const piece of [1, 2]) ask(piece);
  assert(!hashes.isBehind);
  ask(3);
  assert(hashes.isBehind);
  source.answer(2);
  assertEquals([hashes.isBehind, caughtUp], [false, 1]);
  ask(4);
  clock.now = 299;
  assert(hashes.isBehind);
  clock.now = 300;
  assert(!hashes.isBehind, "new peers wait no longer");
  for (const piece of [1, 3, 4]) source.answer(piece);
  assertEquals(caughtUp, 1);
  ask(5);
  source.answer(5, null);
  for (const piece of [6, 8, 9]) ask(piece);
  assert(!hashes.isBehind, "somebody doesn't answer");
  clock.now = 10_300;
  for (const piece of [6, 8, 9]) source.answer(piece);
  for (const piece of [10, 11, 12]) ask(piece);
  assert(hashes.isBehind);
});

Deno.test("BlockHashes without a source has nobody to ask", async () => {
  const hashes = new BlockHashes({ source: null, pieceSize: sizeOf, now: () => 0 });
  assert(!hashes.obtainable && !hashes.mayAsk(0));
  const found = Promise.withResolvers<Bytes | null>();
  hashes.ask(0, found.resolve);
  assertEquals(await found.promise, null);
});

Deno.test("BlockHashes keeps the hashes that were used last, within its limit", () => {
  fc.assert(fc.property(fc.array(fc.nat(40), { maxLength: 200 }), (pieces) => {
    const limit = 600;
    const { source, hashes, ask } = lab(limit);
    let used: number[] = [];
    for (const piece of pieces) {
      if (hashes.get(piece) === null) {
        ask(piece);
        source.answer(piece);
      }
      used = [...used.filter((other) => other !== piece), piece];
      assertLessOrEqual(hashes.bytes, limit);
      let left = limit;
      const kept = used.toReversed().filter((other) => (left -= hashesOf(other).length) >= 0);
      // `get()` counts as a use, so that only the last one is asked for here.
      assertEquals(hashes.get(kept[0]!), hashesOf(piece));
    }
  }));
});

Deno.test("BlockHashes stays small with the hashes of a million blocks", () => {
  const source = new HeldHashes(() => new Uint8Array(32 * 16));
  const hashes = new BlockHashes({ source, pieceSize: () => 256 * KIB, now: () => 0 });
  for (let piece = 0; piece < 62_500; piece++) {
    hashes.ask(piece, () => {});
    source.answer(piece, piece % 2 === 0 ? undefined : null);
    assertLessOrEqual(hashes.bytes, 1024 * KIB);
  }
  assertEquals(hashes.bytes, 1024 * KIB);
});
