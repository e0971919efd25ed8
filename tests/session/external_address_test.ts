import { assertEquals } from "@std/assert";
import { MAX_ADDRESS_VOTERS } from "../../src/base/defences.ts";
import { isPrivate, isPublic } from "../../src/base/networks.ts";
import { ExternalAddress } from "../../src/session/external_address.ts";
import { fc } from "../support/property.ts";

Deno.test("ExternalAddress takes what more than half of the hosts say", () => {
  const address = new ExternalAddress();
  const changes: string[] = [];
  const end = address.onChange((family, to) => changes.push(`${family} ${to}`));
  assertEquals([address.current(4), address.current(6)], [null, null]);
  address.vote("tracker", "tracker.test", "9.9.9.9");
  address.vote("peer", "8.8.0.1", "9.9.9.1");
  address.vote("peer", "8.8.0.2", "9.9.9.2");
  assertEquals(address.current(4), "9.9.9.9"); // one vote each is no majority
  address.vote("dht", "8.8.0.3", "9.9.9.1");
  address.vote("dht", "8.8.0.4", "9.9.9.1");
  assertEquals(address.current(4), "9.9.9.1");
  address.vote("peer", "2001:4860::1", "2001:4860::0:8");
  assertEquals([address.current(4), address.current(6)], ["9.9.9.1", "2001:4860::8"]);
  end();
  address.vote("peer", "2001:4860::1", "2001:4860::9");
  assertEquals(changes, ["4 9.9.9.9", "4 9.9.9.1", "6 2001:4860::8"]);
});

Deno.test("ExternalAddress counts a host once, by what it said last, whatever it is to us", () => {
  const address = new ExternalAddress();
  address.vote("peer", "8.8.0.1", "9.9.9.1");
  address.vote("peer", "8.8.0.2", "9.9.9.1");
  for (const source of ["peer", "dht", "tracker"] as const) {
    for (const voter of ["8.8.0.3", "::ffff:8.8.0.3", "::ffff:808:3"]) address.vote(source, voter, "9.9.9.3");
  }
  assertEquals(address.current(4), "9.9.9.1");
  address.vote("peer", "8.8.0.1", "9.9.9.3");
  assertEquals(address.current(4), "9.9.9.3");
});

Deno.test("ExternalAddress hears neither addresses that nobody sees, nor peers next door", () => {
  const address = new ExternalAddress();
  for (
    const bad of ["10.0.0.1", "127.0.0.1", "0.0.0.0", "255.255.255.255", "224.0.0.1", "::1", "fe80::1", "fd00::1", "x"]
  ) {
    address.vote("gateway", "192.168.1.1", bad);
  }
  address.vote("peer", "192.168.1.7", "9.9.9.9");
  address.vote("peer", "not.an.address", "9.9.9.9");
  for (const near of ["192.168.1.7", "[fd00::7]", "[::1]"]) address.vote("tracker", near, "9.9.9.9");
  assertEquals([address.current(4), address.current(6)], [null, null]);
  address.vote("gateway", "192.168.1.1", "9.9.9.9");
  assertEquals(address.current(4), "9.9.9.9");
});

Deno.test("ExternalAddress forgets who was silent for longest, so that a move is noticed", () => {
  const address = new ExternalAddress();
  for (let i = 0; i < MAX_ADDRESS_VOTERS; i++) address.vote("peer", `8.8.0.${i}`, "9.9.9.1");
  for (let i = 0; i <= MAX_ADDRESS_VOTERS / 2; i++) address.vote("peer", `8.8.1.${i}`, "9.9.9.2");
  assertEquals(address.current(4), "9.9.9.2");
});

Deno.test("ExternalAddress is what its voters' last words make a majority of, or stays as it was", () => {
  const votes = fc.array(fc.tuple(fc.integer({ min: 1, max: 7 }), fc.integer({ min: 1, max: 3 })), { maxLength: 60 });
  fc.assert(fc.property(votes, (votes) => {
    const address = new ExternalAddress();
    const last = new Map<number, number>();
    let expected: string | null = null;
    for (const [voter, says] of votes) {
      address.vote("peer", `8.8.8.${voter}`, `9.9.9.${says}`);
      last.set(voter, says);
      for (const candidate of [1, 2, 3]) {
        const count = [...last.values()].filter((said) => said === candidate).length;
        if (count * 2 > last.size) expected = `9.9.9.${candidate}`;
      }
      assertEquals(address.current(4), expected);
    }
  }));
});

Deno.test("isPrivate() and isPublic() know the edges of every range, and no address is both", () => {
  const privates = [
    "10.0.0.0",
    "10.255.255.255",
    "172.16.0.0",
    "172.31.255.255",
    "192.168.0.0",
    "100.64.0.0",
    "169.254.1.1",
  ];
  const publics = ["9.255.255.255", "11.0.0.0", "172.15.0.1", "172.32.0.1", "192.167.1.1", "100.63.1.1", "100.128.0.1"];
  for (const host of privates) assertEquals([isPrivate(host), isPublic(host)], [true, false], host);
  for (const host of [...publics, "::ffff:8.8.8.8"]) {
    assertEquals([isPrivate(host), isPublic(host)], [false, true], host);
  }
  assertEquals(isPrivate("::ffff:10.1.1.1"), true);
  for (const host of ["2001:db8::1", "fe80::1%eth0", "", "host.test"]) assertEquals(isPublic(host), false, host);
});
