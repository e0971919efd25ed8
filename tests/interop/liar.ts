/**
 * A seeder that follows BEP 3, but fills one of every fifty blocks with random bytes.
 * `liar.ts TORRENT FILE PORT ANNOUNCE` seeds a single-file torrent on all addresses.
 *
 * @module
 */

import { type Bytes, concatBytes, utf8 } from "../../src/base/bytes.ts";
import { readTorrent, type TorrentFacts } from "../support/torrents.ts";

const ONE_OF = 50;
const PROTOCOL = concatBytes([Uint8Array.of(19), utf8("BitTorrent protocol")]);
const PEER_ID = utf8("-LI0001-tellsyoulies");
const UNCHOKE = 1;
const INTERESTED = 2;
const BITFIELD = 5;
const REQUEST = 6;
const PIECE = 7;

const [torrentPath, dataPath, port, announce] = Deno.args as [string, string, string, string];
const torrent = await readTorrent(torrentPath);
using data = await Deno.open(dataPath);
let served = 0;

using listener = Deno.listen({ hostname: "0.0.0.0", port: Number(port) });
await announceSelf();
for await (const connection of listener) {
  serve(connection).catch((error) => {
    // A peer that bans this seeder closes the connection.
    if (!(error instanceof Deno.errors.ConnectionReset) && !(error instanceof Deno.errors.BrokenPipe)) throw error;
  });
}

async function announceSelf(): Promise<void> {
  const hash = torrent.hex.replace(/../g, "%$&");
  const counts = `uploaded=0&downloaded=0&left=0&compact=1&event=started`;
  const id = new TextDecoder().decode(PEER_ID);
  const reply = await fetch(`${announce}?info_hash=${hash}&peer_id=${id}&port=${port}&${counts}`);
  await reply.body?.cancel();
}

async function serve(connection: Deno.Conn): Promise<void> {
  using _closing = connection;
  const reader = connection.readable.getReader({ mode: "byob" });
  const handshake = await readExactly(reader, 68);
  if (handshake === null) return;
  await send(connection, concatBytes([PROTOCOL, new Uint8Array(8), torrent.infoHash, PEER_ID]));
  await send(connection, frame(BITFIELD, fullBitfield(torrent)));
  for (;;) {
    const prefix = await readExactly(reader, 4);
    if (prefix === null) return;
    const length = viewOf(prefix).getUint32(0);
    if (length === 0) continue;
    const message = await readExactly(reader, length);
    if (message === null) return;
    if (message[0] === INTERESTED) await send(connection, frame(UNCHOKE));
    if (message[0] === REQUEST) await send(connection, await answer(viewOf(message)));
  }
}

/** Returns the piece message for a request, with random bytes in one of every fifty blocks. */
async function answer(request: DataView): Promise<Bytes> {
  const index = request.getUint32(1);
  const begin = request.getUint32(5);
  const block = new Uint8Array(request.getUint32(9));
  await data.seek(index * torrent.pieceLength + begin, Deno.SeekMode.Start);
  for (let filled = 0; filled < block.length;) {
    const n = await data.read(block.subarray(filled));
    if (n === null) throw new Error(`asked for a block past the end: piece ${index}, byte ${begin}`);
    filled += n;
  }
  if (served++ % ONE_OF === 0) crypto.getRandomValues(block);
  const head = new Uint8Array(8);
  viewOf(head).setUint32(0, index);
  viewOf(head).setUint32(4, begin);
  return frame(PIECE, concatBytes([head, block]));
}

function fullBitfield({ pieces }: TorrentFacts): Bytes {
  const field = new Uint8Array(Math.ceil(pieces / 8)).fill(255);
  if (pieces % 8 !== 0) field[field.length - 1] = 256 - (1 << (8 - pieces % 8));
  return field;
}

function frame(id: number, body: Uint8Array = new Uint8Array()): Bytes {
  const head = new Uint8Array(5);
  viewOf(head).setUint32(0, body.length + 1);
  head[4] = id;
  return concatBytes([head, body]);
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

async function readExactly(reader: ReadableStreamBYOBReader, length: number): Promise<Uint8Array | null> {
  const { value } = await reader.read(new Uint8Array(length), { min: length });
  return value !== undefined && value.length === length ? value : null;
}

async function send(connection: Deno.Conn, bytes: Bytes): Promise<void> {
  for (let sent = 0; sent < bytes.length;) sent += await connection.write(bytes.subarray(sent));
}
