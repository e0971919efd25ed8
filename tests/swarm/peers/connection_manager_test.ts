import { assert, assertEquals } from "@std/assert";
import type { PeerAddress } from "../../../src/base/address.ts";
import { HALF_OPEN_MS, MAX_HALF_OPEN, MAX_REMEMBERED_HOSTS, SHUT_OUT_MS } from "../../../src/base/defences.ts";
import { ConnectionManager } from "../../../src/swarm/peers/connection_manager.ts";
import { peerPriority } from "../../../src/swarm/peers/peer_priority.ts";
import { fc, tries } from "../../support/property.ts";
import { seededRandom } from "../../support/random.ts";

const address = (n: number) => ({ host: `10.0.${n >> 8}.${n & 255}`, port: 6881 });
const many = (count: number) => Array.from({ length: count }, (_, i) => address(i + 1));
const manager = (maxPeers = 100) => new ConnectionManager({ maxPeers, random: seededRandom(1) });

Deno.test("ConnectionManager.next() keeps the half-open limit and the limit of connections", () => {
  const one = manager();
  one.add(many(200));
  let dialled = 0;
  while (one.next(0)) dialled++;
  assertEquals(dialled, 30);
  const small = manager(5);
  small.add(many(200));
  for (let i = 0; i < 3; i++) small.connected(small.next(0)!);
  assertEquals(small.room, 2);
  assert(small.next(0) && small.next(0));
  assertEquals(small.next(0), null);
});

Deno.test("ConnectionManager.next() doesn't wait for dials that take long", () => {
  const one = manager();
  one.add(many(200));
  const dial = (now: number) => {
    let dialled = 0;
    while (one.next(now)) dialled++;
    return dialled;
  };
  const gone = one.next(0)!;
  assertEquals(dial(0), MAX_HALF_OPEN - 1);
  one.failed(gone, 1);
  assertEquals(dial(1), 1);
  assertEquals(dial(HALF_OPEN_MS - 1), 0);
  assertEquals(dial(HALF_OPEN_MS), MAX_HALF_OPEN - 1);
  assertEquals(dial(HALF_OPEN_MS + 1), 1);
  assertEquals(dial(2 * HALF_OPEN_MS + 1), MAX_HALF_OPEN);
  assertEquals(dial(3 * HALF_OPEN_MS + 1), 100 - 3 * MAX_HALF_OPEN); // the limit of connections
});

Deno.test("ConnectionManager.next() never gives an address twice", () => {
  const one = manager();
  one.add([...many(10), ...many(10)]);
  const seen = new Set<string>();
  for (let next = one.next(0); next; next = one.next(0)) seen.add(next.host);
  assertEquals(seen.size, 10);
});

Deno.test("ConnectionManager.failed() backs off, longer each time, then forgets the peer", () => {
  const one = manager();
  one.add([address(1)]);
  let now = 0;
  let previous = 0;
  for (let failure = 1; failure <= 9; failure++) {
    assert(one.next(now), `try ${failure}`);
    one.failed(address(1), now);
    assertEquals(one.next(now), null);
    const wait = one.nextTry - now;
    assert(wait > previous * 1.1 || wait > 20 * 60_000, `waits ${wait} after ${previous}`);
    previous = wait;
    now = one.nextTry;
  }
  assert(one.next(now));
  one.failed(address(1), now);
  assertEquals(one.nextTry, Infinity);
});

Deno.test("ConnectionManager.disconnected() lets a peer that was good come back soon", () => {
  const one = manager();
  one.add([address(1)]);
  for (let round = 0; round < 20; round++) {
    const now = round * 1_000_000;
    one.connected(one.next(now)!);
    one.disconnected(address(1), { now: now + 60_000, lasted: 60_000 });
    assert(one.nextTry - (now + 60_000) < 7_000);
  }
  assertEquals(one.room, 100);
});

Deno.test("ConnectionManager.ban() shuts an address out, on every port and in both directions", () => {
  const one = manager();
  one.add([address(1), { host: address(1).host, port: 7000 }, address(2)]);
  one.ban(address(1).host);
  one.add([{ host: address(1).host, port: 8000 }]);
  assertEquals(one.next(0), address(2));
  assertEquals(one.next(0), null);
  assertEquals(one.refuses(address(1).host, { connections: 0, now: 0 }), "it is banned");
  assertEquals(one.refuses(address(2).host, { connections: 0, now: 0 }), null);
});

Deno.test("ConnectionManager.isSelf() never dials ourselves again", () => {
  const one = manager();
  one.add([address(1)]);
  assert(one.next(0));
  one.isSelf(address(1));
  one.add([address(1)]);
  assertEquals(one.next(0), null);
  assertEquals(one.room, 100);
});

Deno.test("ConnectionManager.introduced() doesn't dial who has connected to us", () => {
  const one = manager();
  one.add([address(1)]);
  one.connected({ host: address(1).host, port: 50_000 });
  one.introduced(address(1));
  assertEquals(one.next(0), null);
  one.disconnected(address(1), { now: 0, lasted: 60_000 });
  assertEquals(one.next(10_000), address(1));
});

Deno.test("ConnectionManager.add() doesn't grow without end", () => {
  const one = manager();
  one.add(many(3_000));
  one.add(many(9_000));
  let known = 0;
  for (let next = one.next(0); next; next = one.next(0)) {
    one.failed(next, 0);
    known++;
  }
  assertEquals(known, 4000);
});

Deno.test("ConnectionManager keeps to four connections with one address, this machine's own left out", () => {
  const one = manager();
  one.add(Array.from({ length: 20 }, (_, port) => ({ host: "10.1.1.1", port: 7000 + port })));
  const first = one.next(0)!;
  // The source of the addresses may have made them up, so they are dialled one after the other.
  assertEquals(one.next(0), null);
  one.connected(first);
  for (let i = 0; i < 3; i++) one.connected(one.next(0)!);
  assertEquals(one.next(0), null);
  one.disconnected(first, { now: 0, lasted: 60_000 });
  assert(one.next(0));
  assertEquals(one.refuses("10.1.1.1", { connections: 4, now: 0 }), "there are 4 connections to its address already");
  assertEquals(one.refuses("127.0.0.1", { connections: 50, now: 0 }), null);
});

Deno.test("ConnectionManager forgets who connected to us and was never named, however many they are", () => {
  const one = manager();
  for (let i = 0; i < 10_000; i++) {
    one.connected({ host: address(i).host, port: 50_000 });
    one.introduced(address(i));
    one.disconnected(address(i), { now: 0, lasted: 60_000 });
  }
  assertEquals(one.next(1e9), null);
  one.add([address(1)]);
  assertEquals(one.next(0), address(1));
});

Deno.test("ConnectionManager.failed() doesn't dial again who has connected to us meanwhile", () => {
  const one = manager();
  one.add([address(1)]);
  assert(one.next(0));
  one.connected({ host: address(1).host, port: 50_000 });
  one.introduced(address(1));
  one.failed(address(1), 0);
  assertEquals(one.next(1e9), null);
  one.disconnected(address(1), { now: 0, lasted: 60_000 });
  assertEquals(one.next(1e9), address(1));
});

Deno.test("ConnectionManager.disconnected() doesn't come back to a seed when we are one", () => {
  const one = manager();
  one.add([address(1)]);
  one.connected(one.next(0)!);
  one.disconnected(address(1), { now: 0, lasted: 10, prospects: "none" });
  assertEquals([one.next(1e12), one.isWaiting(1e12)], [null, false]);
  one.add([address(2)]);
  one.connected(one.next(0)!);
  one.disconnected(address(2), { now: 0, lasted: 10, prospects: "poor" }); // probably a seed
  assertEquals([one.next(29 * 60_000), one.next(30 * 60_000)], [null, address(2)]);
});

Deno.test("ConnectionManager.offended() shuts an address out for a while after the third time, and dials it no more", () => {
  const one = manager();
  one.add([address(1), address(2)]);
  assertEquals([one.offended(address(1).host, 0), one.offended(address(1).host, 1)], [false, false]);
  assertEquals(one.refuses(address(1).host, { connections: 0, now: 2 }), null);
  assertEquals(one.offended(address(1).host, 2), true);
  assertEquals(one.refuses(address(1).host, { connections: 0, now: 3 }), "it broke the protocol too often");
  one.add([address(1)]);
  assertEquals([one.next(3), one.next(3)], [address(2), null]);
  assertEquals(one.refuses(address(1).host, { connections: 0, now: 3 + SHUT_OUT_MS }), null);
  assertEquals(one.next(3 + SHUT_OUT_MS), address(1));
});

Deno.test("ConnectionManager.offended() forgives what is long ago, and doesn't remember without end", () => {
  const one = manager();
  for (let i = 0; i < 10; i++) assertEquals(one.offended("10.0.0.1", i * SHUT_OUT_MS), false);
  for (let i = 0; i < 2; i++) one.offended("10.0.0.2", 1e9);
  for (let i = 0; i < MAX_REMEMBERED_HOSTS; i++) one.offended(`h${i}`, 1e9);
  assertEquals(one.offended("10.0.0.2", 1e9), false);
});

Deno.test("ConnectionManager.isWaiting() knows only of candidates that next() would give", () => {
  const one = manager();
  one.add(Array.from({ length: 6 }, (_, port) => ({ host: "10.1.1.1", port: 7000 + port })));
  for (let i = 0; i < 4; i++) one.connected(one.next(0)!);
  assertEquals([one.isWaiting(0), one.next(0)], [false, null]); // too many connections to that address
  for (let i = 0; i < 3; i++) one.offended(address(1).host, 0);
  one.add([address(1)]);
  assertEquals([one.isWaiting(0), one.next(0)], [false, null]); // the address is shut out
  assertEquals([one.isWaiting(SHUT_OUT_MS), one.next(SHUT_OUT_MS)], [true, address(1)]);
});

Deno.test("ConnectionManager.isFull() keeps no room for candidates that can't be dialled", () => {
  const one = manager(10);
  for (let i = 0; i < 3; i++) one.offended(address(1).host, 0);
  one.add([address(1)]);
  for (let i = 0; i < 8; i++) one.connected({ host: `10.2.0.${i}`, port: 50_000 }, { incoming: true });
  assertEquals(one.isFull(0, { incoming: true }), false);
  assertEquals(one.isFull(SHUT_OUT_MS, { incoming: true }), true);
});

Deno.test("ConnectionManager.add() knows an address in every form, and leaves out what can't be dialled", () => {
  const one = manager();
  const hosts = ["::ffff:10.0.0.1", "10.0.0.1", "2001:DB8:0::1", "2001:db8::1", "0.0.0.0", "::", "ff02::1", "fe80::1"];
  one.add(hosts.map((host) => ({ host, port: 6881 })));
  const seen: string[] = [];
  for (let next = one.next(0); next; next = one.next(0)) seen.push(next.host);
  assertEquals(seen.sort(), ["10.0.0.1", "2001:db8::1"]);
});

Deno.test("ConnectionManager takes all IPv6 addresses of a /64 for one: limits, offences, bans", () => {
  const one = manager();
  const neighbour = (n: number) => ({ host: `2001:db8:0:1::${n}`, port: 6881 });
  one.add([1, 2, 3, 4, 5].map(neighbour));
  for (let i = 0; i < 4; i++) one.connected(one.next(0)!);
  assertEquals(one.next(0), null);
  assertEquals(one.refuses("2001:db8:0:1:9::", { connections: 4, now: 0 }) !== null, true);
  assertEquals([1, 2, 3].map((n) => one.offended(neighbour(n).host, 0)), [false, false, true]);
  assertEquals(one.refuses(neighbour(9).host, { connections: 0, now: 1 }), "it broke the protocol too often");
  assertEquals([one.ban(neighbour(7).host), one.ban(neighbour(8).host)], [true, false]);
  assertEquals(one.refuses(neighbour(9).host, { connections: 0, now: SHUT_OUT_MS }), "it is banned");
  assertEquals(one.refuses("2001:db8:0:2::1", { connections: 0, now: 1 }), null);
});

Deno.test("ConnectionManager counts the machines of a local network one by one", () => {
  const one = manager();
  one.add([1, 2, 3, 4, 5, 6].map((n) => ({ host: `fd00::${n}`, port: 6881 })));
  let dialled = 0;
  while (one.next(0)) dialled++;
  assertEquals(dialled, 6);
});

Deno.test("ConnectionManager neither gives nor welcomes whom the blocklist names", () => {
  const one = new ConnectionManager({ maxPeers: 9, random: seededRandom(1), blocks: (host) => host === "10.0.0.2" });
  one.add([...many(3), { host: "::ffff:10.0.0.2", port: 7 }]);
  const given = [one.next(0), one.next(0), one.next(0)].map((address) => address?.host);
  assertEquals(given.toSorted(), ["10.0.0.1", "10.0.0.3", undefined]);
  assertEquals(one.refuses("10.0.0.2", { connections: 0, now: 0 }), "it is on the blocklist");
  assertEquals(one.refuses("10.0.0.1", { connections: 0, now: 0 }), null);
});

Deno.test("ConnectionManager.addresses() counts who isn't connected, how dials failed, and who is blocked, each once", () => {
  const blocks = (host: string) => host.startsWith("192.0.2.");
  const one = new ConnectionManager({ maxPeers: 9, random: seededRandom(1), blocks });
  const none = { refused: 0, silent: 0, unreachable: 0, ended: 0 };
  const nobody = { known: 0, dialling: 0, ready: 0, faults: none, secondsUntilNext: null, only: null, blocked: 0 };
  assertEquals(one.addresses(0), nobody);
  for (let i = 0; i < 2; i++) {
    one.add([address(1), { host: "192.0.2.1", port: 1 }, { host: "192.0.2.2", port: 1 }], "user");
  }
  const first = { ...nobody, known: 1, only: "10.0.0.1:6881", blocked: 2 };
  assertEquals(one.addresses(0), { ...first, ready: 1 });
  const dialled = one.next(0)!;
  assertEquals(one.addresses(0), { ...first, dialling: 1 });
  one.failed(dialled, 1_000, { fault: "refused" });
  const { secondsUntilNext, ...rest } = one.addresses(1_000);
  assertEquals({ ...rest, secondsUntilNext: null }, { ...first, faults: { ...none, refused: 1 } });
  assert(secondsUntilNext! > 3 && secondsUntilNext! < 7, `${secondsUntilNext}`);
  // A connection that lasts makes up for it; one that doesn't is a failure.
  one.connected(one.next(20_000)!);
  assertEquals(one.addresses(20_000), { ...nobody, blocked: 2 });
  one.disconnected(address(1), { now: 21_000, lasted: 1_000 });
  assertEquals(one.addresses(21_000).faults, { ...none, ended: 1 });
  one.connected(one.next(99_000)!);
  one.disconnected(address(1), { now: 199_000, lasted: 100_000 });
  assertEquals(one.addresses(199_000).faults, none);
});

Deno.test("ConnectionManager.next() gives who failed least, then who has the highest priority, once our address is known", () => {
  let own: string | null = null;
  const ownAddress = (family: 4 | 6) => family === 4 && own !== null ? { host: own, port: 6881 } : null;
  const one = new ConnectionManager({ maxPeers: 100, random: seededRandom(1), ownAddress });
  const candidates = Array.from({ length: 12 }, (_, i) => ({ host: `${20 + i}.1.1.1`, port: 6881 }));
  one.add(candidates);
  const inOrder = (ours: string) =>
    candidates.toSorted((a, b) =>
      peerPriority({ host: ours, port: 1 }, b)! - peerPriority({ host: ours, port: 1 }, a)!
    );
  own = "98.76.54.32";
  const [first, second] = inOrder(own);
  assertEquals([one.next(0), one.next(0)], [first, second]);
  // With another address of ours the order differs, and addresses that failed come last.
  own = "123.213.32.10";
  for (const address of [first!, second!]) one.failed(address, 0);
  const rest = inOrder(own).filter((address) => address.host !== first!.host && address.host !== second!.host);
  const later = 10_000;
  assertEquals(rest.map(() => one.next(later)), rest);
  const last = inOrder(own).filter((address) => !rest.includes(address));
  assertEquals(last.map(() => one.next(later)), last);
});

Deno.test("ConnectionManager.next() leaves it to chance while our address is not known", () => {
  const firsts = new Set<string>();
  for (let seed = 1; seed <= 60; seed++) {
    const one = new ConnectionManager({ maxPeers: 9, random: seededRandom(seed), ownAddress: () => null });
    one.add(many(5));
    firsts.add(one.next(0)!.host);
  }
  assertEquals(firsts.size, 5);
});

Deno.test("ConnectionManager.next() gives whom the best source named, as long as it failed no more than others", () => {
  const one = manager();
  const [pex, dht, lsd, user, come] = many(5) as [PeerAddress, PeerAddress, PeerAddress, PeerAddress, PeerAddress];
  one.add([pex, user], "pex");
  one.add([dht], "dht");
  one.add([lsd], "lsd");
  one.add([user], "user"); // named by two sources: the better one counts
  one.add([user], "pex");
  one.introduced(come);
  one.connected(come, { incoming: true });
  one.add([come], "pex");
  one.disconnected(come, { now: 0, lasted: 60_000, incoming: true });
  assertEquals([one.next(0), one.next(0), one.next(0), one.next(0), one.next(0)], [user, lsd, dht, pex, null]);
  one.failed(user, 0);
  one.failed(pex, 0);
  one.add([address(9)], "pex");
  assertEquals([one.next(60_000), one.next(60_000)?.host], [address(9), user.host]);
});

Deno.test("ConnectionManager.next() takes the lists that it was given by turns, so that a long one holds up no short one", () => {
  const one = manager(3000);
  one.add(many(1500));
  const [first, second, third] = [address(2001), address(2002), address(1400)];
  one.add([first, second]);
  one.add([third]); // far behind in the other list
  const dialled = [];
  for (let round = 0; round < 2; round++) {
    for (let next = one.next(round * HALF_OPEN_MS); next; next = one.next(round * HALF_OPEN_MS)) {
      dialled.push(next.host);
    }
  }
  assertEquals(dialled.length, 2 * MAX_HALF_OPEN);
  for (const { host } of [first, second, third]) assert(dialled.includes(host), host);
  const others = dialled.filter((host) => ![first, second, third].some((one) => one.host === host));
  const begin = many(2 * MAX_HALF_OPEN).map(({ host }) => host);
  assertEquals(others.filter((host) => !begin.includes(host)), []);
});

Deno.test("ConnectionManager.add() takes the user's and a tracker's peers however many addresses others have named", () => {
  const one = manager();
  one.add(many(4_000), "pex");
  const [users, tracker] = [{ host: "1.1.1.1", port: 22 }, { host: "2.2.2.2", port: 6881 }];
  one.add([users], "user");
  one.add([tracker], "tracker");
  assertEquals([one.next(0), one.next(0)], [users, tracker]);
});

Deno.test("ConnectionManager.add() believes nobody but the user that a peer listens on a port of a well-known service", () => {
  const one = manager();
  const ports = [0, 22, 25, 53, 110, 143, 445, 993, 3306].map((port) => ({ host: "1.2.3.4", port }));
  for (const source of ["tracker", "dht", "pex", "lsd"] as const) one.add(ports, source);
  assertEquals(one.next(0), null);
  one.add([{ host: "1.2.3.4", port: 443 }], "tracker");
  assertEquals(one.next(0)?.port, 443);
});

Deno.test("ConnectionManager.add() leaves out what is known to be our own address", () => {
  const ownAddress = (family: 4 | 6) => family === 4 ? { host: "9.9.9.9", port: 6881 } : null;
  const one = new ConnectionManager({ maxPeers: 9, random: seededRandom(1), ownAddress });
  one.add([{ host: "::ffff:9.9.9.9", port: 6881 }, { host: "9.9.9.9", port: 6882 }]);
  assertEquals([one.next(0)?.port, one.next(0)], [6882, null]);
});

Deno.test("ConnectionManager.next() gives whom a look through all candidates would give, whatever happened since the last", () => {
  const sources = ["user", "tracker", "dht", "pex"] as const;
  const step = fc.record({
    does: fc.constantFrom("add", "dial", "dial", "dial", "fail", "fail", "give up", "connect", "leave", "shut", "wait"),
    n: fc.nat(39),
    source: fc.constantFrom(...sources),
  });
  const where = (n: number) => ({ host: `10.0.0.${n >> 1}`, port: 6881 + (n & 1) }); // two ports of each host
  fc.assert(
    fc.property(fc.array(step, { maxLength: 120, size: "max" }), (steps) => {
      const one = new ConnectionManager({ maxPeers: 1000, random: () => 0.5 });
      const known = new Map<string, Known>();
      let now = 0;
      const is = (state: Known["state"]) => [...known.values()].filter((candidate) => candidate.state === state);
      const backOff = (candidate: Known) => {
        candidate.state = "idle";
        candidate.failures++;
        candidate.nextTry = now + Math.min(30 * 60_000, 5000 * 2 ** (candidate.failures - 1));
        if (candidate.failures === 10) known.delete(keyOf(candidate.address));
      };
      const mayDial = (candidate: Known) =>
        candidate.state === "idle" && candidate.nextTry <= now &&
        (candidate.source === "user" || !is("dialling").some(({ address }) => address.host === candidate.address.host));
      const order = ({ returning, failures, source }: Known) =>
        (returning ? 0 : 1e6) + 1000 * failures + { user: 0, tracker: 1, dht: 2, pex: 3 }[source];
      for (const { does, n, source } of steps) {
        const [dialling, connected] = [is("dialling")[0], is("connected")[0]];
        if (does === "add") {
          one.add([where(n), where(n + 7)], source);
          for (const address of [where(n), where(n + 7)]) {
            const there = known.get(keyOf(address));
            if (!there) {
              known.set(keyOf(address), { address, source, failures: 0, nextTry: 0, state: "idle", returning: false });
            } else if (sources.indexOf(source) < sources.indexOf(there.source)) there.source = source;
          }
        } else if (does === "dial") {
          const may = [...known.values()].filter(mayDial);
          assertEquals(one.isWaiting(now), may.length > 0);
          const next = one.next(now);
          if (may.length === 0) assertEquals(next, null);
          else {
            const found = known.get(keyOf(next!))!;
            assert(may.includes(found), `${keyOf(next!)} may not be dialled`);
            assertEquals(order(found), Math.min(...may.map(order)));
            Object.assign(found, { state: "dialling", returning: false });
          }
        } else if (does === "fail" && dialling) {
          one.failed(dialling.address, now);
          backOff(dialling);
        } else if (does === "give up" && dialling) {
          one.failed(dialling.address, now, { ours: true });
          dialling.state = "idle";
        } else if (does === "connect" && dialling) {
          one.connected(dialling.address);
          dialling.state = "connected";
        } else if (does === "leave" && connected) {
          one.disconnected(connected.address, { now, lasted: 1000 * n });
          if (n >= 30) connected.failures = 0;
          backOff(connected);
        } else if (does === "shut") {
          one.shut();
          for (const candidate of known.values()) candidate.returning = false;
          for (const candidate of is("dialling")) {
            one.failed(candidate.address, now, { ours: true });
            candidate.state = "idle";
          }
          for (const candidate of is("connected")) {
            one.disconnected(candidate.address, { now, lasted: 0, shut: true });
            Object.assign(candidate, { state: "idle", nextTry: now, returning: true });
          }
        } else if (does === "wait") now += 1000 * (n + 1);
      }
    }),
    { numRuns: tries(300) },
  );
});

/** What the model knows of a candidate. */
interface Known {
  readonly address: PeerAddress;
  source: "user" | "tracker" | "dht" | "pex";
  failures: number;
  nextTry: number;
  state: "idle" | "dialling" | "connected";
  returning: boolean;
}

function keyOf({ host, port }: PeerAddress): string {
  return `${host}:${port}`;
}
