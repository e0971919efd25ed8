import { assert, assertEquals, assertThrows } from "@std/assert";
import { formatAddress, formatIp } from "../../src/base/address.ts";
import { MAX_PEX_TAKEN } from "../../src/base/defences.ts";
import { encode } from "../../src/bencode/mod.ts";
import { WireError } from "../../src/wire/messages.ts";
import { encodePex, parsePex, PexFlag } from "../../src/wire/pex.ts";
import { fc } from "../support/property.ts";

const ip = fc.oneof(
  fc.uint8Array({ minLength: 4, maxLength: 4 }),
  fc.uint8Array({ minLength: 16, maxLength: 16 }),
).map(formatIp);
const address = fc.record({ host: ip, port: fc.integer({ min: 1, max: 65535 }) });
const peer = fc.record({ host: ip, port: fc.integer({ min: 1, max: 65535 }), flags: fc.nat(255) });

Deno.test("parsePex() undoes encodePex(), IPv4 first", () => {
  const byFamily = <T extends { host: string }>(list: readonly T[]) => [
    ...list.filter(({ host }) => !host.includes(":")),
    ...list.filter(({ host }) => host.includes(":")),
  ];
  fc.assert(fc.property(fc.array(peer), fc.array(address), (added, dropped) => {
    assertEquals(parsePex(encodePex({ added, dropped })), { added: byFamily(added), dropped: byFamily(dropped) });
  }));
});

Deno.test("parsePex() keeps the flags with their peers when an address is left out, and takes missing ones for none", () => {
  const added = Uint8Array.of(1, 2, 3, 4, 0, 0, 5, 6, 7, 8, 0, 9, 9, 9, 9, 9, 0, 9, 7);
  const message = parsePex(encode({ added, "added.f": Uint8Array.of(1, PexFlag.uploadOnly) }));
  assertEquals(message.added, [{ host: "5.6.7.8", port: 9, flags: 2 }, { host: "9.9.9.9", port: 9, flags: 0 }]);
});

Deno.test("parsePex() takes fields of the wrong type for absent", () => {
  assertEquals(parsePex(encode({ added: 3, "added.f": [], dropped6: {} })), { added: [], dropped: [] });
});

Deno.test("parsePex() looks at so many peers of a list and no more", () => {
  const list = new Uint8Array(6 * 10_000).fill(7);
  const message = parsePex(encode({ added: list, dropped: list }));
  assertEquals([message.added.length, message.dropped.length], [MAX_PEX_TAKEN, MAX_PEX_TAKEN]);
});

Deno.test("parsePex() refuses what is no dictionary, and throws nothing else", () => {
  assertThrows(() => parsePex(encode([1])), WireError, "peer exchange");
  fc.assert(fc.property(fc.uint8Array(), (bytes) => {
    try {
      for (const one of parsePex(bytes).added) assert(formatAddress(one).length > 0);
    } catch (error) {
      assert(error instanceof WireError);
    }
  }));
});
