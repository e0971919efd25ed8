/**
 * The addresses of a torrent's peers that are remembered. When there are too many, the least promising of whoever named more than
 * its share goes, so that nobody who floods us with addresses keeps those out that others name.
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
import { groupOf, networkOf, reachOf } from "../../base/networks.ts";

/** Who told us of a peer. */
export type PeerSource = "user" | "tracker" | "lsd" | "dht" | "pex" | "incoming";

/**
 * What that is worth, the least first: the user knows best, trackers and neighbours know who is there now, anybody may put
 * anybody into the DHT, a peer may name anybody, and who connected to us may not be reachable at all.
 */
export const WORTH: Readonly<Record<PeerSource, number>> = { user: 0, tracker: 1, lsd: 1, dht: 2, pex: 3, incoming: 4 };

/** What is taken for the priority of somebody whose own is not known: neither preferred to the others nor passed over. */
export const MIDDLE_RANK = 2 ** 31;

/** How many of those of one source are looked at to find the least promising: sorting them all would cost more than a flood. */
const SAMPLE = 16;
/** How often somebody is looked for that isn't busy; few are, so that this is more than enough. */
const MAX_LOOKS = 8 * SAMPLE;
/** A port of a host is given up for another that somebody names, after so many failures. */
const MAX_PORT_FAILURES = 2;
/** What a failed dial, and what having been of use, weighs against one more address of the same neighbourhood. */
const FAILURE_WEIGHT = 3;
const USE_WEIGHT = 30;

/** What is going on with a candidate. */
export type CandidateState = "idle" | "dialling" | "connected";

/** The candidates of one network, as {@linkcode networkOf} has it. */
export interface CandidateHost {
  readonly members: Set<Candidate>;
  /** How many of them are connected or being dialled. */
  busy: number;
  /** How many of them are being dialled. */
  dialled: number;
}

/** What is known of an address. */
export interface Candidate {
  readonly address: PeerAddress;
  /** As {@linkcode networkOf} has it. */
  readonly network: string;
  /** All of its network, itself included; `null` once it is forgotten. */
  host: CandidateHost | null;
  /** Its neighbourhood, in which whoever has one address may have all. */
  readonly group: string;
  /** Its priority, and for which address of ours that holds. */
  rank: number;
  rankedFor: PeerAddress | null;
  /** The best of those who named it; `incoming` if it is only known because it connected to us. */
  source: PeerSource;
  /** How many rounds of dials those take who came before it in the same list; the fewest when several lists have it. */
  round: number;
  failures: number;
  nextTry: number;
  /** It was left because neither end needed the other, which may be another matter when more is wanted. */
  unneeded: boolean;
  /** Changed by {@linkcode CandidateTable.setState} alone. */
  state: CandidateState;
  /** It was connected when everybody was sent away: it comes first when others are let in again. */
  returning: boolean;
  /** Decides among equals. */
  lot: number;
  /** It has a connection to us that it made. */
  incoming: boolean;
  /** A connection to it lasted. */
  good: boolean;
  /** Where it stands among those of its source. */
  place: number;
  /** How many there are of its neighbourhood and source, itself included; shared by all of them. */
  neighbours: { count: number };
}

/** Candidates by address, by host and by source. */
export class CandidateTable {
  readonly #random: () => number;
  readonly #byKey = new Map<string, Candidate>();
  readonly #hosts = new Map<string, CandidateHost>();
  readonly #rows: Record<PeerSource, Candidate[]> = { user: [], tracker: [], lsd: [], dht: [], pex: [], incoming: [] };
  /** How many there are of a neighbourhood, by source and neighbourhood. */
  readonly #groups = new Map<string, { count: number }>();

  /** @param random Uniform in 0 (included) to 1 (excluded). */
  constructor(random: () => number) {
    this.#random = random;
  }

  /** How many there are. */
  get size(): number {
    return this.#byKey.size;
  }

  /** All of them. */
  values(): IterableIterator<Candidate> {
    return this.#byKey.values();
  }

  /** The one of an address, as {@linkcode formatAddress} writes it. */
  get(key: string): Candidate | undefined {
    return this.#byKey.get(key);
  }

  /** Those of one network, as {@linkcode networkOf} has it. */
  of(network: string): readonly Candidate[] {
    return [...this.#hosts.get(network)?.members ?? []];
  }

  /** Something else is going on with a candidate from now on. */
  setState(candidate: Candidate, state: CandidateState): void {
    const { host } = candidate;
    if (host !== null) {
      host.busy += (state !== "idle" ? 1 : 0) - (candidate.state !== "idle" ? 1 : 0);
      host.dialled += (state === "dialling" ? 1 : 0) - (candidate.state === "dialling" ? 1 : 0);
    }
    candidate.state = state;
  }

  /**
   * Somebody named an address. Another one may have to go for it.
   *
   * @param address Where it is, in its canonical form.
   * @param source Who named it.
   * @param round See {@linkcode Candidate.round}.
   * @returns Whether that was news, be it that the address is known but comes sooner now.
   */
  name(address: PeerAddress, source: PeerSource, round = 0): boolean {
    const known = this.#byKey.get(formatAddress(address));
    if (known) {
      const better = WORTH[source] < WORTH[known.source];
      if (!better && round >= known.round) return false;
      known.round = Math.min(known.round, round);
      if (better) this.#move(known, source);
      return true;
    }
    const candidate = newCandidate(address, source, round);
    if (source !== "user" && !this.#fitsHost(candidate)) return false;
    if (this.size >= MAX_CANDIDATES && !this.#makeRoom(candidate)) return false;
    this.#insert(candidate);
    return true;
  }

  /**
   * Remembers a peer that is connected to us, whether there is room or not: there are no more of those than connections.
   *
   * @param address Where it listens.
   * @returns What is known of it.
   */
  meet(address: PeerAddress): Candidate {
    const known = this.#byKey.get(formatAddress(address));
    if (known) return known;
    const candidate = newCandidate(address, "incoming");
    this.#insert(candidate);
    return candidate;
  }

  /** Forgets one. */
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

  /** Of one host a few ports are enough: a list of hundreds is aimed at that host. */
  #fitsHost({ address, network, source }: Candidate): boolean {
    const host = this.#hosts.get(network);
    const most = reachOf(address.host) === "machine" ? MAX_PORTS_OF_THIS_MACHINE : MAX_PORTS_PER_HOST;
    if (!host || host.members.size < most) return true;
    let worst: Candidate | null = null;
    for (const one of host.members) {
      const replaceable = one.failures >= MAX_PORT_FAILURES || WORTH[source] < WORTH[one.source];
      if (one.state === "idle" && replaceable && (!worst || one.failures > worst.failures)) worst = one;
    }
    if (worst) this.remove(worst);
    return worst !== null;
  }

  /** Makes room for one by dropping another. @returns whether it is worth that. */
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

  /** The source that is the farthest above its share; with one more of a source that counts, too. */
  #mostOverShare(newcomer: PeerSource): PeerSource {
    let most: PeerSource = newcomer;
    const over = (source: PeerSource) =>
      this.#rows[source].length + (source === newcomer ? 1 : 0) - MAX_CANDIDATES * CANDIDATE_SHARES[source];
    for (const source of Object.keys(this.#rows) as PeerSource[]) if (over(source) > over(most)) most = source;
    return most;
  }

  /** The larger, the less promising. */
  #score(candidate: Candidate): number {
    if (candidate.nextTry === Infinity) return Infinity; // neither needs the other
    const { failures, good, neighbours } = candidate;
    return neighbours.count + failures * FAILURE_WEIGHT - (good ? USE_WEIGHT : 0);
  }
}

function newCandidate(address: PeerAddress, source: PeerSource, round = 0): Candidate {
  return {
    address,
    network: networkOf(address.host),
    group: groupOf(address.host),
    source,
    round,
    rank: MIDDLE_RANK,
    rankedFor: null,
    failures: 0,
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
