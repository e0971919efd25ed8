import { assertEquals, assertThrows } from "@std/assert";
import { utf8 } from "../../src/base/bytes.ts";
import { InfoHash, InfoHashV2 } from "../../src/base/info_hash.ts";
import { InfoHashes, InfoHashMap } from "../../src/base/info_hashes.ts";
import { startDigest } from "../../src/platform/start_digest.ts";

const v1 = (byte: number) => new InfoHash(new Uint8Array(20).fill(byte));
const v2 = (byte: number) => new InfoHashV2(new Uint8Array(32).fill(byte));

Deno.test("InfoHashes lists what peers know the torrent by, the v2 info-hash truncated", () => {
  const cases = [
    [new InfoHashes(v1(1), null), [v1(1)]],
    [new InfoHashes(null, v2(2)), [v1(2)]],
    [new InfoHashes(v1(1), v2(2)), [v1(1), v1(2)]],
  ] as const;
  for (const [hashes, onWire] of cases) {
    assertEquals(hashes.onWire, onWire);
    assertEquals(
      [1, 2, 3].map((byte) => hashes.has(v1(byte))),
      [1, 2, 3].map((byte) => `${onWire}`.includes(`${v1(byte)}`)),
    );
  }
  assertThrows(() => new InfoHashes(null, null), RangeError);
});

Deno.test("InfoHashes takes an info dictionary only if all known info-hashes agree", () => {
  const digestOf = (text: string) => (algorithm: "sha1" | "sha256") => {
    const digest = startDigest(algorithm);
    digest.update(utf8(text));
    return digest.digest();
  };
  const right = digestOf("info");
  const own = [new InfoHash(right("sha1")), new InfoHashV2(right("sha256"))] as const;
  const cases = [
    [new InfoHashes(own[0], null), true],
    [new InfoHashes(null, own[1]), true],
    [new InfoHashes(...own), true],
    [new InfoHashes(own[0], v2(1)), false],
    [new InfoHashes(v1(1), own[1]), false],
    [new InfoHashes(null, v2(1)), false],
  ] as const;
  for (const [hashes, expected] of cases) {
    assertEquals(hashes.matches(right), expected);
    assertEquals(hashes.matches(digestOf("other")), false);
  }
});

Deno.test("InfoHashMap finds a torrent by any of its info-hashes, and no other's", () => {
  const map = new InfoHashMap<string>();
  assertEquals(map.set(new InfoHashes(v1(1), null), "old"), [v1(1)]);
  assertEquals(map.set(new InfoHashes(v1(2), v2(3)), "hybrid"), [v1(2), v1(3)]);
  assertEquals([1, 2, 3, 4].map((byte) => map.get(v1(byte))), ["old", "hybrid", "hybrid", undefined]);
  assertEquals(map.find(new InfoHashes(null, v2(3))), "hybrid");
  assertEquals(map.find(new InfoHashes(v1(9), v2(3))), "hybrid");
  assertEquals(map.find(new InfoHashes(v1(9), null)), undefined);
  assertEquals([...map.all(new InfoHashes(v1(1), v2(2)))], ["old", "hybrid"]);
  assertEquals([map.size, [...map.values()]], [2, ["old", "hybrid"]]);
  assertEquals(map.delete("hybrid"), [v1(2), v1(3)]);
  assertEquals([1, 2, 3].map((byte) => map.get(v1(byte))), ["old", undefined, undefined]);
  assertEquals(map.delete("hybrid"), []);
});

Deno.test("InfoHashMap takes more info-hashes of a torrent, but none of another's", () => {
  const map = new InfoHashMap<string>();
  map.set(new InfoHashes(v1(1), null), "a");
  map.set(new InfoHashes(v1(2), null), "b");
  assertEquals(map.set(new InfoHashes(v1(1), v2(3)), "a"), [v1(3)]);
  assertEquals(map.set(new InfoHashes(v1(2), v2(1)), "b"), []);
  assertEquals([map.get(v1(1)), map.get(v1(3)), map.size], ["a", "a", 2]);
  assertEquals(map.delete("b"), [v1(2)]);
  assertEquals(map.delete("a"), [v1(1), v1(3)]);
  assertEquals(map.size, 0);
});
