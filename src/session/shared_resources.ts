/**
 * The resources that all torrents of a session share: memory, connections, bandwidth, the transport to peers, the UDP
 * socket.
 *
 * @module
 */

import type { PeerAddress } from "../base/address.ts";
import { type Bytes, concatBytes, utf8 } from "../base/bytes.ts";
import { PLAIN_MEMORY } from "../base/data_memory.ts";
import { MemoryBudget } from "../base/memory_budget.ts";
import { VERSION } from "../base/version.ts";
import type { Platform } from "../platform/platform.ts";
import {
  BandwidthLimiter,
  checkedRate,
  ConnectionQuota,
  MetadataBudget,
  OpeningQueue,
  ReadTurns,
  type Shared,
  Ticker,
} from "../swarm/mod.ts";
import { UdpTrackers } from "../tracker/udp_trackers.ts";
import { DatagramSocket } from "../transport/datagram_socket.ts";
import { StreamEncryption } from "../transport/stream_encryption.ts";
import { tcpTransport, type Transport } from "../transport/transport.ts";
import type { SessionOptions } from "./session_options.ts";

/** Connections of one torrent. */
const DEFAULT_MAX_PEERS = 100;
/**
 * Connections of all torrents: as many as other clients allow, and half of the 1,024 descriptors that many systems
 * grant.
 */
const DEFAULT_MAX_CONNECTIONS = 500;
/** Bytes for piece buffers and the read cache of all torrents. */
const DEFAULT_CACHE = 64 * 1024 * 1024;

/** What {@linkcode SharedResources} need of their session. */
export interface ResourcesHost {
  /** Returns the address on which the session listens. */
  listenAddress(): PeerAddress;
  /** Called when the UDP socket is opened, with its port. */
  udpOpened(port: number): void;
}

/** The parts of {@linkcode Shared} that the session knows once it has been started. */
export type StartedParts =
  & Pick<Shared, "port" | "ports" | "dht" | "seenAs">
  & { readonly policy: Pick<Shared["policy"], "blocks" | "ownAddress" | "portFor"> };

/** Makes the shared resources of a session by its options, and lends them to torrents. */
export class SharedResources {
  /** 20 bytes that name this run. */
  readonly peerId: Bytes;
  /** Memory for piece buffers and read caches. */
  readonly memory: MemoryBudget;
  /** Connections of all torrents. */
  readonly connections: ConnectionQuota;
  /** Download rate limit. */
  readonly down: BandwidthLimiter;
  /** Upload rate limit. */
  readonly up: BandwidthLimiter;
  /** Encryption of connections to peers. */
  readonly encryption: StreamEncryption;
  /** Shared by the DHT and UDP trackers. The socket is opened when one of them first needs it. */
  readonly datagrams: DatagramSocket;
  /** Client for UDP trackers. */
  readonly udpTrackers: UdpTrackers;
  readonly #options: SessionOptions;
  readonly #transport: Transport;
  readonly #ticker: Ticker;
  readonly #reads: ReadTurns;
  readonly #metadataMemory = new MetadataBudget();
  #lent: Shared | null = null;

  /**
   * @param options Options of the session.
   * @param host The session.
   * @throws {RangeError} If a rate, the cache size or the number of connections is out of range.
   */
  constructor(options: SessionOptions, host: ResourcesHost) {
    const { platform, maxPeers = DEFAULT_MAX_PEERS } = options;
    this.#options = options;
    this.peerId = makePeerId(platform);
    this.#ticker = new Ticker(platform);
    this.connections = new ConnectionQuota(options.maxConnections ?? Math.max(maxPeers, DEFAULT_MAX_CONNECTIONS));
    this.#reads = new ReadTurns(() => platform.yieldToEventLoop(), () => platform.collectResults?.());
    this.down = new BandwidthLimiter(platform, checkedRate(options.maxDown ?? null));
    this.up = new BandwidthLimiter(platform, checkedRate(options.maxUp ?? null));
    const cache = options.cacheBytes ?? DEFAULT_CACHE;
    this.memory = new MemoryBudget(cache, { memory: platform.openMemory?.(cache) ?? PLAIN_MEMORY });
    const bind = options.bind === undefined ? {} : { bind: options.bind };
    this.encryption = new StreamEncryption(platform, options.encryption ?? "prefer");
    this.#transport = this.encryption.over(tcpTransport(platform.net, bind));
    this.datagrams = new DatagramSocket({
      platform,
      place: () => host.listenAddress(),
      moved: (port) => host.udpOpened(port),
    });
    const udpTrackers = this.udpTrackers = new UdpTrackers({ platform, socket: this.datagrams });
    this.datagrams.register("tracker", (datagram, from) => udpTrackers.receive(datagram, from));
  }

  /**
   * Returns what torrents borrow. The parts of the first call are kept.
   *
   * @param started Returns what is known once the session has been started.
   */
  lend(started: () => StartedParts): Shared {
    return this.#lent ??= this.#makeShared(started());
  }

  #makeShared({ policy, ...parts }: StartedParts): Shared {
    const { platform, bind, maxPeers = DEFAULT_MAX_PEERS, stateFolder = null, discovery } = this.#options;
    return {
      ...parts,
      platform,
      peerId: this.peerId,
      version: `Shoal ${VERSION}`,
      bind,
      transport: this.#transport,
      policy: { ...policy, maxPeers, quota: this.connections },
      ticker: this.#ticker,
      openings: new OpeningQueue(platform),
      budget: this.memory,
      metadataMemory: this.#metadataMemory,
      reads: this.#reads,
      stateFolder,
      pex: discovery?.pex ?? false,
    };
  }

  /** Closes the UDP socket and all that uses it, and ends the threads that work on the memory. */
  close(): void {
    this.memory.memory.close();
    this.udpTrackers.close();
    this.datagrams.close();
  }
}

/** Returns `-SH0100-` (the version in base 36) and 12 random characters (BEP 20, Azureus style). */
function makePeerId(platform: Pick<Platform, "randomBytes">): Bytes {
  const [major = "0", minor = "0", patch = "0"] = VERSION.split(".");
  const digits = [major, minor, patch].map((part) => Number(part).toString(36)).join("").toUpperCase();
  const tail = platform.randomBytes(12).map((byte) => "0123456789abcdefghijklmnopqrstuvwxyz".charCodeAt(byte % 36));
  return concatBytes([utf8(`-SH${digits}0-`), tail]);
}
