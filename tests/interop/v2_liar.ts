/**
 * A seeder that flips one byte in each piece, and speaks v2 (BEP 52).
 * `v2_liar.ts TORRENT FILE HOST PORT RATE` connects to a client, and seeds a single-file torrent with RATE bytes a second.
 * Prints a line `PIECE BLOCK` for each block that it has sent.
 *
 * @module
 */

import { concatBytes, fromHex, utf8 } from "../../src/base/bytes.ts";
import { messages, Pace } from "../hostile/attack.ts";
import { dial } from "../hostile/line.ts";
import { BLOCK, block, everything, frame, handshake, ID } from "../hostile/words.ts";
import { readTorrent } from "../support/torrents.ts";

const HASH_REQUEST = 21;
const HASH_REJECT = 23;

const [torrentPath, dataPath, host, port, rate] = Deno.args as [string, string, string, string, string];
const torrent = await readTorrent(torrentPath);
const pace = new Pace(Number(rate));
using data = await Deno.open(dataPath);
const line = await dial({ host, port: Number(port) }, "0.0.0.0");
if (line === null) throw new Error(`${host}:${port} takes no connections`);
const infoHash = fromHex(torrent.onWire.at(-1)!)!;
await line.send(handshake(infoHash, { peerId: utf8("-LI0001-lieinapieces"), fast: false, v2: true }));
if (await line.readExactly(68) !== null) {
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
    if (await line.send(block(index, begin, bytes))) Deno.stdout.writeSync(utf8(`${index} ${begin / BLOCK}\n`));
  }
}

function read(at: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  data.seekSync(at, Deno.SeekMode.Start);
  for (let done = 0; done < length;) done += data.readSync(bytes.subarray(done)) ?? length;
  return bytes;
}
