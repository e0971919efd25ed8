import { assert, assertEquals } from "@std/assert";
import type { AddressFacts } from "../../src/swarm/peers/address_facts.ts";
import { dialFaultOf } from "../../src/swarm/peers/dial_fault.ts";
import type { DhtSource, TrackerSource } from "../../src/swarm/torrent_sources.ts";
import { inWords } from "../../src/swarm/source_phrases.ts";
import {
  isSameReason,
  type PeerFacts,
  type PieceFacts,
  type WaitingFacts,
  waitingFor,
} from "../../src/swarm/waiting.ts";
import type { WebSeedSource } from "../../src/swarm/web_seeds/web_seed.ts";

/** Facts of a torrent that lacks 12 pieces, with the given ones replaced. */
interface Given extends Partial<Omit<WaitingFacts, "peers" | "addresses" | "sources" | "pieces">> {
  readonly pieces?: Partial<PieceFacts> | null;
  readonly peers?: Partial<PeerFacts>;
  readonly addresses?: Partial<Omit<AddressFacts, "faults">> & { readonly faults?: Partial<AddressFacts["faults"]> };
  readonly sources?: Partial<WaitingFacts["sources"]>;
}

function facts({ pieces = {}, peers, addresses, sources, ...rest }: Given): WaitingFacts {
  const faults = { refused: 0, silent: 0, unreachable: 0, ended: 0, ...addresses?.faults };
  return {
    state: "downloading",
    error: null,
    inLine: false,
    sinceArrival: null,
    sinceStart: 40,
    pieces: pieces && { missing: 12, nowhere: 0, writing: 0, isBehind: false, noMemory: false, ...pieces },
    peers: { connected: 0, useful: 0, choking: 0, asked: 0, held: 0, ...peers },
    addresses: {
      known: 0,
      dialling: 0,
      ready: 0,
      secondsUntilNext: null,
      only: null,
      blocked: 0,
      ...addresses,
      faults,
    },
    hashes: null,
    isPrivate: false,
    sources: { active: true, trackers: [], dht: null, lsd: null, ...sources },
    webSeeds: [],
    ...rest,
  };
}

function tracker(parts: Partial<TrackerSource> = {}): TrackerSource {
  return {
    url: "udp://tracker.example:6969/announce",
    tier: 0,
    state: "waiting",
    status: "error",
    message: "no answer within 15 s",
    seeders: null,
    leechers: null,
    peers: null,
    others: false,
    failures: 1,
    secondsSinceAnswer: 3,
    secondsUntilNext: 11.2,
    ...parts,
  };
}
const OK = { status: "ok", message: "", failures: 0, secondsUntilNext: 1800 } as const;
const ASKING = { state: "announcing", secondsUntilNext: null } as const;

function dht(parts: Partial<DhtSource> = {}): DhtSource {
  const times = { secondsSinceStart: 40, secondsSinceAnswer: null, secondsUntilNext: null };
  return { state: "joining", nodes: 0, last: null, ...times, ...parts };
}

function webSeed(parts: Partial<WebSeedSource> = {}): WebSeedSource {
  return {
    url: "http://web.example/box",
    status: "failed",
    message: "it answers 503",
    downloaded: 0,
    secondsUntilNext: 4.5,
    ...parts,
  };
}

const CASES: readonly (readonly [string, Given, string | null])[] = [
  // What waits for nothing, or for the user.
  ["seeding", { state: "seeding" }, null],
  ["stopping", { state: "stopping" }, null],
  ["stopped", { state: "stopped" }, null],
  ["checking", { state: "checking" }, null],
  ["in line for the check", { state: "checking", inLine: true }, "other torrents are checked first"],
  ["paused", { state: "paused" }, "it is paused"],
  ["queued", { state: "queued" }, "it waits in the queue"],
  [
    "failed",
    { state: "error", error: "cannot write: the disk is full (/mnt/x)" },
    "cannot write: the disk is full (/mnt/x)",
  ],
  ["data moves", { sinceArrival: 2.9, peers: { connected: 8, useful: 8, choking: 8 } }, null],
  ["the metadata moves", { state: "metadata", pieces: null, sinceArrival: 0, peers: { connected: 1 } }, null],

  // Trackers.
  [
    "the example of the issue",
    { sources: { trackers: [tracker()], dht: dht() }, addresses: { blocked: 14 } },
    "tracker.example:6969 has not answered, asked again in 12 s \u00b7 DHT: no node answers \u00b7 14 peers blocked",
  ],
  [
    "first announce",
    { sources: { trackers: [tracker({ ...ASKING, status: null, message: "" })] } },
    "asking tracker.example:6969",
  ],
  [
    "asked again right now",
    { sources: { trackers: [tracker(ASKING)] } },
    "tracker.example:6969 has not answered, being asked again",
  ],
  [
    "refused by the tracker's host",
    { sources: { trackers: [tracker({ url: "http://t.example/announce", message: "connection refused" })] } },
    "t.example failed: connection refused, asked again in 12 s",
  ],
  [
    "an unusable URL is never asked",
    {
      sources: {
        trackers: [
          tracker({ state: "idle", message: 'trackers of the kind "wss" are not supported', secondsUntilNext: null }),
        ],
      },
    },
    'tracker.example:6969 failed: trackers of the kind "wss" are not supported',
  ],
  [
    "a tracker's own long words are cut",
    { sources: { trackers: [tracker({ message: "x".repeat(200), secondsUntilNext: 600 })] } },
    `tracker.example:6969 failed: ${"x".repeat(79)}\u2026, asked again in 10 min`,
  ],
  [
    "a tracker that knows nobody",
    { sources: { trackers: [tracker({ ...OK, peers: 1 })] } },
    "tracker.example:6969 knows no other peer, asked again in 30 min",
  ],
  [
    "a tracker that named peers, none of which is left",
    { sources: { trackers: [tracker({ ...OK, peers: 5, others: true })] } },
    "tracker.example:6969 named 5 peers, asked again in 30 min",
  ],
  [
    "several trackers, the next one counts",
    { sources: { trackers: [tracker(), tracker({ secondsUntilNext: 5 }), tracker({ secondsUntilNext: 7 })] } },
    "3 trackers have not answered, asked again in 5 s",
  ],
  [
    "several trackers with other outcomes",
    {
      sources: {
        trackers: [
          tracker({ ...OK, url: "http://a.example/announce" }),
          tracker({ ...OK, url: "http://b.example/announce" }),
          tracker({ url: "http://c.example/announce", message: "connection refused" }),
          tracker(),
          tracker({ ...ASKING, status: null, url: "http://d.example/announce" }),
          tracker({ status: null, state: "idle", secondsUntilNext: null }),
        ],
      },
    },
    "2 trackers failed (c.example: connection refused), 2 trackers know no other peer, asking d.example, asked again in 12 s",
  ],

  // The DHT.
  ["the DHT has just been started", { sources: { dht: dht({ secondsSinceStart: 3 }) } }, "DHT: joining"],
  ["the DHT knows some", { sources: { dht: dht({ nodes: 3 }) } }, "DHT: joining, 3 nodes so far"],
  ["first lookup", { sources: { dht: dht({ state: "asking", nodes: 1 }) } }, "DHT: asking 1 node"],
  [
    "nodes have gone",
    { sources: { dht: dht({ state: "waiting", nodes: 9, last: { answered: 0, peers: 0 }, secondsUntilNext: 80 }) } },
    "DHT: no node answers, asked again in 80 s",
  ],
  [
    "nobody in the DHT",
    { sources: { dht: dht({ state: "waiting", nodes: 9, last: { answered: 8, peers: 0 }, secondsUntilNext: 840 }) } },
    "DHT: no peer known, asked again in 14 min",
  ],
  [
    "nobody but us in the DHT",
    { sources: { dht: dht({ state: "asking", nodes: 9, last: { answered: 8, peers: 1 } }) } },
    "DHT: no usable peer known",
  ],
  ["a stopped DHT says nothing", { sources: { dht: dht({ state: "stopped", nodes: 9 }) } }, "no peers yet"],

  // No source at all.
  ["private, no trackers", { isPrivate: true }, "it is private and has no trackers, so nobody can be found"],
  [
    "a bare info-hash with everything off",
    { state: "metadata", pieces: null },
    "it has no trackers, the DHT and local discovery are off: nobody can be found",
  ],
  [
    "nothing but local discovery",
    { sources: { lsd: { heard: 0, secondsUntilNext: 9 } } },
    "it has no trackers and the DHT is off: only peers in the local network can be found",
  ],

  // Known addresses.
  [
    "a --peer is dialled",
    { addresses: { known: 1, dialling: 1, only: "192.0.2.7:6881" } },
    "connecting to 192.0.2.7:6881 \u00b7 it has no trackers, the DHT and local discovery are off: nobody can be found",
  ],
  [
    "a --peer refuses",
    {
      addresses: { known: 1, faults: { refused: 1 }, secondsUntilNext: 4.2, only: "192.0.2.7:6881" },
      sources: { trackers: [tracker()] },
    },
    "192.0.2.7:6881 refused the connection, tried again in 5 s \u00b7 tracker.example:6969 has not answered, " +
    "asked again in 12 s",
  ],
  [
    "peers that a tracker named are dialled",
    { addresses: { known: 30, dialling: 20 }, sources: { trackers: [tracker({ ...OK, peers: 30, others: true })] } },
    "connecting to 20 addresses",
  ],
  [
    "peers that a tracker named fail in several ways",
    {
      addresses: { known: 9, faults: { refused: 5, silent: 2, unreachable: 1, ended: 1 }, secondsUntilNext: 60 },
      sources: {
        trackers: [tracker({ ...OK, peers: 30, others: true })],
        dht: dht({ state: "waiting", nodes: 9, last: { answered: 8, peers: 3 } }),
      },
    },
    "9 addresses: 5 refused the connection, 2 did not answer, 1 could not be reached, 1 ended the connection, " +
    "tried again in 60 s",
  ],
  [
    "peers that fail in one way, and are dialled again",
    {
      isPrivate: true,
      addresses: { known: 3, dialling: 1, faults: { silent: 3 } },
      sources: { trackers: [tracker()] },
    },
    "3 addresses did not answer, trying again \u00b7 tracker.example:6969 has not answered, asked again in 12 s",
  ],
  [
    "no connection is free",
    { addresses: { known: 5, ready: 5 }, sources: { trackers: [tracker({ ...OK, peers: 5, others: true })] } },
    "5 addresses to try, as soon as a connection is free",
  ],
  [
    "all that were named are blocked",
    { addresses: { blocked: 14 }, sources: { trackers: [tracker({ ...OK, peers: 14, others: true })] } },
    "all 14 peers that were found are blocked \u00b7 tracker.example:6969 named 14 peers, asked again in 30 min",
  ],
  [
    "the only one that was named is blocked",
    {
      addresses: { blocked: 1 },
      sources: { dht: dht({ state: "waiting", nodes: 5, last: { answered: 5, peers: 1 }, secondsUntilNext: 9 }) },
    },
    "the only peer that was found is blocked \u00b7 DHT: no usable peer known, asked again in 9 s",
  ],

  // Web seeds.
  [
    "the only web seed has nothing",
    { webSeeds: [webSeed({ status: "given up", message: "it answers 404", secondsUntilNext: null })], isPrivate: true },
    "web seed web.example: it answers 404, given up \u00b7 it is private and has no trackers, so nobody can be found",
  ],
  [
    "web seeds fail besides peers that choke us",
    { peers: { connected: 1, useful: 1, choking: 1 }, webSeeds: [webSeed(), webSeed({ status: "ready" }), webSeed()] },
    "1 peer, which chokes us \u00b7 2 web seeds failed (web.example: it answers 503), tried again in 5 s",
  ],
  [
    "a web seed is asked",
    { webSeeds: [webSeed({ status: "sending", message: "" })], sinceStart: 1 },
    "1 web seed asked",
  ],
  [
    "a web seed is silent",
    { webSeeds: [webSeed({ status: "sending", message: "" })], sinceArrival: 15 },
    "stalled for 15 s: 1 web seed asked, no answer",
  ],

  // Connected peers.
  ["all choke us", { peers: { connected: 8, useful: 8, choking: 8 } }, "8 peers, all choke us"],
  ["both choke us", { peers: { connected: 2, useful: 2, choking: 2 } }, "2 peers, both choke us"],
  ["one chokes us", { peers: { connected: 1, useful: 1, choking: 1 } }, "1 peer, which chokes us"],
  [
    "some choke us, others have nothing",
    { peers: { connected: 8, useful: 5, choking: 5 } },
    "8 peers: 5 choke us, 3 lack what is missing",
  ],
  [
    "one chokes us, another has nothing",
    { peers: { connected: 2, useful: 1, choking: 1 } },
    "2 peers: 1 chokes us, 1 lacks what is missing",
  ],
  ["all lack it", { peers: { connected: 3 } }, "3 peers, all lack what is missing"],
  ["one lacks it", { peers: { connected: 1 } }, "1 peer, which lacks what is missing"],
  [
    "nobody has the rest",
    { sinceArrival: 40, pieces: { missing: 3, nowhere: 3 }, peers: { connected: 4 } },
    "stalled for 40 s: nobody has the 3 pieces that are missing",
  ],
  [
    "nobody has the last piece",
    { sinceArrival: 200, pieces: { missing: 1, nowhere: 1 }, peers: { connected: 4 } },
    "stalled for 3 min: nobody has the piece that is missing",
  ],
  [
    "nobody has anything, as is known at once",
    { sinceStart: 1, pieces: { missing: 3, nowhere: 3 }, peers: { connected: 1 } },
    "1 peer, nobody has the 3 pieces that are missing",
  ],
  [
    "nobody has a part of the rest",
    { pieces: { nowhere: 3 }, peers: { connected: 2, useful: 2, choking: 2 } },
    "2 peers, both choke us \u00b7 nobody has 3 of the 12 missing pieces",
  ],
  [
    "just asked",
    { sinceStart: 1, peers: { connected: 3, useful: 3, asked: 3, choking: 1 } },
    "asking 2 peers for data",
  ],
  [
    "asked in vain",
    { sinceArrival: 20, peers: { connected: 3, useful: 3, asked: 1 } },
    "stalled for 20 s: 1 peer asked, no answer",
  ],
  [
    "not asked",
    { sinceArrival: 20, peers: { connected: 3, useful: 3 } },
    "stalled for 20 s: 3 peers, none is asked",
  ],
  [
    "the user's limit",
    { sinceArrival: 4, peers: { connected: 3, useful: 3, asked: 3, held: 2 } },
    "the download rate limit holds the peers back",
  ],

  // Hashes of pieces.
  [
    "hashes are awaited",
    {
      state: "metadata",
      pieces: null,
      sinceStart: 1,
      hashes: { done: 3, total: 12, peers: 2 },
      peers: { connected: 2 },
    },
    "waiting for hashes from peers: 3 of 12 files",
  ],
  [
    "no hashes for long",
    { state: "metadata", pieces: null, hashes: { done: 0, total: 1, peers: 2 }, peers: { connected: 2 } },
    "waiting for hashes from peers: 0 of 1 file, stalled for 40 s",
  ],
  [
    "nobody can send hashes",
    { state: "metadata", pieces: null, hashes: { done: 0, total: 1, peers: 0 }, peers: { connected: 2 } },
    "2 peers, none can send the hashes of pieces",
  ],
  [
    "one peer, no hashes",
    { state: "metadata", pieces: null, hashes: { done: 0, total: 1, peers: 0 }, peers: { connected: 1 } },
    "1 peer, which can't send the hashes of pieces",
  ],
  [
    "hashes arrive",
    {
      state: "metadata",
      pieces: null,
      sinceArrival: 0,
      hashes: { done: 3, total: 12, peers: 2 },
      peers: { connected: 2 },
    },
    null,
  ],
  // The metadata.
  [
    "nobody offers the metadata",
    { state: "metadata", pieces: null, peers: { connected: 3 } },
    "3 peers, none offers the metadata",
  ],
  [
    "one peer, no metadata",
    { state: "metadata", pieces: null, peers: { connected: 1 } },
    "1 peer, which doesn't offer the metadata",
  ],
  [
    "the metadata was asked for",
    { state: "metadata", pieces: null, sinceStart: 2, peers: { connected: 3, useful: 2 } },
    "asking 2 peers for the metadata",
  ],
  [
    "the metadata doesn't come",
    { state: "metadata", pieces: null, peers: { connected: 3, useful: 2 } },
    "stalled for 40 s: 2 peers asked for the metadata, no answer",
  ],

  // The disk.
  ["all is here but not written", { pieces: { missing: 0 }, sinceArrival: 0 }, "waiting for the disk"],
  [
    "the last pieces are written",
    { pieces: { missing: 0, writing: 2 }, sinceArrival: 0 },
    "waiting for the disk: 2 pieces to check and write",
  ],
  [
    "the disk is behind",
    { pieces: { writing: 90, isBehind: true }, sinceArrival: 5, peers: { connected: 3, useful: 3 } },
    "waiting for the disk: 90 complete pieces to check and write",
  ],
  [
    "the disk is behind, and data still comes",
    { pieces: { writing: 90, isBehind: true }, sinceArrival: 1, peers: { connected: 3, useful: 3 } },
    null,
  ],
  [
    "complete pieces take all the memory",
    { pieces: { writing: 4, noMemory: true }, sinceArrival: 5, peers: { connected: 3, useful: 3 } },
    "waiting for the disk: all memory is taken, and 4 complete pieces to write",
  ],
  [
    "other torrents take all the memory",
    { pieces: { noMemory: true }, sinceArrival: 5, peers: { connected: 3, useful: 3 } },
    "waiting for memory, which other torrents use",
  ],
];

Deno.test("waitingFor() says why nothing arrives, the most useful reason first", () => {
  for (const [name, given, sentence] of CASES) assertEquals(waitingFor(facts(given)), sentence, name);
});

Deno.test("isSameReason() looks past times, which change each second", () => {
  assert(isSameReason("a:1 has not answered, asked again in 12 s", "a:1 has not answered, asked again in 3 min"));
  assert(isSameReason(null, null));
  for (const [one, other] of [["8 peers, all choke us", "9 peers, all choke us"], ["it is paused", null]] as const) {
    assert(!isSameReason(one, other));
  }
});

Deno.test("inWords() rounds up to a second, and has one unit", () => {
  const words = [0, 0.2, 12, 99.5, 130, 7300, 400_000].map(inWords);
  assertEquals(words, ["1 s", "1 s", "12 s", "2 min", "2 min", "2 h", "5 d"]);
});

Deno.test("dialFaultOf() knows the errors of both runtimes' sockets, and of proxies", () => {
  const coded = (code: string) => Object.assign(new Error("x"), { code });
  const kinds = [
    new Deno.errors.ConnectionRefused("Connection refused (os error 111)"),
    coded("ECONNREFUSED"),
    new Error("connection refused"),
    new Deno.errors.TimedOut("x"),
    coded("ETIMEDOUT"),
    new Deno.errors.NetworkUnreachable("x"),
    coded("EHOSTUNREACH"),
    new Error("No route to host (os error 113)"),
    new Error("it closed the connection after 0 of 68 bytes of the handshake"),
    "odd",
  ].map(dialFaultOf);
  const [refused, silent, unreachable, ended] = ["refused", "silent", "unreachable", "ended"];
  assertEquals(kinds, [refused, refused, refused, silent, silent, unreachable, unreachable, unreachable, ended, ended]);
});
