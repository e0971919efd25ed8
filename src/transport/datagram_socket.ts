/**
 * The UDP socket of a session. The DHT, UDP trackers and (later) uTP share its port, and are told apart by the first
 * bytes of a datagram.
 *
 * @module
 */

import { canonicalHost, type PeerAddress } from "../base/address.ts";
import type { Bytes } from "../base/bytes.ts";
import { ShoalError } from "../base/errors.ts";
import { MAX_DATAGRAM } from "../base/defences.ts";
import type { Network, Platform, Timer, UdpSocket } from "../platform/platform.ts";

/** Protocols that share the socket. */
export type DatagramProtocol = "dht" | "tracker" | "utp";

/**
 * Handles a datagram.
 *
 * @param bytes The datagram, valid only until the receiver returns.
 * @param from Sender, which may be spoofed. An IPv4 address is not written as a mapped IPv6 address.
 */
export type DatagramReceiver = (bytes: Bytes, from: PeerAddress) => void;

/** Options for {@linkcode DatagramSocket}. */
export interface DatagramSocketOptions {
  /** Sockets and timers. */
  readonly platform: Pick<Platform, "now" | "after"> & { readonly net: Pick<Network, "openUdp"> };
  /** Returns the address to bind, before the first bind. If the port is taken, the system chooses another port. */
  readonly place: () => PeerAddress;
  /** Called when the port becomes known, and when it changes. */
  readonly moved?: (port: number) => void;
}

/** Length of a uTP header (BEP 29) and of the shortest answer of a UDP tracker (BEP 15) in bytes. */
const UTP_HEADER = 20;
const TRACKER_HEADER = 8;
/** Last message type of uTP, `ST_SYN`, and last action of a UDP tracker, `error`. */
const LAST_UTP_TYPE = 4;
const LAST_TRACKER_ACTION = 3;
/**
 * Delay before a socket is opened again in milliseconds. The first attempt is immediate; then the delay doubles each
 * time.
 */
const REOPEN_MS = 1_000;
const MAX_REOPEN_MS = 60_000;

/**
 * Identifies the protocol of a datagram by its first bytes. The protocols never overlap: the first byte is `d` in the
 * DHT, 0 from trackers, and has 1 in its lower half in uTP.
 *
 * @returns The protocol, or `null` if unknown.
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
 * One UDP socket for several protocols. If the system closes the socket, it is opened again.
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
  /** Receive buffer, overwritten by the next datagram. */
  readonly #buffer: Bytes = new Uint8Array(MAX_DATAGRAM);
  #socket: UdpSocket | null = null;
  #openedAt = -Infinity;
  /** Number of consecutive times that the socket failed soon after it was opened, or could not be opened again. */
  #failures = 0;
  #timer: Timer | null = null;
  /** Current or last port; `null` before the first bind. */
  #port: number | null = null;
  #closed = false;

  /** @param options See {@linkcode DatagramSocketOptions}. The socket is opened by {@linkcode open}. */
  constructor(options: DatagramSocketOptions) {
    this.#options = options;
  }

  /** Current port, or the requested port before the socket is open. */
  get port(): number {
    return this.#port ?? this.#options.place().port;
  }

  /** Local address, bound or requested. `::` stands for all addresses. */
  get host(): string {
    return canonicalHost((this.#socket?.address ?? this.#options.place()).host);
  }

  /** Address families that the socket sends to and receives from. */
  get families(): readonly (4 | 6)[] {
    const { host } = this;
    if (host === "::") return [4, 6];
    return host.includes(":") ? [6] : [4];
  }

  /**
   * Opens the socket. Does nothing if it is open.
   *
   * @throws {ShoalError} Of kind `network`, if the socket can't be opened or was closed by {@linkcode close}.
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
   * Registers the receiver of a protocol.
   *
   * @param protocol Protocol without a receiver.
   * @param receiver Called with each datagram of the protocol.
   * @returns Function that removes the receiver.
   * @throws {Error} If the protocol has a receiver already.
   */
  register(protocol: DatagramProtocol, receiver: DatagramReceiver): () => void {
    if (this.#receivers.has(protocol)) throw new Error(`"${protocol}" has a receiver already`);
    this.#receivers.set(protocol, receiver);
    return () => void (this.#receivers.get(protocol) === receiver && this.#receivers.delete(protocol));
  }

  /**
   * Sends a datagram. Datagrams may be lost, and are dropped while the socket is not open.
   *
   * @param bytes The datagram. The caller must not use it afterwards.
   */
  send(bytes: Bytes, to: PeerAddress): void {
    void this.#socket?.send(bytes, to); // resolves even if the datagram is lost
  }

  /** Closes the socket for good. Does nothing if it is closed. */
  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
    this.#socket?.close();
    this.#socket = null;
    this.#receivers.clear();
  }

  /** Binds the last or requested port, or a port that the system chooses if that port is taken. */
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
      // A datagram that was already on its way when the socket was closed has no receiver any more.
      if (this.#socket !== socket) return;
      const bytes = buffer.subarray(0, datagram.length);
      const protocol = protocolOf(bytes);
      if (protocol !== null) this.#receivers.get(protocol)?.(bytes, datagram.from);
    }
    if (this.#socket === socket) this.#died();
  }

  /** Called when the system has closed the socket. */
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
