/**
 * The session's place in the DHT: the table of the last run, and one look for each torrent, over the session's socket.
 *
 * @module
 */

import type { HostPort, PeerAddress } from "../base/address.ts";
import type { Bytes } from "../base/bytes.ts";
import { ShoalError } from "../base/errors.ts";
import type { InfoHash } from "../base/info_hash.ts";
import { Dht, type Family, LookupPace, MAX_SAVED_TABLE, TorrentAnnouncer } from "../dht/mod.ts";
import type { Platform, Timer } from "../platform/platform.ts";
import type { DatagramSocket } from "../transport/datagram_socket.ts";
import type { Reachability } from "./reachability.ts";

/** Nodes that know others, run by the makers of other clients for everybody's use. */
export const DHT_ROUTERS: readonly HostPort[] = [
  { host: "dht.libtorrent.org", port: 25401 },
  { host: "router.bittorrent.com", port: 6881 },
  { host: "dht.transmissionbt.com", port: 6881 },
  { host: "router.utorrent.com", port: 6881 },
];

/** Milliseconds between two saves of the table; what is lost with a crash is no more than that. */
const SAVE_MS = 10 * 60_000;

/** What the service needs. */
export interface DhtServiceOptions {
  /** The outside. */
  readonly platform: Platform;
  /** The session's socket for datagrams. */
  readonly socket: DatagramSocket;
  /** The port on which the session listens for peers. */
  readonly port: number;
  /** Knows at which port others reach us. */
  readonly reachability: Pick<Reachability, "isMapped" | "portFor">;
  /** Nodes to start from. */
  readonly bootstrap: readonly HostPort[];
  /** Folder in which the table is kept between runs; `null` to keep none. */
  readonly stateFolder: string | null;
  /** A node says, and others agree, what our address is. */
  onExternalAddress(host: string): void;
  /** Something does not work that the session can do without. */
  onWarning(error: ShoalError): void;
}

/** How one torrent is looked for. */
export interface DhtTorrent {
  /** Which. */
  readonly infoHash: InfoHash;
  /** Whether we have everything. */
  isSeed(): boolean;
  /** Takes peers as they are found. */
  onPeers(peers: readonly PeerAddress[]): void;
}

/** A node of the DHT that all torrents of a session share. */
export class DhtService {
  readonly #options: DhtServiceOptions;
  readonly #dht: Dht;
  readonly #pace: LookupPace;
  readonly #unregister: () => void;
  #timer: Timer | null = null;
  #stopping: Promise<void> | null = null;

  private constructor(options: DhtServiceOptions, saved: Bytes | null) {
    const { platform, bootstrap, socket } = options;
    this.#options = options;
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
   * Opens the socket, reads the table of the last run, and joins.
   *
   * @param options What it needs.
   * @returns The service, at work; `null` when there is no socket to be had. Trackers and peers that are named do without it.
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

  /** The port on which it listens. */
  get port(): number {
    return this.#options.socket.port;
  }

  /** Nodes that it knows and that answer, by family. */
  get nodes(): Readonly<Record<Family, number>> {
    return this.#dht.nodes;
  }

  /** A peer told where its node is (BEP 5, PORT message). */
  addNode(address: PeerAddress): void {
    this.#dht.addNode(address);
  }

  /** A torrent names nodes (BEP 5). */
  addHosts(nodes: readonly HostPort[]): void {
    for (const node of nodes) void this.#dht.addHost(node);
  }

  /**
   * Looks for the peers of a torrent and announces it. Never for a private one (BEP 27).
   *
   * @param torrent Which, and who wants to know.
   * @returns Who does it; has to be started, and stopped.
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
        // Behind a NAT that isn't asked the port that others see is another one, and the same for both protocols as often as not.
        impliedPort: !reachability.isMapped("tcp") && port === this.port,
        seed: isSeed(),
      }),
      onPeers,
    });
  }

  /** Leaves; keeps the table for the next run. Never rejects. */
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
