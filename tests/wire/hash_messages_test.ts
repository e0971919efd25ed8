import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { type Bytes, concatBytes } from "../../src/base/bytes.ts";
import { MAX_HASHES_ASKED } from "../../src/base/defences.ts";
import { HASH_BYTES, heightOf, merkle, MERKLE_BLOCK } from "../../src/base/merkle.ts";
import { sha256 } from "../../src/platform/start_digest.ts";
import {
  encodeHashes,
  encodeHashRequest,
  faultOfRequest,
  HASH_REQUEST_LENGTH,
  type HashRequest,
  parseHashes,
  parseHashRequest,
  proofLayersTo,
} from "../../src/wire/hash_messages.ts";
import { WireError } from "../../src/wire/messages.ts";
import { fc } from "../support/property.ts";

const ROOT = new Uint8Array(32).fill(7);
const REQUEST: HashRequest = { root: ROOT, layer: 1, index: 4, count: 2, proofLayers: 3 };

Deno.test("encodeHashRequest() puts every field where BEP 52 wants it", () => {
  const payload = encodeHashRequest(REQUEST);
  assertEquals(payload.subarray(0, 32), ROOT);
  assertEquals([...payload.subarray(32)], [0, 0, 0, 1, 0, 0, 0, 4, 0, 0, 0, 2, 0, 0, 0, 3]);
  assertEquals(payload.length, HASH_REQUEST_LENGTH);
});

Deno.test("parseHashRequest() gives back what encodeHashRequest() was given", () => {
  const field = fc.integer({ min: 0, max: 0xffffffff });
  const root = fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => new Uint8Array(bytes));
  fc.assert(fc.property(root, field, field, field, field, (root, layer, index, count, proofLayers) => {
    const request = { root, layer, index, count, proofLayers };
    assertEquals(parseHashRequest(encodeHashRequest(request)), request);
  }));
  for (const length of [0, 47, 49]) {
    assertThrows(() => parseHashRequest(new Uint8Array(length)), WireError, `${length} bytes, not 48`);
  }
});

function leaves(count: number): Bytes {
  return concatBytes(Array.from({ length: count }, (_, i) => sha256(Uint8Array.of(i, i >> 8))));
}

Deno.test("a request for any range of any file is answered by hashes that prove themselves to the root", () => {
  const made = fc.tuple(fc.integer({ min: 2, max: 70 }), fc.nat(6), fc.nat(6), fc.nat(1000));
  fc.assert(fc.property(made, ([blocks, l, power, at]) => {
    const height = heightOf(blocks);
    const layer = Math.min(l, height - 1);
    const count = 2 ** Math.max(1, Math.min(power, height - layer));
    const index = (at % (2 ** (height - layer) / count)) * count;
    const range = { layer, index, count };
    const hashes = leaves(blocks);
    const root = merkle.root(hashes, { from: 0 });
    const request = { ...range, root, proofLayers: proofLayersTo(range, height) };
    assertEquals(faultOfRequest(request, blocks * MERKLE_BLOCK), null);
    const proof = merkle.prove(merkle.above(hashes, { from: 0, to: layer }), request);
    const answer = parseHashes(encodeHashes(request, proof));
    assertEquals(answer, { ...request, hashes: answer.hashes, uncles: answer.uncles });
    assert(merkle.verify(answer, { ...answer, expected: root }));
  }));
});

Deno.test("parseHashes() refuses more or less hashes than its fields say", () => {
  // Two hashes, and the uncles in the three layers above them but for the lowest.
  const hashes = (bytes: number, request = REQUEST) => parseHashes(encodeHashes(request, new Uint8Array(bytes)));
  assertEquals([hashes(160).hashes.length, hashes(160).uncles.length], [64, 96]);
  for (const bytes of [0, 64, 128, 159, 161, 192]) assertThrows(() => hashes(bytes), WireError, `${bytes} bytes of`);
  for (const count of [0, 3, 0xffffffff]) {
    assertThrows(() => hashes(160, { ...REQUEST, count }), WireError, "no power of two");
  }
  assertThrows(() => hashes(160, { ...REQUEST, count: 2 ** 31 }), WireError, "bytes of hashes");
  assertThrows(() => hashes(160, { ...REQUEST, proofLayers: 0xffffffff }), WireError, "bytes of hashes");
  assertThrows(() => parseHashes(new Uint8Array(47)), WireError, "47 bytes");
});

Deno.test("faultOfRequest() says what is wrong with a request", () => {
  const length = 8 * MERKLE_BLOCK; // The root is in layer 3.
  const cases: [Partial<HashRequest>, number, string | null][] = [
    [{ layer: 0, index: 6, count: 2, proofLayers: 2 }, length, null],
    [{ layer: 0, index: 0, count: 8, proofLayers: 0 }, length, null],
    [{ layer: 0, index: 6, count: 2, proofLayers: 2 }, 5 * MERKLE_BLOCK, null], // padding may be asked for
    [{ layer: 2, index: 0, count: 2, proofLayers: 0 }, length, null],
    [{ layer: 3, index: 0, count: 2, proofLayers: 0 }, length, "no layer 3"],
    [{ layer: 0, index: 0, count: 2, proofLayers: 0 }, MERKLE_BLOCK, "no layer 0"],
    [{ layer: 0xffffffff, index: 0, count: 2, proofLayers: 0 }, length, "no layer"],
    [{ layer: 0, index: 0, count: 1, proofLayers: 0 }, length, "not 1"],
    [{ layer: 0, index: 0, count: 0, proofLayers: 0 }, length, "not 0"],
    [{ layer: 0, index: 0, count: 6, proofLayers: 0 }, length, "not 6"],
    [{ layer: 0, index: 0, count: 2 * MAX_HASHES_ASKED, proofLayers: 0 }, 2 ** 40, "not 16384"],
    [{ layer: 0, index: 3, count: 2, proofLayers: 0 }, length, "does not begin at 3"],
    [{ layer: 0, index: 8, count: 2, proofLayers: 0 }, length, "ends at 10"],
    [{ layer: 0, index: 0, count: 16, proofLayers: 0 }, length, "ends at 16"],
    [{ layer: 0, index: 0, count: 2, proofLayers: 3 }, length, "no 3 layers"],
    [{ layer: 1, index: 0, count: 2, proofLayers: 0xffffffff }, length, "layers between"],
  ];
  for (const [request, bytes, why] of cases) {
    const fault = faultOfRequest({ ...REQUEST, ...request }, bytes);
    if (why === null) assertEquals(fault, null);
    else assertStringIncludes(fault ?? "no fault", why);
  }
  assertEquals(HASH_BYTES, 32);
});
