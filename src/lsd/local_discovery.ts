/**
 * Local service discovery (BEP 14), which finds peers in the local network without a tracker. This file handles sockets
 * and timers; `lsd_schedule.ts` decides when to announce, `lsd_message.ts` encodes and decodes.
 *
 * @module
 */

import { parseIp, type PeerAddress } from "../base/address.ts";
import { toHex } from "../base/bytes.ts";
import { messageOf } from "../base/errors.ts";
import type { InfoHash } from "../base/info_hash.ts";
import { MAX_LSD_ADDRESSES, MAX_LSD_MESSAGE } from "../base/defences.ts";
import { networkFault } from "../platform/network_words.ts";
import type { LocalAddress, Platform, Timer, UdpSocket } from "../platform/platform.ts";
import { encodeLsdMessage, LSD_GROUPS, LSD_PORT, LsdError, type LsdMessage, parseLsdMessage } from "./lsd_message.ts";
import { LsdIntake, LsdSchedule } from "./lsd_schedule.ts";
import { isNeighbour, sendingAddresses } from "./local_networks.ts";

/** A torrent for which to find local peers. */
export interface LocalSearch {
  /** Port on which we accept connections for the torrent. */
  readonly port: number;
  /** Called with the address of a local peer. May be called again for the same address. */
  readonly onPeer: (address: PeerAddress) => void;
}

/** Options for {@linkcode LocalDiscovery}. */
export interface LocalDiscoveryOptions {
  /** Clock, timers, sockets and random numbers. */
  readonly platform: Pick<Platform, "after" | "now" | "net" | "randomBytes">;
  /** The only local address that may be used. All when absent. */
  readonly bind?: string;
  /** Called once if no network can be used for local discovery. */
  readonly onTrouble: (message: string) => void;
}

/** The multicast group of one family: the socket that receives, and the sockets that send, one per local address. */
interface Channel {
  readonly family: 4 | 6;
  readonly receiver: UdpSocket;
  readonly senders: readonly UdpSocket[];
}

/** Announces torrents and finds peers in the local network. Holds sockets only while there is at least one torrent. */
export class LocalDiscovery {
  readonly #options: LocalDiscoveryOptions;
  readonly #platform: LocalDiscoveryOptions["platform"];
  readonly #cookie: string;
  /** Searches by info-hash. Two torrents have the same one until they turn out to be the same. */
  readonly #searches = new Map<string, Set<LocalSearch>>();
  readonly #schedule = new LsdSchedule();
  readonly #intake = new LsdIntake();
  #channels: readonly Channel[] = [];
  #own: readonly LocalAddress[] = [];
  /** The local addresses for which the sockets were opened; `null` while none are open. */
  #openedFor: string | null = null;
  #timer: Timer | null = null;
  #troubled = false;
  #stopped = false;

  constructor(options: LocalDiscoveryOptions) {
    this.#options = options;
    this.#platform = options.platform;
    // The cookie is random. The peer id would work as well, but other hosts need not know our peer id.
    this.#cookie = toHex(options.platform.randomBytes(8));
  }

  /**
   * Announces a torrent, and looks for local peers of it. Must not be called for a private torrent (BEP 27). May be
   * called again with the same search.
   */
  add(infoHash: InfoHash, search: LocalSearch): void {
    if (this.#stopped) return;
    const searches = this.#searches.get(infoHash.hex) ?? new Set();
    this.#searches.set(infoHash.hex, searches.add(search));
    this.#schedule.add(infoHash, this.#platform.now());
    this.#open();
    this.#wait();
  }

  /** Ends a search. The torrent is announced while there is another one for it. */
  remove(infoHash: InfoHash, search: LocalSearch): void {
    const searches = this.#searches.get(infoHash.hex);
    searches?.delete(search);
    if (searches !== undefined && searches.size > 0) return;
    this.#searches.delete(infoHash.hex);
    this.#schedule.remove(infoHash);
    if (this.#searches.size === 0) this.#close();
    this.#wait();
  }

  /** Milliseconds until the next announce of a torrent; `null` if the torrent is not being announced. */
  nextIn(infoHash: InfoHash): number | null {
    const next = this.#schedule.nextOf(infoHash);
    return this.#channels.length === 0 || next === Infinity ? null : Math.max(0, next - this.#platform.now());
  }

  /** Stops local discovery for good. */
  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
    this.#searches.clear();
    this.#close();
  }

  #wait(): void {
    this.#timer?.cancel();
    this.#timer = null;
    if (this.#stopped || this.#schedule.next === Infinity) return;
    const delay = Math.max(0, this.#schedule.next - this.#platform.now());
    this.#timer = this.#platform.after(delay, () => {
      this.#announce();
      this.#wait();
    });
  }

  #announce(): void {
    this.#open();
    const infoHashes = this.#schedule.take(this.#platform.now());
    // The torrents of a session share a port. A message has room for one port only.
    const byPort = new Map<number, InfoHash[]>();
    for (const infoHash of infoHashes) {
      const [search] = this.#searches.get(infoHash.hex)!;
      const { port } = search!;
      byPort.set(port, [...byPort.get(port) ?? [], infoHash]);
    }
    for (const [port, those] of byPort) this.#say({ port, infoHashes: those, cookie: this.#cookie });
  }

  #say(message: LsdMessage): void {
    for (const { family, senders } of this.#channels) {
      const bytes = encodeLsdMessage(message, family);
      for (const sender of senders) sender.send(bytes, { host: LSD_GROUPS[family], port: LSD_PORT });
    }
  }

  /** Opens the sockets, again if the local addresses have changed, as when a laptop moves to another network. */
  #open(): void {
    this.#own = this.#platform.net.localAddresses?.() ?? [];
    const key = this.#own.map(({ host, prefix }) => `${host}/${prefix}`).join();
    if (key === this.#openedFor) return;
    this.#close();
    this.#openedFor = key;
    const { bind } = this.#options;
    const families = bind === undefined ? [4, 6] as const : [parseIp(bind)?.length === 4 ? 4 : 6] as const;
    const faults: string[] = [];
    this.#channels = families.flatMap((family) => {
      try {
        return [this.#openChannel(family)];
      } catch (error) {
        faults.push(messageOf(error));
        return [];
      }
    });
    if (this.#channels.length === 0) this.#trouble(faults.join("; "));
    for (const channel of this.#channels) this.#enter(channel);
  }

  #openChannel(family: 4 | 6): Channel {
    const { net } = this.#platform;
    const { bind } = this.#options;
    const receiver = net.openUdp({ host: family === 4 ? "0.0.0.0" : "::", port: LSD_PORT, shared: true });
    const known = sendingAddresses(this.#own, {
      family,
      most: MAX_LSD_ADDRESSES,
      ...(bind !== undefined && { bind }),
    });
    const hosts = known.length === 0 && bind !== undefined ? [bind] : known.map(({ host }) => host);
    // Without known local addresses, the system chooses one.
    if (hosts.length === 0) return { family, receiver, senders: [receiver] };
    const senders: UdpSocket[] = [];
    let fault: unknown;
    for (const host of hosts) {
      try {
        senders.push(net.openUdp({ host, port: 0, shared: true }));
      } catch (error) {
        fault = error;
        this.#openedFor = ""; // an address that was just assigned may not be ready yet: try again at the next announce
      }
    }
    if (senders.length > 0) return { family, receiver, senders };
    receiver.close();
    throw fault;
  }

  /** Joins the multicast group on every local address, and receives messages. */
  async #enter(channel: Channel): Promise<void> {
    const { family, receiver, senders } = channel;
    const via = senders.flatMap((sender) => sender === receiver ? [] : [sender.address.host]);
    const joined = await Promise.allSettled(
      via.length === 0
        ? [receiver.join(LSD_GROUPS[family])]
        : via.map((host) => receiver.join(LSD_GROUPS[family], host)),
    );
    if (joined.every(({ status }) => status === "rejected")) {
      if (!this.#channels.includes(channel)) return;
      this.#channels = this.#channels.filter((other) => other !== channel);
      closeChannel(channel);
      const [first] = joined as PromiseRejectedResult[];
      if (this.#channels.length === 0) this.#trouble(networkFault(first?.reason));
      return;
    }
    const into = new Uint8Array(MAX_LSD_MESSAGE);
    for (;;) {
      const datagram = await receiver.receive(into);
      if (datagram === null) return;
      this.#heard(into.subarray(0, datagram.length), datagram.from.host);
    }
  }

  #heard(bytes: Uint8Array, host: string): void {
    if (!isNeighbour(host, this.#own) || !this.#intake.hears(host, this.#platform.now())) return;
    let message: LsdMessage;
    try {
      message = parseLsdMessage(bytes);
    } catch (error) {
      if (error instanceof LsdError) return; // any host may send anything, and an answer is not expected
      throw error;
    }
    if (message.cookie === this.#cookie) return; // our own message
    for (const { hex } of message.infoHashes) {
      for (const search of this.#searches.get(hex) ?? []) search.onPeer({ host, port: message.port });
    }
  }

  #trouble(message: string): void {
    if (this.#troubled || this.#stopped) return;
    this.#troubled = true;
    this.#options.onTrouble(message);
  }

  #close(): void {
    for (const channel of this.#channels) closeChannel(channel);
    this.#channels = [];
    this.#openedFor = null;
  }
}

function closeChannel({ receiver, senders }: Channel): void {
  for (const socket of new Set([receiver, ...senders])) socket.close();
}
