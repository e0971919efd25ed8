import { assertEquals, assertThrows } from "@std/assert";
import { canonicalHost, formatIp, parseCompactPeers, parseIp } from "../../src/base/address.ts";
import { isDialable, kindOf, networkOf } from "../../src/base/networks.ts";
import { fc } from "../support/property.ts";

const v4 = fc.uint8Array({ minLength: 4, maxLength: 4 });
/** IPv6 addresses with many zeros. */
const v6 = fc.array(fc.constantFrom(0, 0, 0, 1, 0xff, 0x10), { minLength: 16, maxLength: 16 }).map((bytes) =>
  Uint8Array.from(bytes)
);

Deno.test("parseIp() undoes formatIp()", () => {
  fc.assert(fc.property(fc.oneof(v4, v6), (bytes) => assertEquals(parseIp(formatIp(bytes)), bytes)));
});

Deno.test("formatIp() writes IPv6 as RFC 5952 has it, and mapped addresses as IPv4", () => {
  const forms: [string, string][] = [
    ["0:0:0:0:0:0:0:0", "::"],
    ["2001:DB8:0:0:1:0:0:1", "2001:db8::1:0:0:1"],
    ["1:0:2:3:4:5:6:7", "1:0:2:3:4:5:6:7"],
    ["::ffff:1.2.3.4", "1.2.3.4"],
    ["::1.2.3.4", "::102:304"],
  ];
  for (const [text, usual] of forms) assertEquals(formatIp(parseIp(text)!), usual);
  assertThrows(() => formatIp(new Uint8Array(5)), RangeError, "4 or 16 bytes, got 5");
});

for (
  const text of [
    ...[
      "",
      "1.2.3",
      "1.2.3.4.5",
      "256.1.1.1",
      "01.2.3.4",
      "+1.2.3.4",
      "1.2.3.4 ",
      "[::1]",
      "fe80::1%lo",
      "1:2:3:4:5:6:7",
    ],
    ...["1::2::3", ":::", ":", "12345::", "g::1", "1:2:3:4:5:6:7:8:9", "::1:2:3:4:5:6:7:8", "1.2.3.4::", "1.2.3.4::1"],
    ...["1.2.3.4:1:2:3:4:5:6", "::1.2.3.4:5"],
  ]
) {
  Deno.test(`parseIp() refuses ${JSON.stringify(text)}`, () => assertEquals(parseIp(text), null));
}

Deno.test("parseCompactPeers() leaves out port 0 and a broken tail", () => {
  const list = Uint8Array.of(1, 2, 3, 4, 0, 80, 5, 6, 7, 8, 0, 0, 9, 9, 9);
  assertEquals(parseCompactPeers(list, 4), [{ host: "1.2.3.4", port: 80 }]);
});

Deno.test("canonicalHost() gives equal text for equal addresses", () => {
  assertEquals(canonicalHost("::ffff:10.1.2.3"), "10.1.2.3");
  assertEquals(canonicalHost("::ffff:a01:203"), "10.1.2.3");
  assertEquals(canonicalHost("2001:DB8:0:0:0:0:0:1"), "2001:db8::1");
  assertEquals(canonicalHost("fe80:0::1%eth0"), "fe80::1%eth0");
  assertEquals(canonicalHost("10.1.2.3"), "10.1.2.3");
  assertEquals(canonicalHost("nonsense:"), "nonsense:");
});

Deno.test("networkOf() takes the /64 of an IPv6 address for one, except in local networks", () => {
  assertEquals(networkOf("1.2.3.4"), "1.2.3.4");
  assertEquals(networkOf("2001:db8:0:7:1::9"), "2001:db8:0:7::/64");
  assertEquals(networkOf("2001:db8:0:7::"), networkOf("2001:db8:0:7:ffff::"));
  for (const host of ["::1", "fd00::1", "fe80::1", "fe80::1%eth0", "not an address"]) {
    assertEquals(networkOf(host), host);
  }
});

Deno.test("kindOf() tells private networks from the Internet", () => {
  const local = ["10.1.1.1", "127.0.0.1", "172.16.0.1", "172.31.9.9", "192.168.4.4", "169.254.1.1", "::1", "fd00::1"];
  for (const host of [...local, "fc01::1", "fe80::1", "febf::1", "fec0::1", "100.64.0.1"]) {
    assertEquals(kindOf(parseIp(host)!) === "local", true, host);
  }
  const others = ["11.0.0.1", "172.15.0.1", "172.32.0.1", "192.169.0.1", "8.8.8.8", "2001:db8::1", "100.128.0.1"];
  for (const host of others) assertEquals(kindOf(parseIp(host)!), "public", host);
  for (const host of ["::", "0.0.0.0", "224.0.0.1", "ff02::1"]) assertEquals(kindOf(parseIp(host)!), "unusable", host);
});

Deno.test("isDialable() leaves out what stands for everybody or nobody, and links without a zone", () => {
  const good = ["1.2.3.4", "127.0.0.1", "223.255.255.255", "::1", "fd00::1", "2001:db8::1", "fe80::1%eth0"];
  for (const host of good) assertEquals(isDialable(host), true, host);
  const bad = ["0.0.0.0", "0.1.2.3", "224.0.0.1", "255.255.255.255", "::", "ff02::1", "fe80::1", "a.example", ""];
  for (const host of bad) assertEquals(isDialable(host), false, host);
});
