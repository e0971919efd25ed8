/**
 * Simulates a DHT of Shoal's nodes on a virtual clock, reproducible by a seed. Nodes join one after the other, some of
 * them malicious. Torrents are announced, a part of the nodes dies, and then other nodes look up the torrents.
 *
 * @module
 */

import type { PeerAddress } from "../../../src/base/address.ts";
import { formatAddress } from "../../../src/base/address.ts";
import { InfoHash } from "../../../src/base/info_hash.ts";
import { Dht } from "../../../src/dht/mod.ts";
import type { LookupReport } from "../../../src/dht/mod.ts";
import { startDigest } from "../../../src/platform/start_digest.ts";
import { VirtualClock } from "../../support/virtual_clock.ts";
import { Liar, type LiarKind } from "./liars.ts";
import { DatagramNetwork } from "./network.ts";

/** Options for {@linkcode simulateDht}. */
export interface DhtSimulationOptions {
  /** Seed of all random numbers. */
  readonly seed: number;
  /** Number of nodes. */
  readonly nodes: number;
  /** Part of the nodes that dies between announces and lookups, 0 to 1. */
  readonly dead: number;
  /** Part of the nodes that is malicious from the beginning, 0 to 1. */
  readonly malicious: number;
  /** Number of torrents that are announced and looked up. */
  readonly lookups: number;
  /** Idle time in milliseconds between joining and announcing. Default 0. */
  readonly settle?: number;
  /** Called with a line of text about the progress. */
  onProgress?(text: string): void;
}

/** Result of a simulation. */
export interface DhtSimulationResult {
  /** Number of lookups. */
  readonly lookups: number;
  /** Number of lookups that found the peer that had announced. */
  readonly found: number;
  /** Hops of each lookup. */
  readonly hops: readonly number[];
  /** Queries and answers of each lookup. */
  readonly messages: readonly number[];
  /** Duration of each lookup. */
  readonly milliseconds: readonly number[];
  /** For each announce, the number of nodes that accepted it. */
  readonly announced: readonly number[];
  /** Number of nodes that are neither dead nor malicious. */
  readonly alive: number;
  /** Number of those nodes that have joined. */
  readonly joined: number;
  /** Average number of good nodes in a routing table. */
  readonly tableSize: number;
  /** Part of the nodes that know their external address, 0 to 1. */
  readonly bound: number;
  /** Datagrams and bytes a second that one idle node sends. 0 without `settle`. */
  readonly idle: { readonly messages: number; readonly bytes: number };
  /** Number of datagrams. */
  readonly datagrams: number;
  /** Virtual milliseconds. */
  readonly time: number;
}

/** Part of the datagrams that is lost. */
const LOSS = 0.01;
/** Nodes that join each second. */
const JOINS_PER_SECOND = 25;
/** Bootstrap nodes of a new node are drawn from this many of the first nodes. */
const WELL_KNOWN = 40;
/** Number of bootstrap nodes of a new node. */
const BOOTSTRAP = 3;
/** Milliseconds between the starts of two announces, or lookups. */
const SPACING_MS = 100;
/** Number of nodes that each liar pings. */
const GREETINGS = 60;
/** Milliseconds for which idle traffic is measured. */
const IDLE_MS = 5 * 60_000;

interface Member {
  readonly dht: Dht;
  readonly address: PeerAddress;
}

/** Runs a simulation. */
export async function simulateDht(options: DhtSimulationOptions): Promise<DhtSimulationResult> {
  const clock = new VirtualClock({ seed: options.seed });
  const network = new DatagramNetwork(clock);
  network.loss = LOSS;
  const tell = options.onProgress ?? (() => {});
  const members: Member[] = [];
  const gang: PeerAddress[] = [];
  const liars: Liar[] = [];
  for (let count = 0; count < options.nodes; count++) {
    // The first nodes aren't malicious, since a DHT that begins with malicious nodes can't work.
    if (members.length >= BOOTSTRAP && clock.random() < options.malicious) liars.push(newLiar(network, gang));
    else members.push(newMember(network, members));
    await network.pass(1000 / JOINS_PER_SECOND);
    if (count % 1000 === 999) tell(`${count + 1} nodes after ${clock.now() / 1000} s`);
    for (const liar of liars) if (clock.random() < GREETINGS / options.nodes) liar.greet(oneOf(members, clock).address);
  }
  await network.pass(60_000);
  tell(`${members.filter(({ dht }) => dht.isJoined).length} of ${members.length} honest nodes have joined`);

  const idle = await measureIdle(network, { settle: options.settle ?? 0, nodes: options.nodes });

  // The dying nodes are chosen before the announces, so that none of them announces or looks up.
  const shuffled = shuffle([...members], clock);
  const dying = shuffled.slice(0, Math.round(options.nodes * options.dead));
  const alive = shuffled.slice(dying.length);
  const torrents = Array.from({ length: options.lookups }, () => ({
    infoHash: new InfoHash(clock.randomBytes(20)),
    announcer: oneOf(alive, clock),
  }));
  const announces: LookupReport[] = [];
  for (const { infoHash, announcer } of torrents) {
    const announce = { port: 1000, impliedPort: false, seed: true };
    void announcer.dht.lookup(infoHash, { announce, onPeers: () => {} }).then((report) => announces.push(report));
    await network.pass(SPACING_MS);
  }
  await network.pass(30_000);
  tell(`${announces.length} torrents are announced; ${dying.length} nodes die`);
  for (const { dht, address } of dying) {
    dht.stop();
    network.listen(address, null);
  }

  const outcomes: Outcome[] = [];
  for (const { infoHash, announcer } of torrents) {
    let seeker = oneOf(alive, clock);
    while (seeker === announcer) seeker = oneOf(alive, clock);
    void seek(seeker, { infoHash, announcer, clock }).then((outcome) => outcomes.push(outcome));
    await network.pass(SPACING_MS);
  }
  await network.pass(60_000);
  const result: DhtSimulationResult = {
    lookups: torrents.length,
    found: outcomes.filter(({ found }) => found).length,
    hops: outcomes.map(({ report }) => report.hops),
    messages: outcomes.map(({ report }) => report.asked + report.answered),
    milliseconds: outcomes.map(({ milliseconds }) => milliseconds),
    announced: announces.map(({ announced }) => announced),
    alive: alive.length,
    joined: alive.filter(({ dht }) => dht.isJoined).length,
    tableSize: alive.reduce((sum, { dht }) => sum + dht.nodes[4], 0) / alive.length,
    bound: members.filter(({ dht, address }) => dht.externalAddress[4] === address.host).length / members.length,
    idle,
    datagrams: network.sent,
    time: clock.now(),
  };
  for (const { dht } of alive) dht.stop();
  return result;
}

/** Measures the traffic of idle nodes. */
async function measureIdle(
  network: DatagramNetwork,
  { settle, nodes }: { settle: number; nodes: number },
): Promise<DhtSimulationResult["idle"]> {
  if (settle === 0) return { messages: 0, bytes: 0 };
  await network.pass(settle);
  const before = { sent: network.sent, bytes: network.bytes };
  await network.pass(IDLE_MS);
  const per = (count: number) => count / nodes / (IDLE_MS / 1000);
  return { messages: per(network.sent - before.sent), bytes: per(network.bytes - before.bytes) };
}

interface Outcome {
  readonly found: boolean;
  readonly milliseconds: number;
  readonly report: LookupReport;
}

async function seek(
  seeker: Member,
  { infoHash, announcer, clock }: { infoHash: InfoHash; announcer: Member; clock: VirtualClock },
): Promise<Outcome> {
  const start = clock.now();
  const wanted = formatAddress({ host: announcer.address.host, port: 1000 });
  let found = false;
  const report = await seeker.dht.lookup(infoHash, {
    onPeers: (peers) => found ||= peers.some((peer) => formatAddress(peer) === wanted),
  });
  return { found, milliseconds: clock.now() - start, report };
}

function newMember(network: DatagramNetwork, others: readonly Member[]): Member {
  const { clock } = network;
  const address = network.addHost();
  const known = others.slice(0, WELL_KNOWN);
  const dht = new Dht({
    platform: {
      now: () => clock.now(),
      after: (milliseconds, run) => clock.after(milliseconds, run),
      random: () => clock.random(),
      randomBytes: (length) => clock.randomBytes(length),
      digest: startDigest,
      net: { resolve: (host) => Promise.reject(new Error(`there are no names here: ${host}`)) },
    },
    families: [4],
    bootstrap: shuffle([...known], clock).slice(0, BOOTSTRAP).map((member) => member.address),
    send: (bytes, to) => network.send(address, to, bytes),
  });
  network.listen(address, (bytes, from) => dht.receive(bytes, from));
  dht.start();
  return { dht, address };
}

function newLiar(network: DatagramNetwork, gang: PeerAddress[]): Liar {
  const chance = network.clock.random();
  const kind: LiarKind = chance < 0.25 ? "silent" : chance < 0.5 ? "garbage" : "gang";
  const liar = new Liar(network, { kind, gang });
  if (kind === "gang") gang.push(liar.address);
  return liar;
}

function oneOf<T>(list: readonly T[], clock: VirtualClock): T {
  return list[Math.floor(clock.random() * list.length)]!;
}

function shuffle<T>(list: T[], clock: VirtualClock): T[] {
  for (let last = list.length - 1; last > 0; last--) {
    const other = Math.floor(clock.random() * (last + 1));
    [list[last], list[other]] = [list[other]!, list[last]!];
  }
  return list;
}
