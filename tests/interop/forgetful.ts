/**
 * A seeder that loses some pieces while a peer downloads from it, and has them again when the peer has all other
 * pieces. `forgetful.ts TORRENT FILE PORT ANNOUNCE [silent]` seeds a single-file torrent on all addresses. With
 * `silent`, the seeder doesn't announce the loss (BEP 54), and rejects requests for lost pieces. The seeder uses
 * Shoal's {@linkcode Peer}, and prints its events as lines of JSON.
 *
 * @module
 */

import { Bitfield } from "../../src/base/bitfield.ts";
import { utf8 } from "../../src/base/bytes.ts";
import { ShoalError } from "../../src/base/errors.ts";
import { InfoHash } from "../../src/base/info_hash.ts";
import { encodeHandshake } from "../../src/peer/mod.ts";
import { Peer } from "../../src/peer/peer.ts";
import { parseHandshake } from "../../src/wire/handshake.ts";
import { BLOCK_SIZE } from "../../src/wire/messages.ts";
import { idleHost } from "../support/peer_host.ts";
import { readTorrent } from "../support/torrents.ts";

/** Blocks that the seeder sends before it loses pieces. */
const BLOCKS_BEFORE = 5;
/** Number of pieces that are lost. */
const LOST = 20;
/** Milliseconds for which the pieces stay lost after the peer has got all other pieces. */
const GONE_MS = 2_000;

const [torrentPath, dataPath, port, announce, manner] = Deno.args as [string, string, string, string, string?];
const torrent = await readTorrent(torrentPath);
const data = await Deno.readFile(dataPath);
const lost = new Set<number>();
const have = new Bitfield(torrent.pieces);
have.setAll();
const served = new Set<number>();
const rest = Math.ceil(data.length / BLOCK_SIZE) - LOST * torrent.pieceLength / BLOCK_SIZE;
let lostAt = 0;
let finds = false;

function tell(what: string, details: object = {}): void {
  const line = JSON.stringify({ what, milliseconds: Math.round(performance.now() - lostAt), ...details });
  Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`));
}

using listener = Deno.listen({ hostname: "0.0.0.0", port: Number(port) });
const counts = "uploaded=0&downloaded=0&left=0&compact=1&event=started&peer_id=-FG0001-forgetsthing";
const reply = await fetch(`${announce}?info_hash=${torrent.hex.replace(/../g, "%$&")}&port=${port}&${counts}`);
await reply.body?.cancel();
for await (const connection of listener) {
  try {
    await serve(connection);
  } catch (error) {
    if (!(error instanceof ShoalError)) throw error;
    tell("sent away", { why: error.message });
  }
}

async function serve(connection: Deno.Conn): Promise<void> {
  using _closing = connection;
  const hello = new Uint8Array(68);
  for (let at = 0; at < hello.length;) at += await connection.read(hello.subarray(at)) ?? hello.length;
  const theirs = parseHandshake(hello);
  const ours = {
    infoHash: new InfoHash(torrent.infoHash),
    peerId: utf8("-FG0001-forgetsthing"),
    fast: true,
    extended: true,
  };
  await connection.write(encodeHandshake(ours));
  const peer = peerFor(theirs);
  let writing = Promise.resolve();
  peer.output = {
    flush() {
      const bytes = peer.writer.take().slice();
      writing = writing.then(async () => {
        for (let sent = 0; sent < bytes.length;) sent += await connection.write(bytes.subarray(sent));
      });
    },
    close: (reason) => tell("sent away", { why: reason }),
  };
  peer.open(have, { extended: theirs.extended, version: "Forgetful", port: Number(port) });
  peer.output.flush();
  for (;;) {
    const count = await connection.read(peer.reader.space);
    if (count === null) return;
    peer.reader.received(count);
    peer.fillUploads(1 << 20);
    if (served.size >= BLOCKS_BEFORE && lostAt === 0) lose(peer);
    if (served.size === rest && !finds) setTimeout(() => find(peer), GONE_MS);
    finds ||= served.size === rest;
    peer.output.flush();
    await writing;
  }
}

function peerFor(handshake: ReturnType<typeof parseHandshake>): Peer {
  const host = idleHost({
    pieceCount: torrent.pieces,
    pieceSize: (index) => Math.min(torrent.pieceLength, data.length - index * torrent.pieceLength),
    now: () => performance.now(),
    peerInterest: (peer) => peer.unchoke(),
    canServe(index) {
      if (lost.has(index)) tell("asked", { index });
      return !lost.has(index);
    },
    readBlock({ index, begin, length }, into, at) {
      const from = index * torrent.pieceLength + begin;
      into.set(data.subarray(from, from + length), at);
      served.add(from / BLOCK_SIZE);
      return true;
    },
  });
  return new Peer(host, { address: { host: "10.0.0.1", port: 1 }, incoming: true, handshake, number: 1 });
}

/** Loses pieces of which no block was sent. */
function lose(peer: Peer): void {
  const begun = new Set(Array.from(served, (block) => Math.floor(block * BLOCK_SIZE / torrent.pieceLength)));
  for (let index = 0; index < torrent.pieces - 1 && lost.size < LOST; index++) if (!begun.has(index)) lost.add(index);
  lostAt = performance.now();
  // The seeder claims to download again, since libtorrent disconnects an upload-only peer that has no wanted piece.
  peer.announceUploadOnly(false);
  for (const index of lost) {
    if (manner === "silent") peer.uploads.drop(index);
    else peer.lost(index);
  }
  tell("lost", { speaks: peer.extensions.speaks("lt_donthave") });
}

function find(peer: Peer): void {
  tell("found");
  const found = [...lost];
  lost.clear();
  for (const index of found) peer.have(index);
  peer.output.flush();
}
