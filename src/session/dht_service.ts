/**
 * The session's place in the DHT: a socket, the table of the last run, and one look for each torrent.
 *
 * @module
 */

import type { HostPort, PeerAddress } from "../base/address.ts";
import type { Bytes } from "../base/bytes.ts";
import { ShoalError } from "../base/errors.ts";
import type { InfoHash } from "../base/info_hash.ts";
import { Dht, type Family, looksLikeKrpc, LookupPace, MAX_SAVED_TABLE, TorrentAnnouncer } from "../dht/mod.ts";
import type { Platform, Timer, UdpSocket } from "../platform/platform.ts";

/** Milliseconds between two saves of the table; what is lost with a crash is no more than that. */
const SAVE_MS = 10 * 60_000;
/** Bytes of the longest datagram that is read; more than the longest message, so that one that is too long shows. */
const RECEIVE_BYTES = 4096;

/** What the service needs. */
export interface DhtServiceOptions {
  /** The outside. */
  readonly platform: Platform;
  /** Where the session listens for peers; the same port is taken for datagrams, if it is free. */
  readonly listen: PeerAddress;
  /** The port that a gateway forwards to us; `null` when it is not known to do so. */
  mapped(protocol: "tcp" | "udp"): number | null;
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
  readonly #socket: UdpSocket;
  readonly #dht: Dht;
  readonly #pace: LookupPace;
  #timer: Timer | null = null;
  #stopping: Promise<void> | null = null;

  private constructor(options: DhtServiceOptions, parts: { readonly socket: UdpSocket; readonly saved: Bytes | null }) {
    const { platform, bootstrap } = options;
    const { socket, saved } = parts;
    this.#options = options;
    this.#socket = socket;
    this.#pace = new LookupPace(platform);
    this.#dht = new Dht({
      platform,
      families: familiesOf(socket.address.host),
      bootstrap,
      ...(saved && { saved }),
      send: (bytes, to) => void socket.send(bytes, to),
      onExternalAddress: (host) => options.onExternalAddress(host),
      onWarning: (text) => options.onWarning(new ShoalError("network", { what: "the DHT", why: text })),
    });
  }

  /**
   * Opens the socket, reads the table of the last run, and joins.
   *
   * @param options What it needs.
   * @returns The service, at work.
   * @throws {ShoalError} Of kind `network` if no socket can be had.
   */
  static async start(options: DhtServiceOptions): Promise<DhtService> {
    const saved = await load(options);
    const service = new DhtService(options, { socket: open(options), saved });
    service.#dht.start();
    service.#receive();
    service.#scheduleSave();
    return service;
  }

  /** The port on which it listens. */
  get port(): number {
    return this.#socket.address.port;
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
    const { port } = this.#options.listen;
    return new TorrentAnnouncer({
      platform: this.#options.platform,
      dht: this.#dht,
      pace: this.#pace,
      infoHash,
      announce: () => {
        const mapped = this.#options.mapped("tcp");
        // Behind a NAT that isn't asked the port that others see is another one, and the same for both protocols as often as not.
        return { port: mapped ?? port, impliedPort: mapped === null && port === this.port, seed: isSeed() };
      },
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
    this.#socket.close();
    await this.#save();
  }

  async #receive(): Promise<void> {
    const buffer = new Uint8Array(RECEIVE_BYTES);
    for (;;) {
      const datagram = await this.#socket.receive(buffer);
      if (!datagram) return;
      const bytes = buffer.subarray(0, datagram.length);
      if (looksLikeKrpc(bytes)) this.#dht.receive(bytes, datagram.from);
    }
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

/** The port of the session, or any when somebody else has that one. */
function open({ platform: { net }, listen }: DhtServiceOptions): UdpSocket {
  try {
    return net.openUdp(listen);
  } catch (error) {
    if (!(error instanceof ShoalError)) throw error;
    return net.openUdp({ host: listen.host, port: 0 });
  }
}

/** A socket that is bound to no address in particular takes both families. */
function familiesOf(host: string): readonly Family[] {
  if (host === "::") return [4, 6];
  return host.includes(":") ? [6] : [4];
}
