/**
 * Nodes of our DHT in a lab: the Internet for the clients of a test.
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

/** Nodes that make a DHT worth the name: transmission announces nothing before it knows nine. */
const CROWD = 12;
/** Seconds for anything to happen. Transmission takes its time before it first asks anybody. */
const SECONDS = 120;
const GOODS: Goods = {
  makePayload: (folder) => makeFile(folder, { name: "by hash alone.bin", size: (8 << 20) + 77, seed: 5 }),
  pieceLength: 64 * 1024,
};

/** What a program of nodes says; see `dht_nodes.ts`. */
export type NodeEvent = Readonly<Record<string, unknown>>;

/** Nodes of one program, each with an address of its own. */
export class DhtNodes {
  /** The first, as `host:port`. */
  readonly address: string;
  readonly #job: Job;

  private constructor(address: string, job: Job) {
    this.address = address;
    this.#job = job;
  }

  /**
   * Starts nodes.
   *
   * @param lab Where.
   * @param order What the first is to do, and how many there are.
   * @returns The nodes; the lab ends them.
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
   * Starts enough nodes for any client, which know each other.
   *
   * @param lab Where.
   * @returns The nodes, once they have joined.
   */
  static async crowd(lab: Lab): Promise<DhtNodes> {
    const crowd = await DhtNodes.start(lab, { count: CROWD, bootstrap: [] });
    await crowd.event("the crowd had joined", ({ event }) => event === "joined");
    return crowd;
  }

  /**
   * Waits for something to happen to one of the nodes.
   *
   * @param what What, in the message of a failure.
   * @param matches Tells it from all else.
   * @returns The event.
   */
  async event(what: string, matches: (event: NodeEvent) => boolean): Promise<NodeEvent> {
    const line = await this.#job.line((line) => matches(JSON.parse(line)), { seconds: SECONDS, what });
    return JSON.parse(line);
  }

  /**
   * Waits until a torrent is announced to one of the nodes.
   *
   * @param infoHash Of the torrent, in hex.
   * @param host Who announces it.
   */
  async announced(infoHash: string, host: string): Promise<void> {
    await this.event(`${host} announced ${infoHash}`, (it) => {
      return it.method === "announce_peer" && it.from === host && it.infohash === infoHash;
    });
  }
}

/**
 * Makes a test that takes place among the nodes of a DHT, without a tracker.
 *
 * @param body The test: its lab, the nodes, and the info-hash of the lab's torrent in hex.
 * @returns The test.
 */
export function inDht(body: (lab: Lab, crowd: DhtNodes, hex: string) => Promise<void>): () => Promise<void> {
  return () =>
    Lab.run(GOODS, async (lab) => {
      const { hex } = await readTorrent(lab.torrent);
      await body(lab, await DhtNodes.crowd(lab), hex);
    }, { meeting: "nobody" });
}
