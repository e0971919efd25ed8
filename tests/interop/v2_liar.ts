/**
 * A seeder that flips one byte in each piece, and speaks v2 (BEP 52) with those who do.
 * `v2_liar.ts TORRENT FILE PORT ANNOUNCE RATE` seeds a single-file torrent on all addresses, with RATE bytes a second. Prints a line `PIECE BLOCK` for
 * each block that it has sent, and `over ADDRESS` when a connection has ended.
 *
 * @module
 */

import { concatBytes, fromHex, utf8 } from "../../src/base/bytes.ts";
import { type Line, listen } from "../hostile/line.ts";
import { BLOCK, block, everything, frame, handshake, ID } from "../hostile/words.ts";
import { messages, Pace } from "../hostile/attack.ts";
import { readTorrent } from "../support/torrents.ts";

const PEER_ID = utf8("-LI0001-lieinapieces");
const HASH_REQUEST = 21;
const HASH_REJECT = 23;

const [torrentPath, dataPath, port, announce, rate] = Deno.args as [string, string, string, string, string];
const pace = new Pace(Number(rate));
const torrent = await readTorrent(torrentPath);
const data = await Deno.open(dataPath);
const say = (line: string) => void Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`));

await listen("0.0.0.0", (line) => void serve(line), { port: Number(port) });
const id = new TextDecoder().decode(PEER_ID);
for (const hex of torrent.onWire) {
  const counts = `uploaded=0&downloaded=0&left=0&compact=1&event=started&peer_id=${id}&port=${port}`;
  const reply = await fetch(`${announce}?info_hash=${hex.replace(/../g, "%$&")}&${counts}`);
  await reply.body?.cancel();
}

async function serve(line: Line): Promise<void> {
  const theirs = await line.readExactly(68);
  if (theirs === null) return;
  // A hybrid is upgraded to v2 if the peer knows it.
  const isV2 = (theirs[27]! & 0x10) !== 0;
  const infoHash = fromHex(isV2 ? torrent.onWire.at(-1)! : torrent.hex)!;
  await line.send(handshake(infoHash, { peerId: PEER_ID, fast: false, v2: torrent.version !== "v1" }));
  await line.send(concatBytes([frame(ID.bitfield, everything(torrent.pieces)), frame(ID.unchoke)]));
  for await (const { id, view } of messages(line)) {
    if (id === HASH_REQUEST) {
      await line.send(
        frame(HASH_REJECT, new Uint8Array(view.buffer, view.byteOffset + 1, view.byteLength - 1).slice()),
      );
    }
    if (id !== ID.request) continue;
    const [index, begin, length] = [view.getUint32(1), view.getUint32(5), view.getUint32(9)];
    const bytes = read(index * torrent.pieceLength + begin, length);
    // The byte is in another block of each piece.
    const wrong = index * 7919 % (torrent.pieceLength / BLOCK);
    if (begin === wrong * BLOCK) bytes[index % length]! ^= 1;
    await pace.take(length);
    if (await line.send(block(index, begin, bytes))) say(`${index} ${begin / BLOCK}`);
  }
  say(`over ${line.from}`);
}

function read(at: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  data.seekSync(at, Deno.SeekMode.Start);
  for (let done = 0; done < length;) done += data.readSync(bytes.subarray(done)) ?? length;
  return bytes;
}
