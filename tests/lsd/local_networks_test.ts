import { assertEquals } from "@std/assert";
import { isNeighbour, sendingAddresses } from "../../src/lsd/local_networks.ts";

const own = [
  { host: "127.0.0.1", prefix: 8, name: "lo" },
  { host: "203.0.113.20", prefix: 28, name: "eth0" },
  { host: "::1", prefix: 128, name: "lo" },
  { host: "2001:db8:0:5::7", prefix: 64, name: "eth0" },
  { host: "fe80::7%eth0", prefix: 64, name: "eth0" },
];

Deno.test("isNeighbour() believes private addresses, and those of the machine's own networks", () => {
  for (const host of ["192.168.1.2", "10.9.9.9", "fd00::1", "203.0.113.17", "2001:db8:0:5:ffff::1"]) {
    assertEquals(isNeighbour(host, own), true, host);
  }
  for (const host of ["203.0.113.33", "8.8.8.8", "2001:db8:0:6::1", "fe80::9", "::", "224.0.0.1", "name"]) {
    assertEquals(isNeighbour(host, own), false, host);
  }
});

Deno.test("speakingAddresses() leaves the machine's own network out, unless there is no other", () => {
  const hosts = (family: 4 | 6, bind?: string) =>
    sendingAddresses(own, { family, most: 9, ...(bind !== undefined && { bind }) }).map(({ host }) => host);
  assertEquals(hosts(4), ["203.0.113.20"]);
  assertEquals(hosts(6), ["2001:db8:0:5::7"]);
  assertEquals(hosts(4, "127.0.0.1"), ["127.0.0.1"]);
  assertEquals(sendingAddresses(own.slice(0, 1), { family: 4, most: 9 }).map(({ host }) => host), ["127.0.0.1"]);
  const many = [1, 2, 3].map((n) => ({ host: `10.0.0.${n}`, prefix: 24, name: "eth0" }));
  assertEquals(sendingAddresses(many, { family: 4, most: 2 }).length, 2);
});
