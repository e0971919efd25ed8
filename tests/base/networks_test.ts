import { assertEquals } from "@std/assert";
import { farthestReach, isPeerPort, mayReportAddress, type Reach, reachOf, subnetOf } from "../../src/base/networks.ts";

const ADDRESSES: Readonly<Record<Reach, readonly string[]>> = {
  machine: ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::1", "::127.0.0.1"],
  network: [
    ...["10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1", "169.254.1.1", "fe80::1%eth0", "fd00::1", "fec0::1"],
    ...["::ffff:192.168.1.1", "64:ff9b::a00:1", "64:ff9b:1::a00:1", "2002:c0a8:101::1", "::10.0.0.1"],
  ],
  internet: ["8.8.8.8", "172.32.0.1", "2001:db8::1", "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::1"],
  nowhere: ["0.0.0.0", "224.0.0.1", "255.255.255.255", "::", "ff02::1", "::ffff:224.0.0.1", "tracker.example", ""],
};

for (const [reach, hosts] of Object.entries(ADDRESSES)) {
  Deno.test(`reachOf() knows what is of the kind "${reach}", in every form`, () => {
    assertEquals(hosts.filter((host) => reachOf(host) !== reach), []);
  });
}

Deno.test("mayName() lets everybody name what all can reach, and of networks only who is in one", () => {
  const all = ["machine", "network", "internet", "nowhere"] as const;
  const told = Object.fromEntries(all.map((teller) => [teller, all.filter((one) => mayReportAddress(teller, one))]));
  assertEquals(told, {
    machine: ["machine", "network", "internet"],
    network: ["network", "internet"],
    internet: ["internet"],
    nowhere: ["internet"],
  });
});

Deno.test("groupOf() takes a /24 and an IPv6 /48 for one", () => {
  assertEquals(subnetOf("1.2.3.4"), subnetOf("1.2.3.200"));
  assertEquals(subnetOf("1.2.3.4") === subnetOf("1.2.4.4"), false);
  assertEquals(subnetOf("2001:db8:1:2::3"), subnetOf("2001:db8:1:9::7"));
  assertEquals(subnetOf("2001:db8:1:2::3") === subnetOf("2001:db8:2:2::3"), false);
});

Deno.test("isPeerPort() refuses ports of services, and takes what clients use", () => {
  assertEquals([0, 22, 25, 53, 65_536, -1].filter(isPeerPort), []);
  assertEquals([80, 443, 1024, 6881, 6969, 51_413, 65_535].filter((port) => !isPeerPort(port)), []);
});

Deno.test("farthestReach() is that of the most public address", () => {
  const cases: readonly (readonly [hosts: readonly string[], reach: Reach])[] = [
    [[], "nowhere"],
    [["127.0.0.1", "::1"], "machine"],
    [["127.0.0.1", "192.168.1.1"], "network"],
    [["::1", "192.168.1.1", "9.9.9.9"], "internet"],
    [["224.0.0.1"], "nowhere"],
  ];
  for (const [hosts, reach] of cases) assertEquals(farthestReach(hosts), reach, hosts.join());
});
