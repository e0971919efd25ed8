/**
 * The exchange of handshakes on a fresh stream, either way.
 *
 * @module
 */

import type { Bytes } from "../base/bytes.ts";
import type { InfoHash } from "../base/info_hash.ts";
import { type PeerStream, writeAll } from "../transport/transport.ts";
import { encodeHandshake, type Handshake, HANDSHAKE_LENGTH, parseHandshake } from "../wire/handshake.ts";
import { WireError } from "../wire/messages.ts";

/**
 * Opens a stream that we dialled and that has said our handshake: waits for theirs.
 *
 * @param connection A fresh stream.
 * @param ours What we said.
 * @returns What the peer said, for the same torrent.
 * @throws {WireError} If it speaks another protocol, another torrent, or too little.
 */
export async function handshakeOut(connection: PeerStream, ours: Handshake): Promise<Handshake> {
  const theirs = parseHandshake(await readExactly(connection, HANDSHAKE_LENGTH));
  if (!theirs.infoHash.equals(ours.infoHash)) {
    throw new WireError(`it answers for another torrent (${theirs.infoHash.hex})`);
  }
  return theirs;
}

/**
 * Opens a stream that was dialled to us: waits for their handshake, answers when we have the torrent.
 *
 * @param connection A fresh stream.
 * @param answer Our handshake for a torrent, or `null` when we don't have it.
 * @returns What the peer said.
 * @throws {WireError} If it speaks another protocol, too little, or asks for a torrent that we don't have, or for another one
 * than the stream is for.
 */
export async function handshakeIn(
  connection: PeerStream,
  answer: (infoHash: InfoHash) => Handshake | null,
): Promise<Handshake> {
  const theirs = parseHandshake(await readExactly(connection, HANDSHAKE_LENGTH));
  const { infoHash = theirs.infoHash } = connection;
  const ours = infoHash.equals(theirs.infoHash) ? answer(infoHash) : null;
  if (!ours) throw new WireError(`it asks for a torrent that is not here (${theirs.infoHash.hex})`);
  await writeAll(connection, encodeHandshake(ours));
  return theirs;
}

async function readExactly(connection: PeerStream, length: number): Promise<Bytes> {
  const bytes = new Uint8Array(length);
  for (let at = 0; at < length;) {
    const count = await connection.read(bytes.subarray(at));
    if (count === null) throw new WireError(`it closed the connection after ${at} of ${length} bytes of the handshake`);
    at += count;
  }
  return bytes;
}
