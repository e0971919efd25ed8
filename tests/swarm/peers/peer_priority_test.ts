import { assert, assertEquals, assertNotEquals } from "@std/assert";
import { formatIp } from "../../../src/base/address.ts";
import { fromHex } from "../../../src/base/bytes.ts";
import { crc32c } from "../../../src/base/crc32c.ts";
import { peerPriority } from "../../../src/swarm/peers/peer_priority.ts";
import { fc } from "../../support/property.ts";

const at = (host: string, port = 6881) => ({ host, port });
const between = (a: string, b: string) => peerPriority(at(a), at(b));
const hex = (text: string) => crc32c(fromHex(text)!);

Deno.test("peerPriority() agrees with the examples of BEP 40", () => {
  assertEquals(between("123.213.32.10", "98.76.54.32"), 0xec2d7224);
  assertEquals(between("123.213.32.10", "123.213.32.234"), 0x99568189);
});

Deno.test("peerPriority() masks as much as the two addresses differ", () => {
  assertEquals(between("10.1.255.255", "11.1.255.255"), hex("0a0155550b015555"));
  assertEquals(between("10.1.255.255", "10.2.255.255"), hex("0a0155550a025555"));
  assertEquals(between("10.1.254.255", "10.1.255.255"), hex("0a01fe550a01ff55"));
  assertEquals(between("10.1.255.254", "10.1.255.255"), hex("0a01fffe0a01ffff"));
  const [rest, all] = ["5555".repeat(5), "ffff".repeat(5)];
  const six = (start: string) => `${start}:${"ffff:".repeat(5)}`.slice(0, -1);
  assertEquals(between(six("2001:db8:1"), six("2001:db8:2")), hex(`20010db80001${rest}20010db80002${rest}`));
  assertEquals(
    between("2001:db8:1:feff:ffff:ffff:ffff:ffff", six("2001:db8:1")),
    hex(`20010db80001fe55${rest.slice(4)}20010db80001ff55${rest.slice(4)}`),
  );
  assertEquals(
    between("2001:db8:1:fffe:ffff:ffff:ffff:ffff", six("2001:db8:1")),
    hex(`20010db80001fffe${rest.slice(4)}20010db80001ffff${rest.slice(4)}`),
  );
  assertEquals(
    between("2001:db8:1:ffff:ffff:ffff:ffff:fffe", six("2001:db8:1")),
    hex(`20010db80001${all.slice(0, -2)}fe20010db80001${all}`),
  );
});

Deno.test("peerPriority() goes by the ports where the address is the same", () => {
  assertEquals(peerPriority(at("10.0.0.1", 0x1234), at("10.0.0.1", 0x0102)), hex("01021234"));
  assertNotEquals(peerPriority(at("::1", 1), at("::1", 2)), peerPriority(at("::1", 1), at("::1", 3)));
});

Deno.test("peerPriority() compares only addresses of one family", () => {
  for (const [a, b] of [["10.0.0.1", "::1"], ["here", "10.0.0.1"], ["10.0.0.1", ""]] as const) {
    assertEquals(between(a, b), null);
  }
});

Deno.test("peerPriority() is the same for both ends", () => {
  const ip = fc.constantFrom(4, 16).chain((length) => fc.uint8Array({ minLength: length, maxLength: length }));
  const end = fc.record({ host: ip.map(formatIp), port: fc.integer({ min: 1, max: 65535 }) });
  fc.assert(fc.property(end, end, (a, b) => {
    const priority = peerPriority(a, b);
    assertEquals(priority, peerPriority(b, a));
    assert(priority === null || (Number.isInteger(priority) && priority >= 0 && priority < 2 ** 32));
  }));
});
