/**
 * Peer exchange (BEP 11): tells peers which peers we are connected to, and learns of other peers from them.
 *
 * @module
 */

import { formatAddress, parseIp, type PeerAddress } from "../../base/address.ts";
import type { Bytes } from "../../base/bytes.ts";
import { MAX_PEX_FROM_ONE, MAX_PEX_SENT, PEX_HEARD_GAP_MS } from "../../base/defences.ts";
import { isDialable, mayReportAddress, networkOf, reachOf } from "../../base/networks.ts";
import { encodePex, type Extension, parsePex, type Peer, PexFlag, type PexPeer } from "../../peer/mod.ts";

/** Milliseconds between messages to a peer. */
const GAP_MS = 60_000;

/** State of the exchange with one peer. */
interface Talk {
  /** Peers that it was told of and not yet told to drop, by address. */
  readonly told: Map<string, PeerAddress>;
  lastSent: number;
  lastHeard: number;
  /** Number of addresses taken from it. */
  taken: number;
}

/** The torrent, as the exchange sees it. */
export interface ExchangeHost {
  /** Returns milliseconds of a monotonic clock. */
  now(): number;
  /** Called with the peers of a message, which may know another info-hash of a hybrid than the peer that names them. */
  addPeers(addresses: readonly PeerAddress[], source: "pex"): void;
  /** The pieces that we have. */
  readonly have: { readonly isFull: boolean };
}

/** Peer exchange of one torrent; never of a private one (BEP 27). */
export class PeerExchange implements Extension<Peer> {
  readonly name = "ut_pex";
  readonly #host: ExchangeHost;
  readonly #talks = new WeakMap<Peer, Talk>();

  constructor(host: ExchangeHost) {
    this.#host = host;
  }

  received(peer: Peer, payload: Bytes): void {
    const talk = this.#talkOf(peer);
    const now = this.#host.now();
    // Messages that come too often are ignored. The flood limit charges the peer for the time they take.
    if (now - talk.lastHeard < PEX_HEARD_GAP_MS) return;
    talk.lastHeard = now;
    const { added } = parsePex(payload);
    const useful = this.#usefulOf(added, peer).slice(0, MAX_PEX_FROM_ONE - talk.taken);
    talk.taken += useful.length;
    if (useful.length > 0) this.#host.addPeers(useful, "pex");
  }

  /**
   * Tells each peer of changes, if a minute has passed since the last message to it.
   *
   * @param now Milliseconds.
   * @param peers All connected peers.
   */
  tick(now: number, peers: Iterable<Peer>): void {
    let listed: readonly (readonly [key: string, peer: Peer])[] | null = null;
    for (const peer of peers) {
      if (!peer.extensions.speaks("ut_pex")) continue;
      const talk = this.#talkOf(peer);
      if (now - talk.lastSent < GAP_MS) continue;
      // Peers that connected to us are included only if we know where they listen: the connection comes from another
      // port.
      listed ??= [...peers].filter((one) => one.listens && parseIp(one.address.host))
        .map((one) => [formatAddress(one.address), one] as const);
      this.#tell(peer, { talk, listed, now });
    }
  }

  #tell(
    peer: Peer,
    { talk, listed, now }: {
      readonly talk: Talk;
      readonly listed: readonly (readonly [key: string, peer: Peer])[];
      readonly now: number;
    },
  ): void {
    const here = new Set<string>();
    const added = new Map<string, PexPeer>();
    for (const [key, other] of listed) {
      if (other === peer || !mayKnow(peer, other.address)) continue;
      here.add(key);
      if (talk.told.has(key) || added.size >= MAX_PEX_SENT) continue;
      added.set(key, { ...other.address, flags: flagsOf(other) });
    }
    const dropped = [...talk.told].filter(([key]) => !here.has(key)).slice(0, MAX_PEX_SENT);
    if (added.size === 0 && dropped.length === 0) return;
    for (const [key] of dropped) talk.told.delete(key);
    for (const [key, { host, port }] of added) talk.told.set(key, { host, port });
    talk.lastSent = now;
    peer.extensions.send(
      "ut_pex",
      encodePex({ added: [...added.values()], dropped: dropped.map(([, address]) => address) }),
    );
    peer.output.flush();
  }

  /**
   * Selects the useful addresses of a message. Of the ports of one host, one is kept, since a list of ports may be an
   * attack on the host; addresses in local networks count only from local peers; and seeds are of no use to a seed.
   */
  #usefulOf(added: readonly PexPeer[], from: Peer): PeerAddress[] {
    const complete = this.#host.have.isFull;
    const networks = new Set<string>();
    const useful: PeerAddress[] = [];
    for (const { host, port, flags } of added) {
      const network = networkOf(host);
      if (!isDialable(host) || !mayKnow(from, { host, port }) || networks.has(network)) continue;
      if (complete && (flags & PexFlag.uploadOnly) !== 0) continue;
      networks.add(network);
      useful.push({ host, port });
    }
    return useful;
  }

  #talkOf(peer: Peer): Talk {
    const known = this.#talks.get(peer);
    if (known) return known;
    const talk = { told: new Map(), lastSent: -Infinity, lastHeard: -Infinity, taken: 0 };
    this.#talks.set(peer, talk);
    return talk;
  }
}

/** Returns `true` if an address means the same to the peer as to us, which local addresses do only within a network. */
function mayKnow(peer: Peer, address: PeerAddress): boolean {
  return mayReportAddress(reachOf(peer.address.host), reachOf(address.host));
}

function flagsOf(peer: Peer): number {
  const uploadOnly = peer.isSeed || peer.uploadOnly ? PexFlag.uploadOnly : 0;
  const encryption = (peer.output.encryption ?? "none") === "none" ? 0 : PexFlag.encryption;
  return encryption | uploadOnly | (peer.incoming ? 0 : PexFlag.reachable);
}
