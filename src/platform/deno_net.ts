/**
 * TCP on Deno, name resolution, and access to UDP.
 *
 * @module
 */

import type { Socket } from "node:net";
import { canonicalHost, type PeerAddress } from "../base/address.ts";
import type { Bytes } from "../base/bytes.ts";
import { ShoalError } from "../base/errors.ts";
import { localAddresses } from "./deno_interfaces.ts";
import { isShortage, makeRoom } from "./descriptors.ts";
import { openUdp } from "./deno_udp.ts";
import { onFamilies } from "./listen_error.ts";
import { nodeNet } from "./node_modules.ts";
import type { Connection, Listener, Network } from "./platform.ts";

/** {@linkcode Network} over `Deno.connect`, `Deno.listen` and `Deno.listenDatagram`. */
export const denoNetwork: Network = {
  async dial(address, options) {
    try {
      const { bind } = options;
      if (bind !== undefined && !isUnspecified(bind)) return await dialFrom(bind, address, options.signal);
      // 0.0.0.0 stands for every IPv4 address of this machine, `::` for every address.
      if (bind === "0.0.0.0" && address.host.includes(":")) throw new Error("only IPv4 addresses are connected to");
      return prepared(
        await Deno.connect({ hostname: address.host, port: address.port, signal: options.signal }),
      );
    } catch (error) {
      if (isShortage(error)) makeRoom(); // a peer that we dial is worth more than an idle connection
      throw error;
    }
  },

  listen({ host, port }) {
    return onFamilies(host, (hostname) => listenTcp(hostname, port), port);
  },

  openUdp,
  localAddresses,

  async resolve(host) {
    const families = await Promise.allSettled([Deno.resolveDns(host, "A"), Deno.resolveDns(host, "AAAA")]);
    const found = families.flatMap((family) => family.status === "fulfilled" ? family.value : []);
    if (found.length === 0) throw new Error("no address is known for it");
    return found;
  },
};

/**
 * Listens on one address.
 *
 * @param hostname Local address.
 * @param port Port; 0 for any.
 * @throws {Error} What the runtime throws.
 */
export function listenTcp(hostname: string, port: number): DenoListener {
  return new DenoListener(Deno.listen({ hostname, port }));
}

/** Errors of the runtime for a connection that was lost before we could use it. */
const CONNECTION_GONE = [
  Deno.errors.ConnectionReset,
  Deno.errors.ConnectionAborted,
  Deno.errors.NotConnected,
  Deno.errors.InvalidData,
];

/** Listening socket of the runtime. */
class DenoListener implements Listener {
  /** Address that the socket listens on. */
  readonly address: PeerAddress;
  readonly #listener: Deno.TcpListener;
  #closed = false;

  constructor(listener: Deno.TcpListener) {
    this.#listener = listener;
    this.address = peerAddress(listener.addr);
  }

  /** Waits for the next connection. Returns `null` once the listener is closed. */
  async accept(): Promise<DenoConnection | null> {
    for (;;) {
      try {
        return prepared(await this.#listener.accept());
      } catch (error) {
        if (this.#closed) return null;
        // The connection was reset while it waited in the backlog. The listener still works.
        if (CONNECTION_GONE.some((kind) => error instanceof kind)) continue;
        throw error;
      }
    }
  }

  /** Stops listening. Harmless when closed. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#listener.close();
  }
}

/** Turns off Nagle's algorithm, since requests are small. Fails if the connection was reset meanwhile. */
function prepared(connection: Deno.TcpConn): DenoConnection {
  try {
    connection.setNoDelay(true);
    return new DenoConnection(connection);
  } catch (error) {
    connection.close();
    throw error;
  }
}

class DenoConnection implements Connection {
  readonly remote: PeerAddress;
  readonly local: PeerAddress;
  readonly #connection: Deno.TcpConn;
  #closed = false;

  constructor(connection: Deno.TcpConn) {
    this.#connection = connection;
    this.remote = peerAddress(connection.remoteAddr);
    this.local = peerAddress(connection.localAddr);
  }

  read(into: Bytes): Promise<number | null> {
    return this.#connection.read(into);
  }

  write(bytes: Bytes): Promise<number> {
    return this.#connection.write(bytes);
  }

  /** Shuts down the sending direction. Data can still be read. */
  closeWrite(): Promise<void> {
    return this.#connection.closeWrite();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#connection.close();
  }
}

function peerAddress(address: Deno.NetAddr): PeerAddress {
  return { host: canonicalHost(address.hostname), port: address.port };
}

const [MAJOR = 0, MINOR = 0] = Deno.version.deno.split(".").map(Number);

/** `true` if a Node socket can connect from a chosen address. Older runtimes silently connect from any address. */
export const CHOOSES_SOURCE: boolean = MAJOR > 2 || (MAJOR === 2 && MINOR >= 9);

/**
 * Connects from a local address. `Deno.connect` can't choose it, but Node's socket can on new runtimes. The address is
 * checked afterwards, because a connection must never bypass the tunnel that the user binds to.
 */
function dialFrom(bind: string, address: PeerAddress, signal: AbortSignal): Promise<Connection> {
  return new Promise((resolve, reject) => {
    const gaveUp = () => new Error("Gave up connecting");
    if (signal.aborted) return reject(gaveUp());
    const socket = nodeNet().connect({ host: address.host, port: address.port, localAddress: bind });
    const fail = (error: Error) => {
      socket.destroy();
      const isOurs = "syscall" in error && error.syscall === "bind";
      reject(isOurs ? new Error(`this machine does not have the address ${bind}`, { cause: error }) : error);
    };
    const abort = () => {
      // Old runtimes never close a socket that is destroyed while it connects, so it has to connect or fail first.
      if (CHOOSES_SOURCE || !socket.connecting) fail(gaveUp());
      else reject(gaveUp());
    };
    signal.addEventListener("abort", abort, { once: true });
    socket.once("error", fail);
    socket.once("connect", () => {
      signal.removeEventListener("abort", abort);
      socket.off("error", fail);
      if (signal.aborted) return void socket.destroy();
      if (canonicalHost(socket.localAddress ?? "") !== canonicalHost(bind)) return fail(cannotBind(bind));
      socket.setNoDelay(true);
      resolve(new NodeConnection(socket, address));
    });
  });
}

function isUnspecified(host: string): boolean {
  return host === "0.0.0.0" || host === "::";
}

function cannotBind(bind: string): ShoalError {
  return new ShoalError("network", {
    what: "cannot connect from this address",
    where: bind,
    why: "the runtime does not let us choose where connections come from",
    hint: "leave --bind out, or use Shoal on Deno 2.9 or newer",
  });
}

/** Bytes of one write to a Node socket. */
const WRITE_PART = 32 * 1024;

/** Node socket that is read on demand: data that has not been asked for stays in the kernel. */
class NodeConnection implements Connection {
  readonly remote: PeerAddress;
  readonly local: PeerAddress;
  readonly #socket: Socket;
  #left: Uint8Array | null = null;
  #ended = false;
  #error: Error | null = null;
  #wake: (() => void) | null = null;

  constructor(socket: Socket, remote: PeerAddress) {
    this.#socket = socket;
    this.remote = remote;
    this.local = { host: socket.localAddress ?? "", port: socket.localPort ?? 0 };
    const wake = () => this.#wake?.();
    socket.on("readable", wake);
    socket.on("end", () => {
      this.#ended = true;
      wake();
    });
    socket.on("error", (error) => {
      this.#error = error;
      wake();
    });
    socket.on("close", () => {
      this.#ended = true;
      wake();
    });
  }

  async read(into: Bytes): Promise<number | null> {
    for (;;) {
      this.#left ??= this.#socket.read() as Uint8Array | null;
      if (this.#left) {
        const taken = this.#left.subarray(0, into.length);
        into.set(taken);
        this.#left = taken.length < this.#left.length ? this.#left.subarray(taken.length) : null;
        return taken.length;
      }
      if (this.#error) throw this.#error;
      if (this.#ended) return null;
      await new Promise<void>((resolve) => this.#wake = resolve);
      this.#wake = null;
    }
  }

  write(bytes: Bytes): Promise<number> {
    // A Node socket reports a write only when it is complete. Small parts show the progress of a slow reader.
    const part = bytes.length > WRITE_PART ? bytes.subarray(0, WRITE_PART) : bytes;
    return new Promise((resolve, reject) => {
      this.#socket.write(part, (error) => error ? reject(error) : resolve(part.length));
    });
  }

  close(): void {
    this.#socket.destroy();
  }
}
