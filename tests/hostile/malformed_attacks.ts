/**
 * Attacks with messages and handshakes that break the protocol.
 *
 * @module
 */

import { type Bytes, concatBytes, utf8 } from "../../src/base/bytes.ts";
import { type Attack, type Stage } from "./attack.ts";
import type { Line } from "./line.ts";
import { BLOCK, everything, extended, frame, handshake, ID, KEEP_ALIVE, times, words } from "./words.ts";

const BOTH = ["leecher", "seeder"] as const;

/** Returns an attack that sends some bytes after the handshake, and waits until the connection is closed. */
function once(
  name: string,
  named: RegExp,
  what: (stage: Stage) => Uint8Array,
  options: { readonly fast?: boolean } = {},
): Attack {
  return {
    name,
    victims: BOTH,
    named,
    run: async (line, stage) => {
      if (!await stage.greet(line, options)) return;
      await stage.send(line, what(stage));
      await line.drain();
    },
  };
}

/**
 * Messages about a peer whose first bytes aren't a handshake of BEP 3. Such bytes may be the beginning of an encrypted
 * handshake, which takes more bytes, or time, to rule out.
 */
const NO_HANDSHAKE =
  /does not name the BitTorrent protocol|encrypted handshake is invalid|no handshake within|for the encrypted handshake/;

/** Returns an attack that sends something in place of the handshake. */
function opening(name: string, named: RegExp, what: (stage: Stage, line: Line) => Promise<unknown>): Attack {
  return {
    name,
    victims: BOTH,
    named,
    run: async (line, stage) => {
      await what(stage, line);
      await line.drain();
    },
  };
}

/** Returns an attack that sends `interested` and an invalid request. */
function request(name: string, numbers: (stage: Stage) => [number, number, number]): Attack {
  return once(
    name,
    /outside the torrent|asks for/,
    (stage) => concatBytes([frame(ID.interested), words(ID.request, ...numbers(stage))]),
  );
}

/** Attacks that Shoal must reject after one message. */
export const MALFORMED_ATTACKS: readonly Attack[] = [
  once("a block longer than any that is asked for", /piece has/, () => frame(ID.piece, new Uint8Array(9 + BLOCK))),
  once("an extension message of 1 MiB", /extended has/, () => frame(ID.extended, new Uint8Array(1 << 20))),
  once("an unknown message of more than 64 KiB", /message 99 has/, () => frame(99, new Uint8Array(1 << 16))),
  once("a choke of nine bytes", /choke has/, () => frame(ID.choke, new Uint8Array(8))),
  once("a block that claims 4 GiB", /piece has/, () => frame(ID.piece, new Uint8Array(8), 0xffffffff)),
  once("a bitfield that claims 4 GiB", /bitfield has/, () => frame(ID.bitfield, new Uint8Array(8), 0xffffffff)),
  once(
    "an extension message that claims 4 GiB",
    /extended has/,
    () => frame(ID.extended, new Uint8Array(8), 0xffffffff),
  ),
  once("an unknown message that claims 4 GiB", /message 200 has/, () => frame(200, new Uint8Array(8), 0xffffffff)),
  once(
    "a bitfield that is too short",
    /bitfield has/,
    ({ torrent }) => frame(ID.bitfield, everything(torrent.pieces).subarray(1)),
  ),
  once(
    "a bitfield that is too long",
    /bitfield has/,
    ({ torrent }) => frame(ID.bitfield, new Uint8Array(Math.ceil(torrent.pieces / 8) + 1)),
  ),
  once(
    "a bitfield with spare bits set",
    /past the last piece/,
    ({ torrent }) => frame(ID.bitfield, new Uint8Array(Math.ceil(torrent.pieces / 8)).fill(255)),
  ),
  once(
    "have-none in the middle",
    /comes too late/,
    () => concatBytes([frame(ID.interested), frame(ID.haveNone)]),
  ),
  once("have-all without the Fast extension", /without the Fast/, () => frame(ID.haveAll), { fast: false }),
  once(
    "a block outside the torrent",
    /outside the torrent/,
    ({ torrent }) => frame(ID.piece, concatBytes([number(torrent.pieces), number(0), new Uint8Array(BLOCK)])),
  ),
  request("a request of a piece that there isn't", ({ torrent }) => [torrent.pieces, 0, BLOCK]),
  request("a request past the end of a piece", ({ torrent }) => [0, torrent.pieceLength, BLOCK]),
  request("a request across the end of a piece", ({ torrent }) => [0, torrent.pieceLength - 1, BLOCK]),
  request("a request of nothing", () => [0, 0, 0]),
  request("a request of more than 128 KiB", () => [0, 0, (1 << 17) + 1]),
  request("a request that runs over 4 GiB", () => [0, 0xffffc000, 0x4000]),
  request("a request with every number at its largest", () => [0xffffffff, 0xffffffff, 0xffffffff]),
  once(
    "bencode thousands of lists deep",
    /extension handshake is broken/,
    () => extended(0, concatBytes([utf8("d1:a"), times(7_000, utf8("l")), times(7_000, utf8("e")), utf8("e")])),
  ),
  once("bencode that never ends", /extension handshake is broken/, () => extended(0, utf8("d1:v9999999999:"))),
  once(
    "an extension handshake of 1 MiB",
    /extended has/,
    () => extended(0, concatBytes([utf8("d1:m"), hugeDict(1_000_000), utf8("e")])),
  ),
  opening(
    "a handshake for another torrent",
    /torrent that is not here|another torrent/,
    (stage, line) => stage.send(line, handshake(new Uint8Array(20).fill(7), { peerId: stage.peerId() })),
  ),
  opening(
    "another protocol",
    NO_HANDSHAKE,
    (stage, line) => stage.send(line, times(10, utf8("GET / HTTP/1.1\r\n"))),
  ),
  opening("another protocol of the same length", NO_HANDSHAKE, (stage, line) =>
    stage.send(
      line,
      handshake(stage.torrent.infoHash, {
        peerId: stage.peerId(),
        protocol: concatBytes([Uint8Array.of(19), utf8("BitTorrent Protocol")]),
      }),
    )),
  opening(
    "garbage",
    NO_HANDSHAKE,
    (stage, line) => stage.send(line, crypto.getRandomValues(new Uint8Array(4096))),
  ),
  opening("garbage right after the handshake", /has \d+ bytes|names piece|outside|without/, async (stage, line) => {
    const opened = handshake(stage.torrent.infoHash, { peerId: stage.peerId() });
    await stage.send(line, concatBytes([opened, new Uint8Array(4096).fill(0xa5)]));
  }),
];

/** Attacks that repeat messages until the connection is closed. */
export const FLOOD_ATTACKS: readonly Attack[] = [
  flood("keep-alive flood", () => times(4000, KEEP_ALIVE)),
  flood("port flood", () => times(2000, frame(ID.port, new Uint8Array(2)))),
  flood("unknown messages by the thousand", () => times(2000, frame(99))),
  flood("unknown messages of 64 KiB", () => frame(99, new Uint8Array((1 << 16) - 1))),
  flood("unknown extension messages of 64 KiB", () => extended(77, new Uint8Array(1 << 16))),
  flood(
    "bitfield flood",
    ({ torrent }) => times(200, frame(ID.bitfield, new Uint8Array(Math.ceil(torrent.pieces / 8)))),
  ),
  flood("have-all flood", () => times(200, frame(ID.haveAll)), ["leecher"]),
  flood(
    "extension handshakes, 1,000 a second",
    () => times(20, extended(0, utf8("d1:md11:upload_onlyi3ee1:pi7777ee"))),
    BOTH,
    50,
  ),
  flood(
    "extension handshakes as fast as it goes",
    () => times(1000, extended(0, utf8("d1:md11:upload_onlyi3ee1:pi7777ee"))),
  ),
  flood(
    "upload-only flapping",
    () => times(1000, concatBytes([extended(3, Uint8Array.of(0)), extended(3, Uint8Array.of(0))])),
  ),
  flood(
    "interested and not, again and again",
    () => times(1000, concatBytes([frame(ID.interested), frame(ID.notInterested)])),
  ),
];

function flood(
  name: string,
  what: (stage: Stage) => Uint8Array,
  victims: Attack["victims"] = BOTH,
  perSecond?: number,
): Attack {
  return {
    name,
    victims,
    named: /brings nothing/,
    run: async (line, stage) => {
      if (!await stage.greet(line)) return;
      void line.drain();
      await stage.flood(line, what(stage), perSecond);
    },
  };
}

function number(value: number): Bytes {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value);
  return bytes;
}

/** Returns a bencoded dictionary of about `bytes` bytes with many short keys, sorted. */
function hugeDict(bytes: number): Bytes {
  const parts = ["d"];
  for (let i = 0; i * 12 < bytes; i++) parts.push(`7:${String(i).padStart(7, "0")}i1e`);
  return utf8(`${parts.join("")}e`);
}
