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
 * Opens a socket for datagrams over `Deno.listenDatagram`; Node's own loses most of them under load.
 *
 * @param options As {@linkcode Network.openUdp} takes them.
 * @returns The socket.
 * @throws {ShoalError} Of kind `network` if the port is taken or may not be used.
 */
export function openUdp({ host, port, shared }: UdpOptions): UdpSocket {
  const sharing = shared ? { reuseAddress: true, loopback: true } : {};
  const open = (hostname: string) => new DenoUdp(Deno.listenDatagram({ transport: "udp", hostname, port, ...sharing }));
  return onFamilies(host, open, port);
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

  async receive(into: Bytes): Promise<{ readonly length: number; readonly from: PeerAddress } | null> {
    while (!this.#closed) {
      try {
        const [bytes, from] = await this.#socket.receive(into);
        return { length: bytes.length, from: addressOf(from) };
      } catch {
        // An earlier datagram came back as undeliverable (ICMP); the socket itself is well, unless we have closed it.
      }
    }
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

function addressOf(address: Deno.Addr): PeerAddress {
  const { hostname, port } = address as Deno.NetAddr;
  return { host: canonicalHost(hostname), port };
}
