/**
 * The most expensive inputs for the readers of messages: those of peers, of trackers and of the tracker's clients, and
 * our own resume state.
 *
 * @module
 */

import { formatIp } from "../../../src/base/address.ts";
import { Bitfield } from "../../../src/base/bitfield.ts";
import { type Bytes, utf8 } from "../../../src/base/bytes.ts";
import { InfoHash } from "../../../src/base/info_hash.ts";
import { MAX_EXTENDED, MAX_EXTENSION_HANDSHAKE } from "../../../src/base/defences.ts";
import { merkle } from "../../../src/base/merkle.ts";
import { decodeDict } from "../../../src/bencode/mod.ts";
import { encodeResumeState, parseResumeState } from "../../../src/storage/resume_state.ts";
import { parseAnnounceReply } from "../../../src/tracker/announce_reply.ts";
import { TrackerError } from "../../../src/tracker/errors.ts";
import { parseAnnounceQuery, parseScrapeQuery } from "../../../src/tracker_server/query.ts";
import { printable } from "../../../src/ui/printable.ts";
import { parseExtensionHandshake } from "../../../src/wire/extension.ts";
import { FrameReader, type MessageHandler } from "../../../src/wire/frame_reader.ts";
import { HASH_REQUEST_LENGTH, type Hashes, parseHashes, parseHashRequest } from "../../../src/wire/hash_messages.ts";
import { WireError } from "../../../src/wire/messages.ts";
import { Draft } from "../draft.ts";
import { attempt } from "../target.ts";
import { key, repeated, type WorstShape, wrapped } from "./shape.ts";

/** Bytes of a file in the resume state. */
const RECORD = 17;
/** The longest query that the tracker reads; longer queries are refused unread. */
const LONGEST_QUERY = 8192;
const FROM = { host: "203.0.113.5", port: 1 };

function reply(input: Bytes): void {
  attempt(TrackerError, () => parseAnnounceReply(input));
}

function extension(input: Bytes): void {
  // A message holds at most this many bytes.
  for (let at = 0; at < input.length; at += MAX_EXTENSION_HANDSHAKE) {
    attempt(WireError, () => parseExtensionHandshake(input.subarray(at, at + MAX_EXTENSION_HANDSHAKE)));
  }
}

function queries(input: Bytes): void {
  const text = new TextDecoder().decode(input);
  for (let at = 0; at < text.length; at += LONGEST_QUERY) {
    const query = text.slice(at, at + LONGEST_QUERY);
    parseScrapeQuery(query);
    parseAnnounceQuery(query, FROM);
  }
}

function resume(input: Bytes): void {
  const dict = decodeDict(input);
  const pieceCount = dict.getBytes("pieces")!.length * 8;
  parseResumeState(input, { pieceCount, fileCount: dict.getBytes("files")!.length / RECORD });
}

function hashMessages(input: Bytes, length: number): void {
  for (let at = 0; at < input.length; at += length) {
    const payload = input.subarray(at, at + length);
    if (payload.length === HASH_REQUEST_LENGTH) attempt(WireError, () => parseHashRequest(payload));
    else attempt(WireError, () => prove(parseHashes(payload)));
  }
}

function prove(message: Hashes): void {
  merkle.verify(message, { ...message, expected: message.root });
}

/** Returns messages of one length that hold or ask for a number of hashes and their uncles, one after the other. */
function hashesOf(size: number, message: { count: number; proofLayers: number; length: number }): Bytes {
  const draft = new Draft();
  const { count, proofLayers, length } = message;
  while (draft.length < size) {
    draft.raw(new Uint8Array(32).fill(1));
    for (const number of [0, 0, count, proofLayers]) draft.uint32(number);
    draft.raw(new Uint8Array(length - HASH_REQUEST_LENGTH).fill(2));
  }
  return draft.take();
}

function print(input: Bytes): void {
  printable(new TextDecoder().decode(input));
}

/** Shapes for everything that reads messages. */
export const WORST_MESSAGES: readonly WorstShape[] = [
  { name: "tracker: compact peers", make: (n) => compact(n, 6), run: reply },
  { name: "tracker: compact peers of IPv6", make: (n) => compact(n, 18), run: reply },
  { name: "tracker: the same compact peer", make: (n) => sameCompact(n), run: reply },
  {
    name: "tracker: listed peers",
    make: (n) => repeated(n, (i) => `d2:ip${ipOf(i).length}:${ipOf(i)}4:porti1ee`, ["d5:peersl", "ee"]),
    run: reply,
  },
  {
    name: "tracker: listed peers of IPv6",
    make: (n) => repeated(n, () => "d2:ip3:::14:porti1ee", ["d5:peersl", "ee"]),
    run: reply,
  },
  {
    name: "tracker: listed peers that are empty",
    make: (n) => repeated(n, () => "de", ["d5:peersl", "ee"]),
    run: reply,
  },
  {
    name: "tracker: a warning",
    make: (n) => wrapped(utf8("\n\u202e".repeat((n - 40) / 4)), ["d15:warning message", "e"]),
    run: reply,
  },
  { name: "tracker: a web page", make: (n) => repeated(n, () => "<p>Sorry</p>"), run: reply },
  { name: "tracker: different keys", make: (n) => repeated(n, (i) => `4:${key(i, 4)}0:`, ["d", "e"]), run: reply },
  { name: "tracker: lists without end", make: (n) => repeated(n, () => "d0:"), run: reply },

  { name: "frames: keep-alives, 64 KiB a read", make: (n) => new Uint8Array(n), run: (input) => frames(input, 65_536) },
  { name: "frames: keep-alives, a byte a read", make: (n) => new Uint8Array(n), run: (input) => frames(input, 1) },
  {
    name: "frames: messages of 5 bytes, 7 bytes a read",
    make: (n) => repeated(n, () => "\0\0\0\x01\x02"),
    run: (input) => frames(input, 7),
  },
  {
    name: "frames: messages of 5 bytes, 64 KiB a read",
    make: (n) => repeated(n, () => "\0\0\0\x01\x02"),
    run: (input) => frames(input, 65_536),
  },
  {
    name: "frames: longest messages, a byte a read",
    make: (n) => messages(n, MAX_EXTENDED - 2),
    run: (input) => frames(input, 1),
  },
  {
    name: "frames: longest messages, 64 KiB a read",
    make: (n) => messages(n, MAX_EXTENDED - 2),
    run: (input) => frames(input, 65_536),
  },
  {
    name: "frames: messages of 9,000 bytes, 4,095 a read",
    make: (n) => messages(n, 9000),
    run: (input) => frames(input, 4095),
  },
  { name: "frames: lengths of 4 GiB", make: (n) => new Uint8Array(n).fill(255), run: (input) => frames(input, 65_536) },

  {
    name: "extension handshake: different keys",
    make: (n) =>
      repeated(n, (i) => {
        const keys = Array.from({ length: 2000 }, (_, k) => `4:${key(i * 2000 + k, 4)}0:`);
        return `d1:md${keys.join("")}ee`.padEnd(MAX_EXTENSION_HANDSHAKE);
      }),
    run: extension,
  },
  {
    name: "extension handshake: empty lists",
    make: (n) => repeated(n, () => `d0:l${"le".repeat(8000)}ee`.padEnd(MAX_EXTENSION_HANDSHAKE)),
    run: extension,
  },

  ...([
    ["many hashes", { count: 128, proofLayers: 6, length: 48 + 32 * 128 }],
    ["many uncles", { count: 2, proofLayers: 53, length: 48 + 32 * (2 + 53) }],
    ["requests", { count: 512, proofLayers: 20, length: HASH_REQUEST_LENGTH }],
  ] as const).map(([what, message]): WorstShape => ({
    name: `hash messages: ${what}`,
    make: (n) => hashesOf(n, message),
    run: (input) => hashMessages(input, message.length),
  })),

  { name: "resume state: pieces", make: (n) => resumeState(n, "pieces"), run: resume },
  { name: "resume state: files", make: (n) => resumeState(n, "files"), run: resume },
  { name: "tracker query: escapes", make: (n) => repeated(n, () => "%41", ["info_hash=", ""]), run: queries },
  { name: "tracker query: parameters", make: (n) => repeated(n, () => "a=&"), run: queries },
  { name: "tracker query: different parameters", make: (n) => repeated(n, (i) => `${key(i, 3)}&`), run: queries },

  { name: "printable: piles of accents", make: (n) => repeated(n, () => "\u0301"), run: print },
  { name: "printable: line breaks", make: (n) => repeated(n, () => "\n"), run: print },
];

/** Receives messages and does nothing with them. */
class Sink implements MessageHandler {
  readonly closed = false;
  onKeepAlive() {}
  onSignal() {}
  onPieceSignal() {}
  onBlockSignal() {}
  onBitfield() {}
  onBlock() {}
  onPort() {}
  onExtended() {}
  onUnknown() {}
}

function frames(input: Bytes, step: number): void {
  const reader = new FrameReader(new Sink(), { pieceCount: 1 << 16 });
  attempt(WireError, () => {
    for (let at = 0; at < input.length;) {
      const { space } = reader;
      const count = Math.min(space.length, step, input.length - at);
      space.set(input.subarray(at, at + count));
      reader.received(count);
      at += count;
    }
  });
}

/** Returns long messages with short ones in between, which never let the buffer become empty. */
function messages(size: number, payload: number): Bytes {
  const draft = new Draft();
  while (draft.length < size) {
    draft.uint32(payload + 2);
    draft.byte(20);
    for (let i = 0; i <= payload; i++) draft.byte(i);
    draft.uint32(0);
  }
  return draft.take();
}

/** Returns a resume state filled with unsynced pieces, or with files. */
function resumeState(size: number, kind: "pieces" | "files"): Bytes {
  const pieceCount = kind === "pieces" ? size * 4 : 8;
  const unsynced = new Bitfield(pieceCount);
  unsynced.setAll();
  const fileCount = kind === "files" ? Math.floor(size / RECORD) : 1;
  return encodeResumeState({
    infoHash: new InfoHash(new Uint8Array(20)),
    folder: "/x",
    saved: 1,
    clean: false,
    pieces: new Bitfield(pieceCount),
    unsynced,
    files: Array.from({ length: fileCount }, () => ({ place: "part", size: 1, modified: 1 })),
  });
}

function compact(size: number, entry: 6 | 18): Bytes {
  const draft = new Draft();
  const count = Math.floor((size - 30) / entry);
  draft.ascii(`d${entry === 6 ? "5:peers" : "6:peers6"}${count * entry}:`);
  for (let i = 0; i < count; i++) {
    for (let byte = 0; byte < entry - 6; byte++) draft.byte(0);
    draft.uint32(i + 1);
    draft.uint16(1 + i % 65_535);
  }
  draft.ascii("e");
  return draft.take();
}

function sameCompact(size: number): Bytes {
  return wrapped(new Uint8Array(Math.floor((size - 30) / 6) * 6).fill(1), ["d5:peers", "e"]);
}

function ipOf(i: number): string {
  return formatIp(Uint8Array.of(10, i >> 16, i >> 8, i));
}
