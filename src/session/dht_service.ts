/**
 * Runs the session's DHT node on the session's UDP socket: keeps the routing table between runs, and makes an announcer
 * for each torrent.
 *
 * @module
 */

import type { AddressFamily, HostPort, PeerAddress } from "../base/address.ts";
import type { Bytes } from "../base/bytes.ts";
import { ShoalError } from "../base/errors.ts";
import type { InfoHash } from "../base/info_hash.ts";
import { Dht, LookupPace, MAX_SAVED_TABLE, TorrentAnnouncer } from "../dht/mod.ts";
import type { Platform, Timer } from "../platform/platform.ts";
import type { DatagramSocket } from "../transport/datagram_socket.ts";
import type { Reachability } from "./reachability.ts";

/** Public bootstrap routers, run by the makers of other clients. */
export const DHT_ROUTERS: readonly HostPort[] = [
  { host: "dht.libtorrent.org", port: 25401 },
  { host: "router.bittorrent.com", port: 6881 },
  { host: "dht.transmissionbt.com", port: 6881 },
  { host: "router.utorrent.com", port: 6881 },
];

/** Milliseconds between saves of the routing table: the most that a crash loses. */
const SAVE_MS = 10 * 60_000;

/** Milliseconds for which a count of nodes is used again. */
const COUNT_MS = 1000;

/** Options for {@linkcode DhtService.start}. */
export interface DhtServiceOptions {
  /** System services. */
  readonly platform: Platform;
  /** The session's UDP socket. */
  readonly socket: DatagramSocket;
  /** TCP port on which the session listens for peers. */
  readonly port: number;
  /** Gives the external port under which peers reach us. */
  readonly reachability: Pick<Reachability, "isMapped" | "portFor">;
  /** Bootstrap nodes. */
  readonly bootstrap: readonly HostPort[];
  /** Folder in which the routing table is kept between runs; `null` to keep none. */
  readonly stateFolder: string | null;
  /** Called with our external address when enough nodes agree on it (BEP 42). */
  onExternalAddress(host: string): void;
  /** Called with problems that don't stop the session. */
  onWarning(error: ShoalError): void;
}

/** A torrent that is announced in the DHT. */
export interface DhtTorrent {
  /** Info-hash of the torrent. */
  readonly infoHash: InfoHash;
  /** Returns `true` if we have the whole torrent. */
  isSeed(): boolean;
  /** Called with peers as lookups find them. */
  onPeers(peers: readonly PeerAddress[]): void;
}

/** The DHT node that all torrents of a session share. */
export class DhtService {
  readonly #options: DhtServiceOptions;
  readonly #dht: Dht;
  readonly #pace: LookupPace;
  readonly #unregister: () => void;
  readonly #startedAt: number;
  /** Number of nodes at some time: counting takes time for each of them, and thousands of torrents may ask. */
  #counted = { at: -Infinity, nodes: 0 };
  #timer: Timer | null = null;
  #stopping: Promise<void> | null = null;

  private constructor(options: DhtServiceOptions, saved: Bytes | null) {
    const { platform, bootstrap, socket } = options;
    this.#options = options;
    this.#startedAt = platform.now();
    this.#pace = new LookupPace(platform);
    this.#dht = new Dht({
      platform,
      families: socket.families,
      bootstrap,
      ...(saved && { saved }),
      send: (bytes, to) => socket.send(bytes, to),
      onExternalAddress: (host) => options.onExternalAddress(host),
      onWarning: (text) => options.onWarning(new ShoalError("network", { what: "the DHT", why: text })),
    });
    this.#unregister = socket.register("dht", (bytes, from) => this.#dht.receive(bytes, from));
  }

  /**
   * Opens the socket, loads the routing table of the last run, and joins the DHT.
   *
   * @param options See {@linkcode DhtServiceOptions}.
   * @returns The running service, or `null` if the socket can't be opened: the session works without the DHT.
   */
  static async start(options: DhtServiceOptions): Promise<DhtService | null> {
    try {
      options.socket.open();
    } catch (error) {
      if (!(error instanceof ShoalError)) throw error;
      options.onWarning(error);
      return null;
    }
    const service = new DhtService(options, await load(options));
    service.#dht.start();
    service.#scheduleSave();
    return service;
  }

  /** The UDP port of the node. */
  get port(): number {
    return this.#options.socket.port;
  }

  /** Number of responsive nodes in the routing table, by address family. */
  get nodes(): Readonly<Record<AddressFamily, number>> {
    return this.#dht.nodes;
  }

  /** Number of responsive nodes of both families, at most a second ago, and seconds since the node was started. */
  get health(): { readonly nodes: number; readonly secondsSinceStart: number } {
    const now = this.#options.platform.now();
    if (now - this.#counted.at >= COUNT_MS) {
      const { 4: v4, 6: v6 } = this.nodes;
      this.#counted = { at: now, nodes: v4 + v6 };
    }
    return { nodes: this.#counted.nodes, secondsSinceStart: (now - this.#startedAt) / 1000 };
  }

  /** Adds the DHT node of a peer (BEP 5, PORT message). */
  addNode(address: PeerAddress): void {
    this.#dht.addNode(address);
  }

  /** Adds the nodes that a torrent lists (BEP 5). */
  addHosts(nodes: readonly HostPort[]): void {
    for (const node of nodes) void this.#dht.addHost(node);
  }

  /**
   * Makes the announcer of a torrent. Must not be called for a private torrent (BEP 27).
   *
   * @returns An announcer that the caller starts and stops.
   */
  announcer({ infoHash, isSeed, onPeers }: DhtTorrent): TorrentAnnouncer {
    const { platform, reachability, port } = this.#options;
    return new TorrentAnnouncer({
      platform,
      dht: this.#dht,
      pace: this.#pace,
      infoHash,
      announce: () => ({
        port: ({ host }) => reachability.portFor("tcp", host),
        // Behind a NAT without a port mapping our external port is a different one, and often the same for TCP and UDP.
        // So nodes are told to take the source port of the datagram (BEP 5, `implied_port`).
        impliedPort: !reachability.isMapped("tcp") && port === this.port,
        seed: isSeed(),
      }),
      onPeers,
    });
  }

  /** Leaves the DHT and saves the routing table. Never rejects. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  async #stop(): Promise<void> {
    this.#timer?.cancel();
    this.#dht.stop();
    this.#unregister();
    await this.#save();
  }

  #scheduleSave(): void {
    this.#timer = this.#options.platform.after(SAVE_MS, () => {
      this.#scheduleSave();
      void this.#save();
    });
  }

  async #save(): Promise<void> {
    const { platform: { files }, stateFolder, onWarning } = this.#options;
    if (stateFolder === null) return;
    try {
      await files.makeFolder(stateFolder, { secret: true });
      await files.writeFile(pathOf(stateFolder), this.#dht.save(), { secret: true });
    } catch (error) {
      if (!(error instanceof ShoalError)) throw error;
      onWarning(error);
    }
  }
}

function pathOf(stateFolder: string): string {
  return `${stateFolder}/dht`;
}

async function load({ platform: { files }, stateFolder, onWarning }: DhtServiceOptions): Promise<Bytes | null> {
  if (stateFolder === null) return null;
  try {
    const path = pathOf(stateFolder);
    return await files.stat(path) === null ? null : await files.readFile(path, MAX_SAVED_TABLE, { secret: true });
  } catch (error) {
    if (!(error instanceof ShoalError)) throw error;
    onWarning(error);
    return null;
  }
}
