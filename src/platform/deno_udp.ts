/// <reference lib="deno.unstable" />

/**
 * UDP sockets on Deno.
 *
 * @module
 */

import { canonicalHost, parseIp, type PeerAddress } from "../base/address.ts";
import type { Bytes } from "../base/bytes.ts";
import { interfaceIndex } from "./deno_interfaces.ts";
import { onFamilies } from "./listen_error.ts";
import type { UdpOptions, UdpSocket } from "./platform.ts";

/**
 * Failed receives in a row after which a socket is given up. On some systems a datagram that came back as undeliverable
 * (ICMP) makes a receive fail, and a burst of datagrams makes as many fail. A socket whose network went away fails
 * every time.
 */
const MAX_FAILURES = 1_000;
/** Buffer for a datagram in {@linkcode bothFamilies}, in bytes. None of our protocols has larger datagrams. */
const WAITING_BYTES = 64 * 1024;

type Received = { readonly length: number; readonly from: PeerAddress };

/**
 * Opens a UDP socket with `Deno.listenDatagram`. Node's UDP socket loses most datagrams under load.
 *
 * @param options See {@linkcode UdpOptions}.
 * @throws {ShoalError} Of kind `network` if the port is taken or not permitted.
 */
export function openUdp({ host, port, shared }: UdpOptions): UdpSocket {
  const sharing = shared ? { reuseAddress: true, loopback: true } : {};
  const open = (hostname: string, port: number) =>
    new DenoUdp(Deno.listenDatagram({ transport: "udp", hostname, port, ...sharing }));
  const socket = onFamilies(host, (hostname) => open(hostname, port), port);
  if (socket.address.host !== "::" || shared) return socket;
  try {
    // Windows, and Linux with `net.ipv6.bindv6only`, have no dual-stack sockets. There the port is free in IPv4.
    return bothFamilies(socket, open("0.0.0.0", socket.address.port));
  } catch {
    return socket; // the socket is dual-stack, so it holds the port in IPv4 too
  }
}

class DenoUdp implements UdpSocket {
  readonly address: PeerAddress;
  readonly #socket: Deno.DatagramConn;
  #closed = false;

  constructor(socket: Deno.DatagramConn) {
    this.#socket = socket;
    this.address = addressOf(socket.addr);
  }

  async send(bytes: Bytes, to: PeerAddress): Promise<void> {
    try {
      await this.#socket.send(bytes, { transport: "udp", hostname: to.host, port: to.port });
    } catch {
      // No route, no buffer space or no permission: the datagram counts as lost on the way.
    }
  }

  async receive(into: Bytes): Promise<Received | null> {
    for (let failures = 0; !this.#closed && failures < MAX_FAILURES; failures++) {
      try {
        const [bytes, from] = await this.#socket.receive(into);
        return { length: bytes.length, from: addressOf(from) };
      } catch (error) {
        // Either an earlier datagram came back as undeliverable (ICMP), and the socket still works, or the socket is
        // closed.
        if (error instanceof Deno.errors.BadResource) break;
      }
    }
    this.close();
    return null;
  }

  async join(group: string, local?: string): Promise<void> {
    if (parseIp(group)?.length === 4) await this.#socket.joinMulticastV4(group, local ?? "0.0.0.0");
    else await this.#socket.joinMulticastV6(group, local === undefined ? 0 : interfaceIndex(local));
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#socket.close();
  }
}

/**
 * Combines two sockets on the same port into one, where the system has no dual-stack sockets.
 *
 * @param six IPv6 socket, whose address the result has.
 * @param four IPv4 socket.
 * @returns The combined socket. It is closed as soon as one of the two is.
 */
export function bothFamilies(six: UdpSocket, four: UdpSocket): UdpSocket {
  const ears = [six, four].map((socket) => ({ socket, buffer: new Uint8Array(WAITING_BYTES) }));
  type Heard = { readonly ear: typeof ears[number]; readonly received: Received | null };
  const listen = (ear: typeof ears[number]): Promise<Heard> =>
    ear.socket.receive(ear.buffer).then((received) => ({ ear, received }));
  const pending = new Map<typeof ears[number], Promise<Heard>>();
  const close = () => ears.forEach(({ socket }) => socket.close());
  return {
    address: six.address,
    send: (bytes, to) => (to.host.includes(":") ? six : four).send(bytes, to),
    async receive(into) {
      for (const ear of ears) if (!pending.has(ear)) pending.set(ear, listen(ear));
      const { ear, received } = await Promise.race(pending.values());
      pending.delete(ear);
      // The map keeps the order of insertion, so the socket that was just received from is last in the next race.
      if (received === null) {
        close();
        return null;
      }
      const bytes = ear.buffer.subarray(0, Math.min(received.length, into.length));
      into.set(bytes);
      return { length: bytes.length, from: received.from };
    },
    join: (group, local) => (group.includes(":") ? six : four).join(group, local),
    close,
  };
}

function addressOf(address: Deno.Addr): PeerAddress {
  const { hostname, port } = address as Deno.NetAddr;
  return { host: canonicalHost(hostname), port };
}
