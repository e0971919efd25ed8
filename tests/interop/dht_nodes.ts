/**
 * Runs nodes of Shoal's DHT as a program: `dht_nodes.ts JSON`, where the JSON is an {@linkcode Order}. Prints events as
 * lines of JSON.
 *
 * @module
 */

import { formatAddress, type PeerAddress } from "../../src/base/address.ts";
import { fromHex, toHex } from "../../src/base/bytes.ts";
import { InfoHash } from "../../src/base/info_hash.ts";
import { decodeMessage } from "../../src/dht/krpc_messages.ts";
import { Dht, looksLikeKrpc } from "../../src/dht/mod.ts";
import { denoPlatform } from "../../src/platform/deno_platform.ts";

/** Argument of the program. */
export interface Order {
  /** Addresses of the nodes. */
  readonly hosts: readonly string[];
  /** UDP port of every node. */
  readonly port: number;
  /** Bootstrap nodes of the first node. The other nodes bootstrap from the first. */
  readonly bootstrap: readonly PeerAddress[];
  /** Info-hash in hexadecimal that the first node looks up once it has joined. */
  readonly find?: string;
  /** Torrent that the first node announces after the lookup, and the TCP port on which it accepts connections. */
  readonly announce?: { readonly infoHash: string; readonly port: number };
}

function say(event: Readonly<Record<string, unknown>>): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${JSON.stringify(event)}\n`));
}

function startNode(host: string, port: number, bootstrap: readonly PeerAddress[]): Dht {
  const socket = denoPlatform.net.openUdp({ host, port });
  const dht = new Dht({
    platform: denoPlatform,
    families: [4],
    bootstrap,
    send: (bytes, to) => void socket.send(bytes, to),
    onWarning: (text) => say({ event: "warning", text }),
  });
  const pump = async () => {
    const buffer = new Uint8Array(2048);
    for (let got = await socket.receive(buffer); got !== null; got = await socket.receive(buffer)) {
      const bytes = buffer.subarray(0, got.length);
      if (!looksLikeKrpc(bytes)) continue;
      tell(bytes, { at: host, from: got.from });
      dht.receive(bytes, got.from);
    }
  };
  void pump();
  dht.start();
  return dht;
}

/** Prints an event for a message that a node receives. */
function tell(bytes: Uint8Array, { at, from }: { at: string; from: PeerAddress }): void {
  const message = decodeMessage(bytes);
  if (message.type === "response") return say({ event: "answer", at, from: from.host });
  if (message.type === "error") return say({ event: "refusal", at, from: from.host, text: message.text });
  const { infoHash, port = null, impliedPort = false } = message.arguments;
  const infohash = infoHash ? toHex(infoHash) : null;
  say({ event: "query", at, from: from.host, method: message.method, infohash, port, impliedPort });
}

const order: Order = JSON.parse(Deno.args[0]!);
const [first, ...others] = order.hosts;
const dht = startNode(first!, order.port, order.bootstrap);
for (const host of others) startNode(host, order.port, [{ host: first!, port: order.port }]);
await new Promise<void>((resolve) => dht.onJoined(resolve));
say({ event: "joined", nodes: dht.nodes[4] });
if (order.find) {
  const peers: string[] = [];
  const report = await dht.lookup(new InfoHash(fromHex(order.find)!), {
    onPeers: (found) => peers.push(...found.map(formatAddress)),
  });
  say({ event: "found", peers, asked: report.asked, answered: report.answered });
}
if (order.announce) {
  const listener = Deno.listen({ hostname: first!, port: order.announce.port });
  const wait = async () => {
    for await (const connection of listener) {
      say({ event: "connection", from: (connection.remoteAddr as Deno.NetAddr).hostname });
      connection.close();
    }
  };
  void wait();
  const announce = { port: order.announce.port, impliedPort: false, seed: true };
  const report = await dht.lookup(new InfoHash(fromHex(order.announce.infoHash)!), { announce, onPeers: () => {} });
  say({ event: "announced", nodes: report.announced });
}
