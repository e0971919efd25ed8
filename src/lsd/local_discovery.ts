/**
 * Local service discovery (BEP 14): finds peers in the local network without any tracker. The thin shell around
 * `lsd_schedule.ts` and `lsd_message.ts`.
 *
 * @module
 */

import { parseIp, type PeerAddress } from "../base/address.ts";
import { toHex } from "../base/bytes.ts";
import { messageOf } from "../base/errors.ts";
import type { InfoHash } from "../base/info_hash.ts";
import { MAX_LSD_ADDRESSES, MAX_LSD_MESSAGE } from "../base/defences.ts";
import type { LocalAddress, Platform, Timer, UdpSocket } from "../platform/platform.ts";
import { encodeLsdMessage, LSD_GROUPS, LSD_PORT, LsdError, type LsdMessage, parseLsdMessage } from "./lsd_message.ts";
import { LsdIntake, LsdSchedule } from "./lsd_schedule.ts";
import { isNeighbour, speakingAddresses } from "./local_networks.ts";

/** A torrent that is looked for. */
export interface LocalSearch {
  /** Port on which we take connections for it. */
  readonly port: number;
  /** Takes the address of a neighbour that is at work on it; may be called again for the same one. */
  readonly onPeer: (address: PeerAddress) => void;
}

/** What local discovery needs. */
export interface LocalDiscoveryOptions {
  /** The outside. */
  readonly platform: Pick<Platform, "after" | "now" | "net" | "randomBytes">;
  /** The only local address that may be used, when one was chosen. */
  readonly bind?: string;
  /** Is told, once, when there is no network in which neighbours could be found. */
  readonly onTrouble: (message: string) => void;
}

/** The group of one family: where it is heard, and from which addresses it is spoken to. */
interface Channel {
  readonly family: 4 | 6;
  readonly ear: UdpSocket;
  readonly mouths: readonly UdpSocket[];
}

/** Looks for neighbours, and lets them find us, while there is at least one torrent to look for. */
export class LocalDiscovery {
  readonly #options: LocalDiscoveryOptions;
  readonly #platform: LocalDiscoveryOptions["platform"];
  readonly #cookie: string;
  readonly #searches = new Map<string, LocalSearch & { readonly infoHash: InfoHash }>();
  readonly #schedule = new LsdSchedule();
  readonly #intake = new LsdIntake();
  #channels: readonly Channel[] = [];
  #own: readonly LocalAddress[] = [];
  /** The addresses for which the channels were opened; `null` before. */
  #openedFor: string | null = null;
  #timer: Timer | null = null;
  #troubled = false;
  #stopped = false;

  /**
   * @param options What it needs.
   */
  constructor(options: LocalDiscoveryOptions) {
    this.#options = options;
    this.#platform = options.platform;
    // Not the peer id: that tells torrents apart, which is nobody's business.
    this.#cookie = toHex(options.platform.randomBytes(8));
  }

  /**
   * Looks for neighbours that are at work on a torrent, and announces it to them. Never for a private one (BEP 27).
   *
   * @param infoHash Which.
   * @param search Where we are to be found, and who takes them.
   */
  add(infoHash: InfoHash, search: LocalSearch): void {
    if (this.#stopped) return;
    this.#searches.set(infoHash.hex, { ...search, infoHash });
    this.#schedule.add(infoHash, this.#platform.now());
    this.#open();
    this.#wait();
  }

  /** Looks no more for a torrent. */
  remove(infoHash: InfoHash): void {
    this.#searches.delete(infoHash.hex);
    this.#schedule.remove(infoHash);
    if (this.#searches.size === 0) this.#close();
    this.#wait();
  }

  /** Milliseconds until a torrent is announced next; `null` while it isn't. */
  nextIn(infoHash: InfoHash): number | null {
    const next = this.#schedule.nextOf(infoHash);
    return this.#channels.length === 0 || next === Infinity ? null : Math.max(0, next - this.#platform.now());
  }

  /** Ends it all. */
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
    // Torrents of one session share its port; a message has room for one only.
    const byPort = new Map<number, InfoHash[]>();
    for (const infoHash of infoHashes) {
      const { port } = this.#searches.get(infoHash.hex)!;
      byPort.set(port, [...byPort.get(port) ?? [], infoHash]);
    }
    for (const [port, those] of byPort) this.#say({ port, infoHashes: those, cookie: this.#cookie });
  }

  #say(message: LsdMessage): void {
    for (const { family, mouths } of this.#channels) {
      const bytes = encodeLsdMessage(message, family);
      for (const mouth of mouths) mouth.send(bytes, { host: LSD_GROUPS[family], port: LSD_PORT });
    }
  }

  /** Opens the sockets; anew when the machine has come to other addresses, as a laptop does that changes its network. */
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
    const ear = net.openUdp({ host: family === 4 ? "0.0.0.0" : "::", port: LSD_PORT, shared: true });
    const known = speakingAddresses(this.#own, {
      family,
      most: MAX_LSD_ADDRESSES,
      ...(bind !== undefined && { bind }),
    });
    const hosts = known.length === 0 && bind !== undefined ? [bind] : known.map(({ host }) => host);
    // Where the addresses aren't known, the system chooses one.
    if (hosts.length === 0) return { family, ear, mouths: [ear] };
    const mouths: UdpSocket[] = [];
    let fault: unknown;
    for (const host of hosts) {
      try {
        mouths.push(net.openUdp({ host, port: 0, shared: true }));
      } catch (error) {
        fault = error;
        this.#openedFor = ""; // an address that the machine has just got may not be ready: tried again next time
      }
    }
    if (mouths.length > 0) return { family, ear, mouths };
    ear.close();
    throw fault;
  }

  /** Joins the group in every network of the machine, and listens. */
  async #enter(channel: Channel): Promise<void> {
    const { family, ear, mouths } = channel;
    const via = mouths.flatMap((mouth) => mouth === ear ? [] : [mouth.address.host]);
    const joined = await Promise.allSettled(
      via.length === 0 ? [ear.join(LSD_GROUPS[family])] : via.map((host) => ear.join(LSD_GROUPS[family], host)),
    );
    if (joined.every(({ status }) => status === "rejected")) {
      if (!this.#channels.includes(channel)) return;
      this.#channels = this.#channels.filter((other) => other !== channel);
      closeChannel(channel);
      const [first] = joined as PromiseRejectedResult[];
      if (this.#channels.length === 0) this.#trouble(messageOf(first?.reason));
      return;
    }
    const into = new Uint8Array(MAX_LSD_MESSAGE);
    for (;;) {
      const datagram = await ear.receive(into);
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
      if (error instanceof LsdError) return; // anybody may send anything, and there is nobody to tell
      throw error;
    }
    if (message.cookie === this.#cookie) return; // our own
    for (const { hex } of message.infoHashes) this.#searches.get(hex)?.onPeer({ host, port: message.port });
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

function closeChannel({ ear, mouths }: Channel): void {
  for (const socket of new Set([ear, ...mouths])) socket.close();
}
