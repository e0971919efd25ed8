/**
 * Exchanges handshakes on a new connection, outgoing or incoming (BEP 3).
 *
 * @module
 */

import type { Bytes } from "../base/bytes.ts";
import type { InfoHash } from "../base/info_hash.ts";
import { type PeerStream, writeAll } from "../transport/transport.ts";
import { encodeHandshake, type Handshake, HANDSHAKE_LENGTH, parseHandshake } from "../wire/handshake.ts";
import { WireError } from "../wire/messages.ts";

/**
 * Reads the peer's handshake on an outgoing connection. Our handshake has been sent already.
 *
 * @param connection A new connection.
 * @param ours Our handshake.
 * @param upgrade The truncated v2 info-hash of a hybrid torrent, with which a peer may answer if our handshake offers v2
 * (BEP 52, "upgrade path"); `null` for none.
 * @returns The peer's handshake, for the same torrent. Its info-hash is the one under which both ends are connected.
 * @throws {WireError} If the peer speaks another protocol, names another torrent, or closes the connection.
 */
export async function handshakeOut(
  connection: PeerStream,
  ours: Handshake,
  upgrade: InfoHash | null = null,
): Promise<Handshake> {
  const theirs = parseHandshake(await readExactly(connection, HANDSHAKE_LENGTH));
  const isUpgrade = ours.v2 === true && upgrade?.equals(theirs.infoHash) === true;
  if (!theirs.infoHash.equals(ours.infoHash) && !isUpgrade) {
    throw new WireError(`it answers for another torrent (${theirs.infoHash.hex})`);
  }
  return theirs;
}

/**
 * Reads the peer's handshake on an incoming connection and answers it if we have the torrent.
 *
 * @param connection A new connection.
 * @param answer Returns our handshake for a torrent, or `null` if we don't have the torrent. It is told the peer's
 * handshake, and may answer under the v2 info-hash of the same torrent.
 * @returns The peer's handshake, with the info-hash of our answer, under which both ends are connected.
 * @throws {WireError} If the peer speaks another protocol, closes the connection, names a torrent that we don't have,
 * or names another torrent than {@linkcode PeerStream.infoHash}.
 */
export async function handshakeIn(
  connection: PeerStream,
  answer: (theirs: Handshake) => Handshake | null,
): Promise<Handshake> {
  const theirs = parseHandshake(await readExactly(connection, HANDSHAKE_LENGTH));
  const { infoHash = theirs.infoHash } = connection;
  const ours = infoHash.equals(theirs.infoHash) ? answer(theirs) : null;
  if (!ours) throw new WireError(`it asks for a torrent that is not here (${theirs.infoHash.hex})`);
  await writeAll(connection, encodeHandshake(ours));
  return { ...theirs, infoHash: ours.infoHash };
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
