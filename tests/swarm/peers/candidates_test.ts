import { assert, assertEquals } from "@std/assert";
import { MAX_CANDIDATES, MAX_PORTS_OF_THIS_MACHINE, MAX_PORTS_PER_HOST } from "../../../src/base/defences.ts";
import { type Candidate, CandidateTable, type PeerSource } from "../../../src/swarm/peers/candidates.ts";
import { seededRandom } from "../../support/random.ts";

/** Returns address `n` of network `net`. */
const at = (net: number, n = 1, port = 6881) => ({ host: `${20 + (net >> 8)}.1.${net & 255}.${n}`, port });
const countOf = (table: CandidateTable, source: PeerSource) =>
  [...table.values()].filter((candidate) => candidate.source === source).length;

function fill(table: CandidateTable, source: PeerSource, count: number, from = 0): Candidate[] {
  for (let i = 0; i < count; i++) table.name(at(from + i), source);
  return [...table.values()].filter((candidate) => candidate.source === source);
}

Deno.test("CandidateTable keeps for each source its share, whoever floods it", () => {
  for (const flooder of ["pex", "dht", "tracker"] as const) {
    const table = new CandidateTable(seededRandom(1));
    const others = (["tracker", "dht", "pex", "user"] as const).filter((source) => source !== flooder);
    for (const [i, source] of others.entries()) fill(table, source, 400, 1000 * i);
    for (let i = 0; i < 12_000; i++) table.name(at(4000 + i % 6000, 1 + Math.floor(i / 6000)), flooder);
    assertEquals(table.size, MAX_CANDIDATES);
    for (const source of others) assertEquals(countOf(table, source), 400, `${source} under a flood of ${flooder}`);
  }
});

Deno.test("CandidateTable lets go of whom neither side needs, then of those that failed, before those that nobody has tried", () => {
  const table = new CandidateTable(seededRandom(2));
  const all = fill(table, "tracker", MAX_CANDIDATES);
  for (const [i, candidate] of all.entries()) {
    if (i % 2 === 0) candidate.failures = 5;
    if (i % 4 === 0) candidate.nextTry = Infinity;
  }
  fill(table, "tracker", 1000, 10_000);
  const kept = new Set(table.values());
  const left = (which: (i: number) => boolean) => all.filter((one, i) => which(i) && kept.has(one)).length;
  assert(left((i) => i % 4 === 0) < 250, `${left((i) => i % 4 === 0)} of no use left`);
  assert(left((i) => i % 4 === 2) > 800);
  assert(left((i) => i % 2 === 1) > 1990);
});

Deno.test("CandidateTable lets nobody push others out with the addresses of one neighbourhood", () => {
  const table = new CandidateTable(seededRandom(3));
  const honest = fill(table, "pex", MAX_CANDIDATES);
  for (let n = 1; n < 255; n++) {
    for (let port = 7000; port < 7008; port++) table.name({ host: `66.66.66.${n}`, port }, "pex");
  }
  const kept = new Set(table.values());
  assert(honest.filter((one) => kept.has(one)).length > MAX_CANDIDATES - 20);
});

Deno.test("CandidateTable never lets go of who is connected or being dialled, and finds room for the user all the same", () => {
  const table = new CandidateTable(seededRandom(4));
  const busy = fill(table, "pex", 130);
  for (const one of busy) one.state = "connected";
  fill(table, "pex", MAX_CANDIDATES, 1000);
  table.name(at(9999), "user");
  assertEquals([table.size, countOf(table, "user")], [MAX_CANDIDATES, 1]);
  const kept = new Set(table.values());
  assertEquals(busy.filter((one) => kept.has(one)).length, 130);
});

Deno.test("CandidateTable does a bounded amount of work for each address, however many come", () => {
  let drawn = 0;
  const random = seededRandom(5);
  const table = new CandidateTable(() => {
    drawn++;
    return random();
  });
  fill(table, "pex", MAX_CANDIDATES);
  drawn = 0;
  for (let i = 0; i < 20_000; i++) table.name({ host: `99.${i >> 16}.${i >> 8 & 255}.${i & 255}`, port: 6881 }, "pex");
  assert(drawn <= 20_000 * 17, `${drawn}`);
});

Deno.test("CandidateTable remembers a few ports of one host, more of this machine, and all that the user names", () => {
  const table = new CandidateTable(seededRandom(6));
  const hosts = ["8.8.8.8", "10.0.0.1", "127.0.0.1", "2001:db8::1"] as const;
  for (let port = 7000; port < 8900; port++) {
    for (const host of hosts) table.name({ host, port }, "tracker");
    table.name({ host: `2001:db8::${port}`, port }, "dht"); // all in the same /64
  }
  const counts = hosts.map((host) => [...table.values()].filter((one) => one.address.host === host).length);
  assertEquals(counts.slice(0, 3), [MAX_PORTS_PER_HOST, MAX_PORTS_PER_HOST, MAX_PORTS_OF_THIS_MACHINE]);
  assertEquals(table.of("2001:db8::/64").length, MAX_PORTS_PER_HOST);
  for (let port = 1; port <= 20; port++) table.name({ host: "8.8.8.8", port }, "user");
  assertEquals(countOf(table, "user"), 20);
});

Deno.test("CandidateTable gives a port of a host up for another when a better source names it, or it failed again and again", () => {
  const table = new CandidateTable(seededRandom(7));
  for (let port = 7000; port < 7100; port++) table.name({ host: "8.8.8.8", port }, "pex");
  table.name({ host: "8.8.8.8", port: 6881 }, "tracker");
  assert(table.get("8.8.8.8:6881"));
  assertEquals(table.of("8.8.8.8").length, MAX_PORTS_PER_HOST);
  table.name({ host: "8.8.8.8", port: 6882 }, "pex");
  assertEquals(table.get("8.8.8.8:6882"), undefined);
  table.get("8.8.8.8:7001")!.failures = 2;
  table.name({ host: "8.8.8.8", port: 6882 }, "pex");
  assert(table.get("8.8.8.8:6882"));
  assertEquals(table.get("8.8.8.8:7001"), undefined);
});
