import { assert, assertEquals, assertFalse } from "@std/assert";
import { formatIp } from "../../src/base/address.ts";
import { IpRanges, parseNetworks } from "../../src/base/ip_ranges.ts";
import { fc } from "../support/property.ts";

const host4 = (n: number) => formatIp(Uint8Array.of(n >>> 24, n >>> 16, n >>> 8, n));
const host6 = (n: bigint) =>
  formatIp(Uint8Array.from({ length: 16 }, (_, i) => Number(n >> BigInt(8 * (15 - i)) & 0xffn)));

Deno.test("IpRanges.has() finds both ends of a range, and neither neighbour", () => {
  const ranges = new IpRanges(
    [{ first: 0, last: 1 }, { first: 0xfffffffe, last: 0xffffffff }, { first: 0x0a000005, last: 0x0a000009 }],
    [{ first: 0x20010db8n << 96n, last: (0x20010db9n << 96n) - 1n }],
  );
  const inside = ["0.0.0.0", "0.0.0.1", "10.0.0.5", "10.0.0.9", "255.255.255.254", "255.255.255.255"];
  for (const host of [...inside, "2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"]) {
    assert(ranges.has(host), host);
  }
  const outside = ["0.0.0.2", "10.0.0.4", "10.0.0.10", "255.255.255.253", "2001:db7:ffff::", "2001:db9::", "::"];
  for (const host of [...outside, "example.org", "", "10.0.0.5.6"]) assertFalse(ranges.has(host), host);
  assert(new IpRanges([], [{ first: 0xfe80n << 112n, last: 0xfe81n << 112n }]).has("fe80::1%eth0"));
  assertFalse(new IpRanges([], []).has("10.0.0.1"));
});

Deno.test("IpRanges.has() says what looking at every range says, whatever their order and however they overlap", () => {
  const small = fc.integer({ min: 0, max: 60 });
  const pairs = fc.array(fc.tuple(small, small), { maxLength: 12 });
  // Addresses around a change of the highest bit of a word, which reveal signed arithmetic.
  const base4 = 0x7fffffe0;
  const base6 = (0x7fffffffn << 96n) + (0xffffffffn << 64n) + (0x7fffffffn << 32n) + 0xffffffe0n;
  fc.assert(fc.property(pairs, (all) => {
    const spans = all.map(([a, b]) => [Math.min(a, b), Math.max(a, b)] as const);
    const ranges = new IpRanges(
      spans.map(([a, b]) => ({ first: base4 + a, last: base4 + b })),
      spans.map(([a, b]) => ({ first: base6 + BigInt(a), last: base6 + BigInt(b) })),
    );
    for (let n = 0; n <= 61; n++) {
      const expected = spans.some(([a, b]) => a <= n && n <= b);
      assertEquals(ranges.has(host4(base4 + n)), expected);
      assertEquals(ranges.has(host6(base6 + BigInt(n))), expected);
    }
  }));
});

Deno.test("parseNetworks() reads addresses and networks of both families, and names what is neither", () => {
  const parsed = parseNetworks("127.0.0.1, 10.0.0.0/8 2001:db8::/32,[::1] ::ffff:192.0.2.0/120 0.0.0.0/32");
  assert("networks" in parsed);
  const { networks } = parsed;
  for (const host of ["127.0.0.1", "10.255.0.1", "2001:db8:ffff::1", "::1", "192.0.2.77", "0.0.0.0"]) {
    assert(networks.has(host), host);
  }
  for (const host of ["127.0.0.2", "11.0.0.1", "2001:db9::1", "::2", "192.0.3.1"]) assert(!networks.has(host), host);
  const all = parseNetworks("0.0.0.0/0,::/0");
  assert("networks" in all && all.networks.has("8.8.8.8") && all.networks.has("2001:db8::1"));
  for (
    const bad of ["10.0.0.0/33", "::1/129", "example.org", "10.0.0/8", "1.2.3.4/", "1.2.3.4/a", "/8", "10.0.0.0/-1"]
  ) {
    assertEquals(parseNetworks(`127.0.0.1,${bad}`), { bad });
  }
  assertEquals(parseNetworks(" , "), { bad: " , " });
});
