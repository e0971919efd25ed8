/**
 * Waits until an HTTP tracker returns a peer, then ends with code 0. Runs on the tracker's own host:
 * `announced.ts URL INFOHASH PEER`.
 *
 * @module
 */

import { formatAddress, parseCompactPeers } from "../../src/base/address.ts";
import { decodeDict } from "../../src/bencode/mod.ts";

const [url, infohash, wanted] = Deno.args as [string, string, string];
const query = `info_hash=${infohash.replace(/../g, "%$&")}&peer_id=-XX0000-abcdefghijkl&port=9`;
for (;;) {
  const peers = await announce(`${url}?${query}&uploaded=0&downloaded=0&left=1&compact=1&numwant=50`);
  if (peers.includes(wanted)) break;
  // A tracker doesn't notify when a peer arrives, so this has to poll.
  await new Promise((resolve) => setTimeout(resolve, 200));
}

async function announce(target: string): Promise<string[]> {
  try {
    const reply = decodeDict(await (await fetch(target)).bytes(), { maxDepth: 8, maxSize: 100_000 });
    return parseCompactPeers(reply.getBytes("peers") ?? new Uint8Array(0), 4).map(formatAddress);
  } catch (error) {
    if (error instanceof TypeError) return []; // not listening yet
    throw error;
  }
}
