/// <reference lib="deno.unstable" />

/**
 * UDP on Deno.
 *
 * @module
 */

import { canonicalHost, parseIp, type PeerAddress } from "../base/address.ts";
import type { Bytes } from "../base/bytes.ts";
import { interfaceIndex } from "./deno_interfaces.ts";
import { onFamilies } from "./listen_error.ts";
import type { UdpOptions, UdpSocket } from "./platform.ts";

/**
 * Receives that may fail one after the other before a socket is given up. A datagram that came back as undeliverable (ICMP) makes
 * one of them fail on some systems, and a burst as many as it had datagrams; a socket whose network went away fails for ever.
 */
const MAX_FAILURES = 1_000;
/** Bytes of a datagram for which there is room while it waits, see {@linkcode bothFamilies}; more than any protocol of ours has. */
const WAITING_BYTES = 64 * 1024;

type Received = { readonly length: number; readonly from: PeerAddress };

/**
 * Opens a socket for datagrams over `Deno.listenDatagram`; Node's own loses most of them under load.
 *
 * @param options As {@linkcode Network.openUdp} takes them.
 * @returns The socket.
 * @throws {ShoalError} Of kind `network` if the port is taken or may not be used.
 */
export function openUdp({ host, port, shared }: UdpOptions): UdpSocket {
  const sharing = shared ? { reuseAddress: true, loopback: true } : {};
  const open = (hostname: string, port: number) =>
    new DenoUdp(Deno.listenDatagram({ transport: "udp", hostname, port, ...sharing }));
  const socket = onFamilies(host, (hostname) => open(hostname, port), port);
  if (socket.address.host !== "::" || shared) return socket;
  try {
    // Windows, and Linux with `net.ipv6.bindv6only`, keep IPv4 out of a socket of IPv6: there the port is free in IPv4.
    return bothFamilies(socket, open("0.0.0.0", socket.address.port));
  } catch {
    return socket; // the port is taken in IPv4, too: by that same socket
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
      // No route, no room, no permission: to the one who waits for an answer it is lost, as on the way.
    }
  }

  async receive(into: Bytes): Promise<Received | null> {
    for (let failures = 0; !this.#closed && failures < MAX_FAILURES; failures++) {
      try {
        const [bytes, from] = await this.#socket.receive(into);
        return { length: bytes.length, from: addressOf(from) };
      } catch (error) {
        // An earlier datagram came back as undeliverable (ICMP), and the socket itself is well; or it is no more.
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
 * Two sockets on the same port as one, where the system has no socket that takes both families.
 *
 * @param six The one for IPv6, whose address is that of both.
 * @param four The one for IPv4.
 * @returns Both. Dead when one of them is.
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
      // Whoever was heard comes last the next time, so that neither is kept from being heard by the other.
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
