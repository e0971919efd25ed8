import type { Bytes } from "../../../src/base/bytes.ts";
import { PLAIN_MEMORY } from "../../../src/base/data_memory.ts";
import { assert, assertEquals, fail } from "@std/assert";
import type { LeavingPart, PartMemory } from "../../../src/swarm/pieces/large_piece_memory.ts";
import { PartialPiece } from "../../../src/swarm/pieces/partial_piece.ts";
import { BlockEvidence } from "../../../src/swarm/pieces/smart_ban.ts";
import { startDigest } from "../../../src/platform/start_digest.ts";
import { fc } from "../../support/property.ts";

const BLOCK = 16384;

Deno.test("PartialPiece counts free and missing blocks right, whatever happens to them", () => {
  const step = fc.tuple(fc.constantFrom("take", "ask", "release", "receive", "unasked"), fc.nat(6));
  fc.assert(fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
    const size = 6 * BLOCK + 100;
    const memory = new Uint8Array(8 * BLOCK);
    const startNone = () => fail("a piece that is held whole is hashed when it is complete");
    const piece = new PartialPiece(3, { size, memory, data: PLAIN_MEMORY, startHash: startNone, now: 0 });
    assertEquals(piece.blockCount, 7);
    const asked = new Array<number>(7).fill(0);
    const here = new Array<boolean>(7).fill(false);
    for (const [kind, block] of steps) {
      if (kind === "take") {
        const taken = piece.takeFree();
        const expected = asked.findIndex((count, i) => count === 0 && !here[i]);
        assertEquals(taken, expected);
        if (taken >= 0) asked[taken]!++;
      } else if (kind === "ask" && !here[block] && asked[block]! > 0) {
        piece.ask(block);
        asked[block]!++;
      } else if (kind === "release") {
        piece.release(block);
        asked[block] = Math.max(0, asked[block]! - 1);
      } else if ((kind === "receive" || kind === "unasked") && !here[block]) {
        const wasAsked = kind === "receive" && asked[block]! > 0;
        piece.receive(block, { sender: 9, asked: wasAsked, now: 5 });
        if (wasAsked) asked[block]!--;
        here[block] = true;
      }
      assertEquals(piece.free, asked.filter((count, i) => count === 0 && !here[i]).length);
      assertEquals(piece.received, here.filter(Boolean).length);
      assertEquals(piece.complete, here.every(Boolean));
    }
    assertEquals(piece.blockLength(6), 100);
    assertEquals(piece.data.length, size);
  }));
});

Deno.test("BlockEvidence.failed() blames a sender that was alone at once", () => {
  const blame = new BlockEvidence();
  assertEquals(blame.failed(1, { digests: [Uint8Array.of(1), Uint8Array.of(2)], senders: ["a", "a"] }), ["a"]);
  assertEquals(blame.suspects(1), false);
});

Deno.test("BlockEvidence.passed() blames who sent blocks that differ from the right ones, and nobody else", () => {
  const blame = new BlockEvidence();
  const digests = [Uint8Array.of(1), Uint8Array.of(66), Uint8Array.of(3)];
  assertEquals(blame.failed(1, { digests, senders: ["honest", "liar", "honest"] }), []);
  assert(blame.suspects(1));
  assertEquals(blame.passed(1, [Uint8Array.of(1), Uint8Array.of(2), Uint8Array.of(3)]), ["liar"]);
  assertEquals(blame.suspects(1), false);
  assertEquals(blame.passed(1, []), []);
});

Deno.test("PartialPiece hashes a part as it comes, in whatever order, every byte once and in large steps", () => {
  const length = 40 * BLOCK + 100;
  const order = fc.shuffledSubarray(Array.from({ length: 41 }, (_, i) => i), { minLength: 41 });
  fc.assert(fc.property(order, (blocks) => {
    const fed: number[] = [];
    const startCounted = () => {
      const real = startDigest("sha1");
      return {
        update: (bytes: Bytes) => (fed.push(bytes.length), real.update(bytes)),
        verdict: () => ({ isRight: true, wrongBlocks: [], blockDigests: real.digest() }),
      };
    };
    const left: LeavingPart[] = [];
    const memory: PartMemory = {
      length: 48 * BLOCK,
      take: () => new Uint8Array(48 * BLOCK),
      give: () => {},
      leave: (part) => void left.push(part),
    };
    const options = { size: length, memory, data: PLAIN_MEMORY, startHash: startCounted, now: 0 };
    const piece = new PartialPiece(0, options);
    const content = new Uint8Array(length);
    for (const block of blocks) {
      const size = piece.blockLength(block);
      content.fill(block + 1, block * BLOCK, block * BLOCK + size);
      assert(piece.hold(block));
      piece.put(block * BLOCK, content, block * BLOCK, size);
      piece.receive(block, { sender: 1, asked: false, now: 0 });
    }
    assertEquals(left.map(({ stretches }) => stretches), [[{ begin: 0, end: length }]]);
    const whole = startDigest("sha1");
    whole.update(content);
    assertEquals(piece.verdict().blockDigests, whole.digest());
    assertEquals(fed.reduce((sum, bytes) => sum + bytes, 0), length);
    assert(fed.slice(0, -1).every((bytes) => bytes >= 128 * 1024), `${fed}`);
  }));
});
