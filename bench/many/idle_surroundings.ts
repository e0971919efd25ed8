/**
 * The surroundings of idle torrents: a tracker, and a DHT of some dozen nodes at separate addresses, all on this
 * machine. `idle.ts` starts this program with the number of nodes as its argument. It prints the tracker's announce URL
 * and the address of a node as JSON, and then the number of peers that the tracker knows whenever that changes. It runs
 * until it is stopped.
 *
 * @module
 */

import { formatAddress, type PeerAddress } from "../../src/base/address.ts";
import { Dht } from "../../src/dht/mod.ts";
import { denoPlatform as platform } from "../../src/platform/deno_platform.ts";
import { TrackerServer } from "../../src/tracker_server/server.ts";

/** First line of output. */
export interface Surroundings {
  /** Announce URL of the tracker. */
  readonly tracker: string;
  /** Address of a DHT node as `host:port`; empty without nodes. */
  readonly node: string;
}

const LOOK_MS = 500;

function startNode(index: number, bootstrap: readonly PeerAddress[]): PeerAddress {
  // Every node is in a different network, since routing tables take only a few nodes of one network.
  const socket = platform.net.openUdp({ host: `127.${1 + index}.${1 + index}.1`, port: 0 });
  const dht = new Dht({ platform, families: [4], bootstrap, send: (bytes, to) => void socket.send(bytes, to) });
  const receive = async () => {
    const buffer = new Uint8Array(4096);
    for (;;) {
      const datagram = await socket.receive(buffer);
      if (datagram === null) return;
      dht.receive(buffer.subarray(0, datagram.length), datagram.from);
    }
  };
  void receive();
  dht.start();
  return socket.address;
}

function say(line: unknown): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${JSON.stringify(line)}\n`));
}

if (import.meta.main) {
  const count = Number(Deno.args[0]);
  const tracker = TrackerServer.start(platform, { host: "127.0.0.1", port: 0, rate: 100_000 });
  const nodes: PeerAddress[] = [];
  for (let index = 0; index < count; index++) nodes.push(startNode(index, nodes.slice(0, 1)));
  const place: Surroundings = { tracker: tracker.url, node: nodes.length === 0 ? "" : formatAddress(nodes[0]!) };
  say(place);
  let known = -1;
  setInterval(() => {
    const { peers } = tracker.statistics;
    if (peers !== known) say(known = peers);
  }, LOOK_MS);
}
