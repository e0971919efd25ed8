/**
 * Peer exchange (BEP 11): tells peers whom we are connected to, and hears from them who else there is.
 *
 * @module
 */

import { formatAddress, parseIp, type PeerAddress } from "../../base/address.ts";
import type { Bytes } from "../../base/bytes.ts";
import { MAX_PEX_FROM_ONE, MAX_PEX_SENT, PEX_HEARD_GAP_MS } from "../../base/defences.ts";
import { isDialable, mayName, networkOf, reachOf } from "../../base/networks.ts";
import { encodePex, type Extension, parsePex, type Peer, PexFlag, type PexPeer } from "../../peer/mod.ts";

/** Milliseconds between two messages to a peer. */
const GAP_MS = 60_000;

/** What was said to a peer and by it. */
interface Talk {
  /** Whom it was told of and still believes to be there, by address. */
  readonly told: Map<string, PeerAddress>;
  lastSent: number;
  lastHeard: number;
  /** Addresses that were taken from it. */
  taken: number;
}

/** What an exchange needs of its torrent. */
export interface ExchangeHost {
  /** Milliseconds on the clock that never jumps. */
  now(): number;
  /** Takes peers that were named. */
  addPeers(addresses: readonly PeerAddress[], source: "pex"): void;
  /** What we have. */
  readonly have: { readonly isFull: boolean };
}

/** The exchange of one torrent; never of a private one (BEP 27). */
export class PeerExchange implements Extension<Peer> {
  readonly name = "ut_pex";
  readonly #host: ExchangeHost;
  readonly #talks = new WeakMap<Peer, Talk>();

  /**
   * @param host The torrent.
   */
  constructor(host: ExchangeHost) {
    this.#host = host;
  }

  received(peer: Peer, payload: Bytes): void {
    const talk = this.#talkOf(peer);
    const now = this.#host.now();
    // Whoever says more than it may isn't listened to; that it costs us time is charged by its flood.
    if (now - talk.lastHeard < PEX_HEARD_GAP_MS) return;
    talk.lastHeard = now;
    const { added } = parsePex(payload);
    const useful = this.#usefulOf(added, peer).slice(0, MAX_PEX_FROM_ONE - talk.taken);
    talk.taken += useful.length;
    if (useful.length > 0) this.#host.addPeers(useful, "pex");
  }

  /**
   * Tells each peer what it doesn't know yet, when a minute has passed since it was last told.
   *
   * @param now Milliseconds.
   * @param peers Every connection.
   */
  tick(now: number, peers: Iterable<Peer>): void {
    let listed: readonly (readonly [key: string, peer: Peer])[] | null = null;
    for (const peer of peers) {
      if (!peer.extensions.speaks("ut_pex")) continue;
      const talk = this.#talkOf(peer);
      if (now - talk.lastSent < GAP_MS) continue;
      // Of somebody who connected to us only that counts where it listens: its connection comes from elsewhere.
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
   * Of an address on several ports one is enough, since such lists can be aimed at somebody; only neighbours can know
   * neighbours; and two that are complete have no use for each other.
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

/** Whether an address means the same to a peer as to us. */
function mayKnow(peer: Peer, address: PeerAddress): boolean {
  return mayName(reachOf(peer.address.host), reachOf(address.host));
}

function flagsOf(peer: Peer): number {
  const uploadOnly = peer.isSeed || peer.uploadOnly ? PexFlag.uploadOnly : 0;
  const encryption = (peer.output.encryption ?? "none") === "none" ? 0 : PexFlag.encryption;
  return encryption | uploadOnly | (peer.incoming ? 0 : PexFlag.reachable);
}
