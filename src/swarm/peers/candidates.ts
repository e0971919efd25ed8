/**
 * Known peer addresses of a torrent. If there are too many, the source that exceeds its share the most loses its least
 * promising address, so that a source which floods us with addresses can't displace those of other sources.
 *
 * @module
 */

import { formatAddress, type PeerAddress } from "../../base/address.ts";
import {
  CANDIDATE_SHARES,
  MAX_CANDIDATES,
  MAX_PORTS_OF_THIS_MACHINE,
  MAX_PORTS_PER_HOST,
} from "../../base/defences.ts";
import type { InfoHash } from "../../base/info_hash.ts";
import { networkOf, reachOf, subnetOf } from "../../base/networks.ts";
import type { DialFault } from "./dial_fault.ts";

/** Where a peer's address comes from. */
export type PeerSource = "user" | "tracker" | "lsd" | "dht" | "pex" | "incoming";

/**
 * Preference of sources, the lower the better. The user knows best, and trackers and local peers know which peers are
 * there now. In the DHT and by PEX anybody can name any address, and a peer that connected to us may not accept
 * connections.
 */
export const SOURCE_RANK: Readonly<Record<PeerSource, number>> = {
  user: 0,
  tracker: 1,
  lsd: 1,
  dht: 2,
  pex: 3,
  incoming: 4,
};

/** Priority of peers whose own is unknown: neither preferred nor avoided. */
export const MIDDLE_RANK = 2 ** 31;

/** Candidates sampled to find the least promising of a source. Sorting all would cost more than a flood. */
const SAMPLE = 16;
/** Attempts to sample idle candidates. Few candidates are not idle, so this is more than enough. */
const MAX_LOOKS = 8 * SAMPLE;
/** Failures after which an address gives way to another port of the same host. */
const MAX_PORT_FAILURES = 2;
/** Weight of a failed dial in the eviction score, compared with one more address of the same neighbourhood. */
const FAILURE_WEIGHT = 3;
/** Weight of an earlier connection that lasted. */
const USE_WEIGHT = 30;

/** State of a candidate. */
export type CandidateState = "idle" | "dialling" | "connected";

/** All candidates of a network, as returned by {@linkcode networkOf}. */
export interface CandidateHost {
  readonly members: Set<Candidate>;
  /** Number of members that are connected or being dialled. */
  busy: number;
  /** Number of members that are being dialled. */
  dialled: number;
}

/** State of an address. */
export interface Candidate {
  readonly address: PeerAddress;
  /** Info-hash under which the address was found first, which the peer may know alone; `undefined` if not known. */
  infoHash: InfoHash | undefined;
  /** `true` to dial a hybrid's peer under the other info-hash, since the last handshake failed. */
  other: boolean;
  /** Network of the address, as returned by {@linkcode networkOf}. */
  readonly network: string;
  /** Candidates of the same network, including this one; `null` after removal. */
  host: CandidateHost | null;
  /** Neighbourhood of the address: a network so small that one person may own all of it. */
  readonly group: string;
  /** Cached priority (BEP 40), and our own address for which it holds. */
  rank: number;
  rankedFor: PeerAddress | null;
  /** Best source that has named the address; `incoming` if it is only known from a connection to us. */
  source: PeerSource;
  /** Rounds of dials that the addresses before it in the same list take; the lowest if several lists have it. */
  round: number;
  failures: number;
  /** How the last connection failed; `null` if none has. */
  fault: DialFault | null;
  nextTry: number;
  /** `true` if we disconnected because neither side needed the other, which changes when more files are wanted. */
  unneeded: boolean;
  /** Changed only by {@linkcode CandidateTable.setState}. */
  state: CandidateState;
  /** `true` if the peer was connected when all peers were disconnected, so that it is dialled first later. */
  returning: boolean;
  /** Random number that decides between equals. */
  lot: number;
  /** `true` if the peer has connected to us. */
  incoming: boolean;
  /** `true` if a connection to the peer has lasted. */
  good: boolean;
  /** Index among the candidates of its source. */
  place: number;
  /** Number of candidates of the same neighbourhood and source, including this one; shared by all of them. */
  neighbours: { count: number };
}

/** Options for {@linkcode CandidateTable.name}. */
export interface NameOptions {
  /** See {@linkcode Candidate.round}. Default: 0. */
  readonly round?: number;
  /** See {@linkcode Candidate.infoHash}. */
  readonly infoHash?: InfoHash | undefined;
}

/** Candidates by address, network and source. */
export class CandidateTable {
  readonly #random: () => number;
  readonly #byKey = new Map<string, Candidate>();
  readonly #hosts = new Map<string, CandidateHost>();
  readonly #rows: Record<PeerSource, Candidate[]> = { user: [], tracker: [], lsd: [], dht: [], pex: [], incoming: [] };
  /** Number of candidates by source and neighbourhood. */
  readonly #groups = new Map<string, { count: number }>();

  /** @param random Uniform from 0 (inclusive) to 1 (exclusive). */
  constructor(random: () => number) {
    this.#random = random;
  }

  /** Number of candidates. */
  get size(): number {
    return this.#byKey.size;
  }

  /** Returns all candidates. */
  values(): IterableIterator<Candidate> {
    return this.#byKey.values();
  }

  /** Returns the candidate of an address in the form of {@linkcode formatAddress}. */
  get(key: string): Candidate | undefined {
    return this.#byKey.get(key);
  }

  /** Returns the candidates of a network as returned by {@linkcode networkOf}. */
  of(network: string): readonly Candidate[] {
    return [...this.#hosts.get(network)?.members ?? []];
  }

  /** Changes the state of a candidate. */
  setState(candidate: Candidate, state: CandidateState): void {
    const { host } = candidate;
    if (host !== null) {
      host.busy += (state !== "idle" ? 1 : 0) - (candidate.state !== "idle" ? 1 : 0);
      host.dialled += (state === "dialling" ? 1 : 0) - (candidate.state === "dialling" ? 1 : 0);
    }
    candidate.state = state;
  }

  /**
   * Adds an address, for which another one may be dropped.
   *
   * @param address Address in canonical form.
   * @param source Source of the address.
   * @param options See {@linkcode NameOptions}.
   * @returns `true` if the address is new, or will be dialled sooner than before.
   */
  name(address: PeerAddress, source: PeerSource, { round = 0, infoHash }: NameOptions = {}): boolean {
    const known = this.#byKey.get(formatAddress(address));
    if (known) {
      known.infoHash ??= infoHash;
      const better = SOURCE_RANK[source] < SOURCE_RANK[known.source];
      if (!better && round >= known.round) return false;
      known.round = Math.min(known.round, round);
      if (better) this.#move(known, source);
      return true;
    }
    const candidate = newCandidate(address, source, { round, infoHash });
    if (source !== "user" && !this.#fitsHost(candidate)) return false;
    if (this.size >= MAX_CANDIDATES && !this.#makeRoom(candidate)) return false;
    this.#insert(candidate);
    return true;
  }

  /**
   * Adds a connected peer, even if the table is full: the number of connections is limited.
   *
   * @param address Address on which the peer listens.
   * @returns The new or known candidate.
   */
  addConnected(address: PeerAddress): Candidate {
    const known = this.#byKey.get(formatAddress(address));
    if (known) return known;
    const candidate = newCandidate(address, "incoming");
    this.#insert(candidate);
    return candidate;
  }

  /** Removes a candidate. */
  remove(candidate: Candidate): void {
    const { address, network, host } = candidate;
    if (host === null) return;
    this.setState(candidate, "idle");
    this.#byKey.delete(formatAddress(address));
    host.members.delete(candidate);
    if (host.members.size === 0) this.#hosts.delete(network);
    candidate.host = null;
    this.#leaveRow(candidate);
  }

  #insert(candidate: Candidate): void {
    const { address, network } = candidate;
    this.#byKey.set(formatAddress(address), candidate);
    const host = this.#hosts.get(network) ?? { members: new Set(), busy: 0, dialled: 0 };
    if (host.members.size === 0) this.#hosts.set(network, host);
    host.members.add(candidate);
    candidate.host = host;
    this.#joinRow(candidate);
  }

  #move(candidate: Candidate, source: PeerSource): void {
    this.#leaveRow(candidate);
    candidate.source = source;
    this.#joinRow(candidate);
  }

  #joinRow(candidate: Candidate): void {
    const row = this.#rows[candidate.source];
    candidate.place = row.length;
    row.push(candidate);
    const key = groupKey(candidate);
    const neighbours = this.#groups.get(key) ?? { count: 0 };
    if (neighbours.count++ === 0) this.#groups.set(key, neighbours);
    candidate.neighbours = neighbours;
  }

  #leaveRow(candidate: Candidate): void {
    const row = this.#rows[candidate.source];
    const last = row.pop()!;
    if (last !== candidate) {
      row[candidate.place] = last;
      last.place = candidate.place;
    }
    if (--candidate.neighbours.count === 0) this.#groups.delete(groupKey(candidate));
  }

  /** Returns `true` if the host has room for one more port. A list of hundreds of ports is an attack on the host. */
  #fitsHost({ address, network, source }: Candidate): boolean {
    const host = this.#hosts.get(network);
    const most = reachOf(address.host) === "machine" ? MAX_PORTS_OF_THIS_MACHINE : MAX_PORTS_PER_HOST;
    if (!host || host.members.size < most) return true;
    let worst: Candidate | null = null;
    for (const one of host.members) {
      const replaceable = one.failures >= MAX_PORT_FAILURES || SOURCE_RANK[source] < SOURCE_RANK[one.source];
      if (one.state === "idle" && replaceable && (!worst || one.failures > worst.failures)) worst = one;
    }
    if (worst) this.remove(worst);
    return worst !== null;
  }

  /** Drops a candidate to make room for another; returns `false` if none is less promising than the newcomer. */
  #makeRoom(newcomer: Candidate): boolean {
    const source = this.#mostOverShare(newcomer.source);
    const row = this.#rows[source];
    let worst: Candidate | null = null;
    let worstScore = -Infinity;
    for (let looks = 0, seen = 0; looks < MAX_LOOKS && seen < SAMPLE && row.length > 0; looks++) {
      const one = row[Math.floor(this.#random() * row.length)]!;
      if (one.state !== "idle") continue;
      seen++;
      const score = this.#score(one);
      if (score > worstScore) [worst, worstScore] = [one, score];
    }
    if (!worst) return false;
    if (source === newcomer.source && (this.#groups.get(groupKey(newcomer))?.count ?? 0) + 1 > worstScore) {
      return false;
    }
    this.remove(worst);
    return true;
  }

  /** Returns the source that exceeds its share the most, counting the newcomer. */
  #mostOverShare(newcomer: PeerSource): PeerSource {
    let most: PeerSource = newcomer;
    const over = (source: PeerSource) =>
      this.#rows[source].length + (source === newcomer ? 1 : 0) - MAX_CANDIDATES * CANDIDATE_SHARES[source];
    for (const source of Object.keys(this.#rows) as PeerSource[]) if (over(source) > over(most)) most = source;
    return most;
  }

  /** Returns the eviction score: the higher, the less promising. */
  #score(candidate: Candidate): number {
    if (candidate.nextTry === Infinity) return Infinity; // neither side needs the other
    const { failures, good, neighbours } = candidate;
    return neighbours.count + failures * FAILURE_WEIGHT - (good ? USE_WEIGHT : 0);
  }
}

function newCandidate(
  address: PeerAddress,
  source: PeerSource,
  { round = 0, infoHash }: NameOptions = {},
): Candidate {
  return {
    address,
    infoHash,
    other: false,
    network: networkOf(address.host),
    group: subnetOf(address.host),
    source,
    round,
    rank: MIDDLE_RANK,
    rankedFor: null,
    failures: 0,
    fault: null,
    nextTry: 0,
    unneeded: false,
    host: null,
    state: "idle",
    returning: false,
    lot: 0,
    incoming: false,
    good: false,
    place: 0,
    neighbours: { count: 0 },
  };
}

function groupKey({ source, group }: Candidate): string {
  return `${source} ${group}`;
}
