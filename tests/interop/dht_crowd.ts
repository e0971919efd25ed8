/**
 * Nodes of Shoal's DHT in a lab. They stand in for the Internet's DHT in tests with other clients.
 *
 * @module
 */

import { type Job, must } from "../support/job.ts";
import { makeFile } from "../support/payload.ts";
import { readTorrent } from "../support/torrents.ts";
import { PORT } from "./clients.ts";
import type { Order } from "./dht_nodes.ts";
import { type Goods, Lab } from "./lab.ts";
import { TEST_FLAGS } from "../support/from_source.ts";

/** Nodes in the DHT. Transmission doesn't announce before it knows nine nodes. */
const NODE_COUNT = 12;
/** Seconds that an event may take. Transmission waits a while before its first lookup. */
const SECONDS = 120;
const GOODS: Goods = {
  makePayload: (folder) => makeFile(folder, { name: "by hash alone.bin", size: (8 << 20) + 77, seed: 5 }),
  pieceLength: 64 * 1024,
};

/** An event that `dht_nodes.ts` prints. */
export type NodeEvent = Readonly<Record<string, unknown>>;

/** DHT nodes that run in one process, each with its own address. */
export class DhtNodes {
  /** Address of the first node, as `host:port`. */
  readonly address: string;
  readonly #job: Job;

  private constructor(address: string, job: Job) {
    this.address = address;
    this.#job = job;
  }

  /**
   * Starts nodes. The lab stops them.
   *
   * @param lab Lab that the nodes run in.
   * @param order Number of nodes, and what the first node does. See {@linkcode Order}.
   */
  static async start(
    lab: Lab,
    order: Omit<Order, "hosts" | "port"> & { readonly count: number },
  ): Promise<DhtNodes> {
    const { count, ...rest } = order;
    const host = await lab.addHost();
    const hosts = Array.from({ length: count }, (_, i) => i === 0 ? host.address : `10.99.0.${100 + i}`);
    for (const more of hosts.slice(1)) await must(...host.command(["ip", "addr", "add", `${more}/24`, "dev", "eth0"]));
    const script = decodeURI(new URL("dht_nodes.ts", import.meta.url).pathname);
    const text = JSON.stringify({ hosts, port: PORT, ...rest } satisfies Order);
    const argv = [Deno.execPath(), "run", "-A", ...TEST_FLAGS, script, text];
    const { job } = await lab.program(`${count} nodes of ours`, argv, { host });
    return new DhtNodes(`${host.address}:${PORT}`, job);
  }

  /**
   * Starts a DHT with enough nodes for every client, and waits until the nodes have joined.
   *
   * @param lab Lab that the nodes run in.
   */
  static async crowd(lab: Lab): Promise<DhtNodes> {
    const nodes = await DhtNodes.start(lab, { count: NODE_COUNT, bootstrap: [] });
    await nodes.event("the nodes had joined", ({ event }) => event === "joined");
    return nodes;
  }

  /**
   * Waits for an event of one of the nodes.
   *
   * @param what Description of the event for the error message of a timeout.
   * @param matches Returns `true` for the event.
   */
  async event(what: string, matches: (event: NodeEvent) => boolean): Promise<NodeEvent> {
    const line = await this.#job.line((line) => matches(JSON.parse(line)), { seconds: SECONDS, what });
    return JSON.parse(line);
  }

  /**
   * Waits until a torrent is announced to one of the nodes.
   *
   * @param infoHash Info-hash of the torrent in hexadecimal.
   * @param host Address of the client that announces the torrent.
   */
  async announced(infoHash: string, host: string): Promise<void> {
    await this.event(`${host} announced ${infoHash}`, (it) => {
      return it.method === "announce_peer" && it.from === host && it.infohash === infoHash;
    });
  }
}

/**
 * Returns a test function that runs in a lab with a DHT and without a tracker.
 *
 * @param body The test. It gets the lab, the DHT nodes, and the info-hash of the lab's torrent in hexadecimal.
 */
export function inDht(body: (lab: Lab, nodes: DhtNodes, hex: string) => Promise<void>): () => Promise<void> {
  return () =>
    Lab.run(GOODS, async (lab) => {
      const { hex } = await readTorrent(lab.torrent);
      await body(lab, await DhtNodes.crowd(lab), hex);
    }, { meeting: "nobody" });
}
