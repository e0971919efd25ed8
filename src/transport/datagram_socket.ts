/**
 * The session's one socket for datagrams: the DHT, UDP trackers and (later) uTP share a port, and are told apart by the first
 * bytes of what comes.
 *
 * @module
 */

import { canonicalHost, type PeerAddress } from "../base/address.ts";
import type { Bytes } from "../base/bytes.ts";
import { ShoalError } from "../base/errors.ts";
import { MAX_DATAGRAM } from "../base/defences.ts";
import type { Network, Platform, Timer, UdpSocket } from "../platform/platform.ts";

/** What is spoken in datagrams. */
export type DatagramProtocol = "dht" | "tracker" | "utp";

/**
 * Takes a datagram.
 *
 * @param bytes The datagram; good until this returns.
 * @param from Who sent it, as far as that can be believed; IPv4 in its own form.
 */
export type DatagramReceiver = (bytes: Bytes, from: PeerAddress) => void;

/** What a {@linkcode DatagramSocket} needs. */
export interface DatagramSocketOptions {
  /** Sockets and time. */
  readonly platform: Pick<Platform, "now" | "after"> & { readonly net: Pick<Network, "openUdp"> };
  /** Where it is to be bound, asked at the first opening; another port is taken when that one isn't free. */
  readonly place: () => PeerAddress;
  /** Its port is known now, or is another one than before. */
  readonly moved?: (port: number) => void;
}

/** Bytes of the header of uTP (BEP 29), and of the shortest answer of a tracker (BEP 15). */
const UTP_HEADER = 20;
const TRACKER_HEADER = 8;
/** The last of the message types of uTP, `ST_SYN`, and of the actions of a tracker, `error`. */
const LAST_UTP_TYPE = 4;
const LAST_TRACKER_ACTION = 3;
/** Milliseconds until a socket that died is opened again: the first time at once, then after this, and twice as long each time. */
const REOPEN_MS = 1_000;
const MAX_REOPEN_MS = 60_000;

/**
 * Tells what a datagram is from its first bytes. No datagram can be two of them: the first byte is `d` in the DHT, 0 from
 * trackers, and 1 in its lower half in uTP.
 *
 * @param bytes A datagram.
 * @returns The protocol whose messages begin like that, or `null` when there is none.
 *
 * @example
 * ```ts
 * protocolOf(utf8("d1:y1:qe")); // "dht"
 * ```
 */
export function protocolOf(bytes: Uint8Array): DatagramProtocol | null {
  const first = bytes[0];
  if (first === 0x64) return bytes.at(-1) === 0x65 ? "dht" : null;
  if (first === 0) {
    const isAnswer = bytes.length >= TRACKER_HEADER && bytes[1] === 0 && bytes[2] === 0;
    return isAnswer && bytes[3]! <= LAST_TRACKER_ACTION ? "tracker" : null;
  }
  const isUtp = bytes.length >= UTP_HEADER && (first! & 0x0f) === 1 && first! >> 4 <= LAST_UTP_TYPE;
  return isUtp ? "utp" : null;
}

/**
 * One UDP socket for several protocols. It is opened when somebody needs it first, and again when it dies.
 *
 * @example
 * ```ts
 * const socket = new DatagramSocket({ platform, place: () => ({ host: "::", port: 6881 }) });
 * socket.register("tracker", (bytes, from) => trackers.receive(bytes, from));
 * socket.open();
 * socket.send(bytes, { host: "192.0.2.1", port: 6969 });
 * // ... at the end
 * socket.close();
 * ```
 */
export class DatagramSocket {
  readonly #options: DatagramSocketOptions;
  readonly #receivers = new Map<DatagramProtocol, DatagramReceiver>();
  /** What comes is read into this, and is gone when the next datagram comes. */
  readonly #buffer: Bytes = new Uint8Array(MAX_DATAGRAM);
  #socket: UdpSocket | null = null;
  #openedAt = -Infinity;
  /** Times that it died soon after it was opened, or couldn't be opened again, in a row. */
  #failures = 0;
  #timer: Timer | null = null;
  /** The port that it has, or had last; `null` before. */
  #port: number | null = null;
  #closed = false;

  /** @param options What it needs; nothing is opened yet. */
  constructor(options: DatagramSocketOptions) {
    this.#options = options;
  }

  /** The port that it has, or would like to have before it is opened. */
  get port(): number {
    return this.#port ?? this.#options.place().port;
  }

  /** The local address that it has, or is to have: `::` stands for all of them. */
  get host(): string {
    return canonicalHost((this.#socket?.address ?? this.#options.place()).host);
  }

  /** The families of addresses that it sends to and receives from. */
  get families(): readonly (4 | 6)[] {
    const { host } = this;
    if (host === "::") return [4, 6];
    return host.includes(":") ? [6] : [4];
  }

  /**
   * Opens it. Harmless when it is open.
   *
   * @throws {ShoalError} Of kind `network` if the system has no socket for us, or this was closed.
   */
  open(): void {
    if (this.#socket !== null) return;
    if (this.#closed) {
      throw new ShoalError("network", { what: "cannot open UDP", why: "the session has been stopped" });
    }
    this.#timer?.cancel();
    this.#timer = null;
    this.#socket = this.#bind();
    this.#openedAt = this.#options.platform.now();
    void this.#receive(this.#socket);
    const { port } = this.#socket.address;
    if (port === this.#port) return;
    this.#port = port;
    this.#options.moved?.(port);
  }

  /**
   * Gives what comes in a protocol to somebody.
   *
   * @param protocol Which; it has one receiver at most.
   * @param receiver Who takes it.
   * @returns Ends that.
   */
  register(protocol: DatagramProtocol, receiver: DatagramReceiver): () => void {
    if (this.#receivers.has(protocol)) throw new Error(`Somebody receives "${protocol}" already`);
    this.#receivers.set(protocol, receiver);
    return () => void (this.#receivers.get(protocol) === receiver && this.#receivers.delete(protocol));
  }

  /**
   * Sends a datagram; it may be lost, and is while the socket isn't open.
   *
   * @param bytes What to send; belongs to the socket from now on.
   * @param to Where to.
   */
  send(bytes: Bytes, to: PeerAddress): void {
    void this.#socket?.send(bytes, to); // resolves even if it is lost
  }

  /** Closes it for good. Harmless when closed. */
  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
    this.#socket?.close();
    this.#socket = null;
    this.#receivers.clear();
  }

  /** The port that we had, or are to have; any other when somebody else has that one. */
  #bind(): UdpSocket {
    const { platform: { net }, place } = this.#options;
    const { host } = place();
    try {
      return net.openUdp({ host, port: this.port });
    } catch (error) {
      if (!(error instanceof ShoalError)) throw error;
      return net.openUdp({ host, port: 0 });
    }
  }

  async #receive(socket: UdpSocket): Promise<void> {
    const buffer = this.#buffer;
    for (;;) {
      const datagram = await socket.receive(buffer);
      if (datagram === null) break;
      // What was on its way to the receive when the socket was closed has nobody who waits for it.
      if (this.#socket !== socket) return;
      const bytes = buffer.subarray(0, datagram.length);
      const protocol = protocolOf(bytes);
      if (protocol !== null) this.#receivers.get(protocol)?.(bytes, datagram.from);
    }
    if (this.#socket === socket) this.#died();
  }

  /** Nobody has closed it, but it is of no more use. */
  #died(): void {
    const { platform } = this.#options;
    this.#socket = null;
    if (platform.now() - this.#openedAt > MAX_REOPEN_MS) this.#failures = 0;
    this.#openAgain();
  }

  #openAgain(): void {
    const delay = this.#failures === 0 ? 0 : Math.min(REOPEN_MS * 2 ** (this.#failures - 1), MAX_REOPEN_MS);
    this.#failures++;
    this.#timer = this.#options.platform.after(delay, () => {
      this.#timer = null;
      try {
        this.open();
      } catch (error) {
        if (!(error instanceof ShoalError)) throw error;
        this.#openAgain();
      }
    });
  }
}
