import { assert, assertEquals } from "@std/assert";
import { fromHex, toHex } from "../../src/base/bytes.ts";
import { factsOf } from "../../src/dht/hosts.ts";
import { compareDistance, idForAddress, idSharing, isIdOf, sharedBits } from "../../src/dht/node_id.ts";
import { fc } from "../support/property.ts";

const anyId = fc.uint8Array({ minLength: 20, maxLength: 20 });

for (
  const [host, chance, id] of [
    ["124.31.75.21", 1, "5fbfbff10c5d6a4ec8a88e4c6ab4c28b95eee401"],
    ["21.75.31.124", 86, "5a3ce9c14e7a08645677bbd1cfe7d8f956d53256"],
    ["65.23.51.170", 22, "a5d43220bc8f112a3d426c84764f8c2a1150e616"],
    ["84.124.73.14", 65, "1b0321dd1bb1fe518101ceef99462b947a01ff41"],
    ["43.213.53.83", 90, "e56f6cbf5b7c4be0237986d5243b87aa6d51305a"],
  ] as const
) {
  Deno.test(`idForAddress() and isIdOf() agree with BEP 42 for ${host}`, () => {
    const facts = factsOf(host)!;
    assert(isIdOf(fromHex(id)!, facts));
    const random = fromHex(id)!;
    random.fill(0xff, 0, 2);
    assertEquals(random[19], chance);
    assertEquals(toHex(idForAddress(facts.bytes, random)), id);
    for (const byte of [0, 1, 2]) {
      const wrong = fromHex(id)!;
      wrong[byte]! ^= 0x80;
      assertEquals(isIdOf(wrong, facts), false);
    }
    assertEquals(isIdOf(fromHex(id)!, factsOf("124.31.75.22")!), false);
  });
}

Deno.test("isIdOf() lets local nodes have any id", () => {
  for (
    const host of ["10.0.0.1", "172.16.5.5", "192.168.1.1", "169.254.1.1", "127.0.0.1", "::1", "fe80::1", "fd00::1"]
  ) {
    assert(isIdOf(new Uint8Array(20), factsOf(host)!), host);
  }
  assertEquals(isIdOf(new Uint8Array(20), factsOf("172.32.0.1")!), false);
});

Deno.test("idForAddress() makes ids that fit, whatever the address", () => {
  const anyIp = fc.oneof(...[4, 16].map((length) => fc.uint8Array({ minLength: length, maxLength: length })));
  fc.assert(fc.property(anyIp, anyId, (bytes, random) => {
    const id = idForAddress(bytes, random);
    assert(isIdOf(id, { bytes, kind: "public", reach: "internet", site: "", network: "" }));
    assertEquals(id.slice(3), new Uint8Array(random.slice(3)));
  }));
});

Deno.test("compareDistance() orders as the numbers do", () => {
  const number = (a: Uint8Array, b: Uint8Array) => BigInt(`0x${toHex(a.map((byte, i) => byte ^ b[i]!))}`);
  fc.assert(fc.property(anyId, anyId, anyId, (a, b, target) => {
    const [left, right] = [number(a, target), number(b, target)];
    assertEquals(Math.sign(compareDistance(a, b, target)), left < right ? -1 : left > right ? 1 : 0);
  }));
});

Deno.test("idSharing() makes an id that shares exactly so many bits", () => {
  fc.assert(fc.property(anyId, anyId, fc.integer({ min: 0, max: 159 }), (id, random, bits) => {
    const made = idSharing(id, bits, random);
    assertEquals(sharedBits(made, id), bits);
    assertEquals(made.slice((bits >> 3) + 1), new Uint8Array(random.slice((bits >> 3) + 1)));
  }));
  assertEquals(sharedBits(new Uint8Array(20), new Uint8Array(20)), 160);
});
