/**
 * A whole DHT of our own code on a virtual clock, decided by a seed: nodes join one after the other among liars, torrents are
 * announced, a part of the nodes dies, and then others look for the torrents.
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

/** What to simulate. */
export interface DhtSimulationOptions {
  readonly seed: number;
  /** Nodes in all. */
  readonly nodes: number;
  /** Part of them that dies between announces and lookups. */
  readonly dead: number;
  /** Part of them that lies, from the beginning. */
  readonly malicious: number;
  /** Torrents that are announced and looked up. */
  readonly lookups: number;
  /** Milliseconds between joining and everything else, in which nothing happens; none when absent. */
  readonly settle?: number;
  /** Is told how it goes on. */
  onProgress?(text: string): void;
}

/** What came out. */
export interface DhtSimulationResult {
  /** Lookups, and those that found the peer that had announced. */
  readonly lookups: number;
  readonly found: number;
  /** Of each lookup. */
  readonly hops: readonly number[];
  readonly messages: readonly number[];
  readonly milliseconds: readonly number[];
  /** Of each announce: nodes that took it. */
  readonly announced: readonly number[];
  /** Nodes that are alive and honest, and those of them that had joined. */
  readonly alive: number;
  readonly joined: number;
  /** Nodes of a table, on average. */
  readonly tableSize: number;
  /** Nodes whose id fits their address. */
  readonly bound: number;
  /** Datagrams and bytes that one node sent in a second, with nothing to look up; 0 if `settle` was. */
  readonly idle: { readonly messages: number; readonly bytes: number };
  /** Datagrams in all. */
  readonly datagrams: number;
  /** Virtual milliseconds. */
  readonly time: number;
}

/** Part of the datagrams that never arrives. */
const LOSS = 0.01;
/** Nodes that join in a second. */
const JOINS_PER_SECOND = 25;
/** Nodes that everybody may know from the beginning, at most. */
const WELL_KNOWN = 40;
/** ... and that a newcomer is told of. */
const BOOTSTRAP = 3;
/** Milliseconds between two announces, or lookups, of different nodes. */
const SPACING_MS = 100;
/** Others to whom each liar makes itself known. */
const GREETINGS = 60;
const IDLE_MS = 5 * 60_000;

interface Member {
  readonly dht: Dht;
  readonly address: PeerAddress;
}

/**
 * Runs a simulation.
 *
 * @param options What.
 * @returns What came out.
 */
export async function simulateDht(options: DhtSimulationOptions): Promise<DhtSimulationResult> {
  const clock = new VirtualClock({ seed: options.seed });
  const network = new DatagramNetwork(clock);
  network.loss = LOSS;
  const tell = options.onProgress ?? (() => {});
  const members: Member[] = [];
  const gang: PeerAddress[] = [];
  const liars: Liar[] = [];
  for (let count = 0; count < options.nodes; count++) {
    // The first ones are honest; a network that begins with liars has no chance.
    if (members.length >= BOOTSTRAP && clock.random() < options.malicious) liars.push(newLiar(network, gang));
    else members.push(newMember(network, members));
    await network.pass(1000 / JOINS_PER_SECOND);
    if (count % 1000 === 999) tell(`${count + 1} nodes after ${clock.now() / 1000} s`);
    for (const liar of liars) if (clock.random() < GREETINGS / options.nodes) liar.greet(oneOf(members, clock).address);
  }
  await network.pass(60_000);
  tell(`${members.filter(({ dht }) => dht.isJoined).length} of ${members.length} honest nodes have joined`);

  const idle = await measureIdle(network, { settle: options.settle ?? 0, nodes: options.nodes });

  // Those that will die are chosen at once, so that none of them is needed later.
  const shuffled = shuffle([...members], clock);
  const dying = shuffled.slice(0, Math.round(options.nodes * options.dead));
  const alive = shuffled.slice(dying.length);
  const torrents = Array.from({ length: options.lookups }, () => ({
    infoHash: new InfoHash(clock.randomBytes(20)),
    owner: oneOf(alive, clock),
  }));
  const announces: LookupReport[] = [];
  for (const { infoHash, owner } of torrents) {
    const announce = { port: 1000, impliedPort: false, seed: true };
    void owner.dht.lookup(infoHash, { announce, onPeers: () => {} }).then((report) => announces.push(report));
    await network.pass(SPACING_MS);
  }
  await network.pass(30_000);
  tell(`${announces.length} torrents are announced; ${dying.length} nodes die`);
  for (const { dht, address } of dying) {
    dht.stop();
    network.listen(address, null);
  }

  const outcomes: Outcome[] = [];
  for (const { infoHash, owner } of torrents) {
    let seeker = oneOf(alive, clock);
    while (seeker === owner) seeker = oneOf(alive, clock);
    void seek(seeker, { infoHash, owner, clock }).then((outcome) => outcomes.push(outcome));
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

/** What nodes send after a while in which nobody looks anything up. */
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
  { infoHash, owner, clock }: { infoHash: InfoHash; owner: Member; clock: VirtualClock },
): Promise<Outcome> {
  const start = clock.now();
  const wanted = formatAddress({ host: owner.address.host, port: 1000 });
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
