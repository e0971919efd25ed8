/**
 * Fuzzes messages of peers.
 *
 * @module
 */

import { type Bytes, concatBytes, equalBytes } from "../../../src/base/bytes.ts";
import { MAX_EXTENDED, MAX_HASHES, MAX_METADATA, MAX_UNCLES, MAX_UNKNOWN } from "../../../src/base/defences.ts";
import { clientName } from "../../../src/peer/client_name.ts";
import { encodeDontHave, parseDontHave } from "../../../src/wire/dont_have.ts";
import {
  encodeExtensionHandshake,
  type ExtensionHandshake,
  parseExtensionHandshake,
} from "../../../src/wire/extension.ts";
import { merkle, rootLayer } from "../../../src/base/merkle.ts";
import { FrameReader } from "../../../src/wire/frame_reader.ts";
import {
  encodeHashes,
  encodeHashRequest,
  faultOfRequest,
  HASH_REQUEST_LENGTH,
  type Hashes,
  type HashRequest,
  parseHashes,
  parseHashRequest,
} from "../../../src/wire/hash_messages.ts";
import { encodeHandshake, parseHandshake } from "../../../src/wire/handshake.ts";
import { BLOCK_SIZE, FIXED_LENGTH, MessageId, WireError } from "../../../src/wire/messages.ts";
import { parseMetadataMessage } from "../../../src/wire/metadata.ts";
import { Recorder } from "../../support/wire.ts";
import { Dice } from "../dice.ts";
import type { Draft } from "../draft.ts";
import { anyBytes, anyInteger, anyShape, BENCODE_TOKENS, disturb, Pairs, writeShape } from "../shapes/bencode.ts";
import { attempt, hold, type Target } from "../target.ts";

const FRAME_TOKENS = [
  ...["\0\0\0\0", "\0\0\0\x01", "\0\0\0\x05\x04", "\0\0\0\x0d\x06", "\0\0\0\x03\x09", "\0\0\0\x02\x14"],
  ...["\0\0\x40\x09\x07", "\0\0\0\x09\x07", "\xff\xff\xff\xff"],
];
const PIECE_COUNTS = [1, 20, 4000];
const IDS = Object.values(MessageId);
const INDEXES = [0, 1, 19, 20, 4000, 0x7fffffff, 0x80000000, 0xffffffff];
const BEGINS = [0, 1, 16_384, 0xffffc000, 0xffffffff];
const LENGTHS = [0, 1, 16_383, 16_384, 16_385, 131_072, 0xffffffff];

/** A reader that splits a stream into messages. */
export type Reader = new (
  ...parameters: ConstructorParameters<typeof FrameReader>
) => Pick<FrameReader, "space" | "received">;

/**
 * Makes a target for a reader of frames. The reader has to give the messages of the protocol, however the stream is
 * cut.
 */
export function framesTargetOf(Reader: Reader): Target {
  return {
    name: "frames",
    weight: 4,
    tokens: FRAME_TOKENS,
    generate(dice, draft) {
      for (let left = 1 + dice.below(6); left > 0; left--) writeFrame(dice, draft);
    },
    run(input) {
      const pieceCount = PIECE_COUNTS[input.length % 3]!;
      const expected = referenceFrames(input, pieceCount);
      const cuts = new Dice().start(input.length, input[4] ?? 0, input[input.length - 1] ?? 0);
      const options = { Reader, pieceCount };
      const whole = readFrames(input, { ...options, cut: () => input.length });
      const split = readFrames(input, { ...options, cut: () => 1 + cuts.below(cuts.oneIn(3) ? 4 : 40) });
      checkFrames(whole, expected, "read whole");
      checkFrames(split, expected, "cut");
      const wanted = cuts.below(expected.log.length + 1);
      const early = readFrames(input, { ...options, cut: () => 1 + cuts.below(40), closeAfter: wanted });
      checkFrames(early, { log: expected.log.slice(0, wanted), error: null }, "closed early");
      return whole.error;
    },
  };
}

/** Target for `FrameReader`. */
export const framesTarget = framesTargetOf(FrameReader);

/** Records the contents of extension messages, too. */
class ContentRecorder extends Recorder {
  override onExtended(id: number, payload: Bytes): void {
    let sum = 0;
    for (const byte of payload) sum = (sum * 31 + byte) >>> 0;
    this.log.push(`extended ${id} ${payload.length} ${sum}`);
  }
}

/** Messages of a stream, and the error that ended it. */
interface Frames {
  readonly log: readonly string[];
  readonly error: WireError | null;
}

interface ReadOptions {
  readonly Reader: Reader;
  readonly pieceCount: number;
  /** Returns the bytes of the next read. */
  readonly cut: () => number;
  /** Number of messages after which the handler closes the connection. */
  readonly closeAfter?: number;
}

function checkFrames(found: Frames, expected: Frames, how: string): void {
  const { log, error } = found;
  hold(
    log.length === expected.log.length && log.every((line, i) => line === expected.log[i]),
    () => `${how}, the stream gives [${log.join("; ")}], not [${expected.log.join("; ")}]`,
  );
  hold((error === null) === (expected.error === null), () => `${how}, the stream ends with ${error}`);
}

function readFrames(stream: Bytes, { Reader, pieceCount, cut, closeAfter = Infinity }: ReadOptions): Frames {
  const recorder = new ContentRecorder();
  Object.defineProperty(recorder, "closed", { get: () => recorder.log.length >= closeAfter });
  const reader = new Reader(recorder, { pieceCount });
  const error = attempt(WireError, () => {
    for (let at = 0; at < stream.length && !recorder.closed;) {
      const { space } = reader;
      hold(space.length > 0, "there is no room for a read");
      hold(space.length <= Math.max(4096, 4 * at), () => `room for ${space.length} bytes after ${at} came`);
      const count = Math.min(space.length, cut(), stream.length - at);
      space.set(stream.subarray(at, at + count));
      reader.received(count);
      at += count;
    }
  });
  return { log: recorder.log, error: error ?? null };
}

/** Returns the messages of a stream, read by a second, plain implementation. */
function referenceFrames(stream: Bytes, pieceCount: number): Frames {
  const recorder = new ContentRecorder();
  const view = new DataView(stream.buffer, stream.byteOffset, stream.length);
  let at = 0;
  while (stream.length - at >= 4) {
    const length = view.getUint32(at);
    const id = stream[at + 4];
    if (length > 0 && id === undefined) break;
    if (length > 0 && !isLengthAllowed(id!, { length, pieceCount })) {
      return { log: recorder.log, error: new WireError("x") };
    }
    if (stream.length - at - 4 < length) break;
    tell(recorder, stream.slice(at + 4, at + 4 + length));
    at += 4 + length;
  }
  return { log: recorder.log, error: null };
}

function isLengthAllowed(id: number, { length, pieceCount }: { length: number; pieceCount: number }): boolean {
  const fixed = FIXED_LENGTH.get(id);
  if (fixed !== undefined) return length === fixed;
  if (id === MessageId.bitfield) return length === 1 + Math.ceil(pieceCount / 8);
  if (id === MessageId.piece) return length >= 9 && length <= 9 + BLOCK_SIZE;
  if (id === MessageId.extended) return length >= 2 && length <= MAX_EXTENDED;
  if (id === MessageId.hashes) return length >= 49 && length <= 49 + 32 * (MAX_HASHES + MAX_UNCLES);
  return length <= MAX_UNKNOWN;
}

function tell(recorder: Recorder, frame: Bytes): void {
  const view = new DataView(frame.buffer);
  const id = frame[0];
  if (id === undefined) return recorder.onKeepAlive();
  const fixed = FIXED_LENGTH.get(id);
  if (fixed === 1) return recorder.onSignal(id);
  if (fixed === 5) return recorder.onPieceSignal(id, view.getUint32(1));
  if (fixed === 13) return recorder.onBlockSignal(id, view.getUint32(1), view.getUint32(5), view.getUint32(9));
  if (id === MessageId.port) return recorder.onPort(view.getUint16(1));
  if (id === MessageId.bitfield) return recorder.onBitfield(frame.subarray(1));
  if (id === MessageId.piece) return recorder.onBlock(view.getUint32(1), view.getUint32(5), frame, 9, frame.length - 9);
  if (id === MessageId.extended) return recorder.onExtended(frame[1]!, frame.subarray(2));
  if (id >= MessageId.hashRequest && id <= MessageId.hashReject) return recorder.onHashMessage(id, frame.subarray(1));
  recorder.onUnknown(id);
}

function writeFrame(dice: Dice, draft: Draft): void {
  const id = dice.oneIn(30) ? dice.below(256) : dice.pick(IDS);
  const fixed = FIXED_LENGTH.get(id);
  if (dice.oneIn(12)) return draft.uint32(0);
  if (fixed !== undefined) {
    draft.uint32(fixed);
    draft.byte(id);
    if (fixed >= 5) draft.uint32(dice.pick(INDEXES));
    if (fixed >= 13) draft.uint32(dice.pick(BEGINS));
    if (fixed >= 13) draft.uint32(dice.pick(LENGTHS));
    if (fixed === 3) draft.uint16(dice.next());
    if (fixed > 13) draft.raw(dice.bytes(fixed - 13));
    return;
  }
  const payload = dice.bytes(payloadLength(dice, id));
  draft.uint32(1 + payload.length);
  draft.byte(id);
  draft.raw(payload);
}

function payloadLength(dice: Dice, id: number): number {
  if (id === MessageId.bitfield) return Math.ceil(dice.pick(PIECE_COUNTS.slice(0, 2)) / 8);
  if (id === MessageId.hashes) return 48 + 32 * dice.below(4);
  if (id === MessageId.piece) return 8 + (dice.oneIn(400) ? dice.pick([16_383, 16_384, 16_385]) : dice.below(20));
  return 1 + (dice.oneIn(400) ? dice.below(70_000) : dice.below(24));
}

/** Target for `parseHandshake()`, and for `clientName()` of the peer id in it. */
export const handshakeTarget: Target = {
  name: "handshake",
  weight: 4,
  tokens: ["\x13BitTorrent protocol", "-SH0100-", "-7T1zZ9-", "M7-10-5--", "A2-1-37-0-", "\0\0\0\0\0\x10\0\x04"],
  generate(dice, draft) {
    draft.ascii("\x13BitTorrent protocol");
    draft.raw(dice.oneIn(2) ? Uint8Array.of(0, 0, 0, 0, 0, 0x10, 0, 4) : dice.bytes(8));
    draft.raw(dice.bytes(20));
    const id = dice.pick(["-SH0100-", "-TR300Z-", "-qB\0\0\0\0-", "M7-10-5--", "A2-1-37-0-", "-XX\xff000-", ""]);
    draft.ascii(id);
    draft.raw(dice.bytes(20 - id.length));
  },
  run(input) {
    clientName(input.subarray(48));
    const handshake = attempt(WireError, () => parseHandshake(input));
    if (handshake instanceof WireError) return handshake;
    hold(handshake.peerId.length === 20 && handshake.peerId.buffer !== input.buffer, "the peer id is a view");
    hold(/^[ -~]*$/.test(clientName(handshake.peerId)), "a client's name holds control characters");
    const encoded = encodeHandshake(handshake);
    hold(equalBytes(encoded.subarray(28), input.subarray(28)), "a handshake came out as another");
    const again = parseHandshake(encoded);
    hold(again.fast === handshake.fast && again.extended === handshake.extended, "the extensions got lost");
    return null;
  },
};

/** Target for `parseExtensionHandshake()`. */
export const extensionTarget: Target = {
  name: "extension-handshake",
  weight: 3,
  tokens: [
    ...BENCODE_TOKENS,
    "1:md",
    "11:upload_onlyi3e",
    "1:v",
    "1:pi6881e",
    "4:reqqi512e",
    "6:yourip4:",
    "6:ut_pexi1e",
  ],
  generate(dice, draft) {
    const m = new Pairs({ upload_only: anyInteger(dice), ut_metadata: dice.oneIn(2) ? 2 : anyShape(dice, 2) });
    const handshake = new Pairs({
      m: dice.oneIn(20) ? anyShape(dice, 3) : m,
      p: dice.oneIn(3) ? 6881 : anyInteger(dice),
      reqq: dice.oneIn(3) ? 512 : anyInteger(dice),
      upload_only: dice.oneIn(2) ? anyInteger(dice) : undefined,
      v: anyBytes(dice),
    });
    disturb(handshake, dice, 40);
    writeShape(draft, handshake);
    if (dice.oneIn(10)) draft.raw(dice.bytes(dice.below(9)));
  },
  run(input) {
    const handshake = attempt(WireError, () => parseExtensionHandshake(input));
    if (handshake instanceof WireError) return handshake;
    checkExtensions(handshake);
    const again = parseExtensionHandshake(encodeExtensionHandshake(handshake, { remoteHost: "::1" }));
    for (const key of ["requestQueue", "port", "metadataSize"] as const) {
      hold(again[key] === handshake[key], `${key} got lost`);
    }
    hold((again.uploadOnly ?? false) === (handshake.uploadOnly ?? false), "upload-only got lost");
    return null;
  },
};

function checkExtensions({ version, requestQueue, port, ids, metadataSize }: ExtensionHandshake): void {
  hold(version === undefined || version.length <= 64, "a client's name is too long");
  hold(requestQueue === undefined || (Number.isSafeInteger(requestQueue) && requestQueue > 0), "reqq is no count");
  hold(port === undefined || (port > 0 && port < 65_536), "a port that can't be");
  hold(Object.values(ids ?? {}).every((id) => id >= 0 && id < 256), "a message id that can't be");
  hold(metadataSize === undefined || (metadataSize > 0 && metadataSize <= MAX_METADATA), "a size that can't be");
}

/** Target for `parseMetadataMessage()`. */
export const metadataTarget: Target = {
  name: "metadata-message",
  weight: 2,
  tokens: [...BENCODE_TOKENS, "8:msg_typei1e", "5:piecei0e", "10:total_sizei16384e"],
  generate(dice, draft) {
    const message = new Pairs({
      msg_type: dice.oneIn(10) ? anyInteger(dice) : dice.below(4),
      piece: dice.oneIn(3) ? anyInteger(dice) : dice.below(3),
      total_size: dice.oneIn(2) ? anyInteger(dice) : undefined,
    });
    disturb(message, dice, 20);
    writeShape(draft, message);
    draft.raw(dice.bytes(dice.below(40)));
  },
  run(input) {
    const message = attempt(WireError, () => parseMetadataMessage(input));
    if (message instanceof WireError) return message;
    if (message.type === "unknown") return null;
    hold(Number.isSafeInteger(message.part) && message.part >= 0, "a part that can't be");
    if (message.type === "data") hold(message.data.length < input.length, "more data than came");
    return null;
  },
};

/** What reads messages with hashes, and judges requests for them. */
export interface HashMessages {
  readonly parseHashRequest: typeof parseHashRequest;
  readonly parseHashes: typeof parseHashes;
  readonly faultOfRequest: typeof faultOfRequest;
}

/** The functions of the engine. */
export const HASH_MESSAGES: HashMessages = { parseHashRequest, parseHashes, faultOfRequest };

/** Makes a target for readers of messages with hashes. */
export function hashMessageTargetOf(readers: HashMessages): Target {
  return {
    name: "hash-message",
    weight: 2,
    tokens: ["\0\0\0\0", "\0\0\0\x02", "\0\0\x02\0", "\x80\0\0\0", "\xff\xff\xff\xff"],
    generate(dice, draft) {
      const count = dice.oneIn(20) ? dice.next() >>> 0 : 2 ** dice.below(5);
      const proofLayers = dice.oneIn(20) ? dice.pick(INDEXES) : dice.below(6);
      draft.raw(dice.bytes(32));
      draft.uint32(dice.oneIn(20) ? dice.pick(INDEXES) : dice.below(4));
      draft.uint32(dice.oneIn(20) ? dice.pick(INDEXES) : dice.below(4) * count);
      draft.uint32(count);
      draft.uint32(proofLayers);
      if (dice.oneIn(3)) return;
      const steps = Math.max(0, proofLayers - Math.max(0, Math.round(Math.log2(count)) - 1));
      draft.raw(dice.bytes(32 * Math.min(80, count + steps) + (dice.oneIn(20) ? 1 : 0)));
    },
    run(input) {
      const isRequest = input.length === HASH_REQUEST_LENGTH;
      const message = attempt(WireError, (): HashRequest & Partial<Hashes> => {
        return isRequest ? readers.parseHashRequest(input) : readers.parseHashes(input);
      });
      if (message instanceof WireError) return message;
      const { hashes, uncles, layer, index, count, proofLayers } = message;
      hold([layer, index, count, proofLayers].every((number) => number >= 0), "a number that can't be");
      const proof = hashes && uncles && concatBytes([hashes, uncles]);
      const encoded = proof ? encodeHashes(message, proof) : encodeHashRequest(message);
      hold(equalBytes(encoded, input), "the message came out as another");
      for (const length of [1, 16_384, 16_385, 10_000_000, 2 ** 50]) {
        if (readers.faultOfRequest(message, length) !== null) continue;
        hold((index + count) * 2 ** layer <= 2 * Math.ceil(length / 16_384), "a range that is not in the file");
        hold(layer + proofLayers < rootLayer(length), "a proof that goes on above the root");
      }
      if (!hashes || !uncles) return null;
      hold(hashes.length === 32 * message.count, "a range of another length");
      hold(!merkle.verify(message, { hashes, uncles, expected: message.root }), "made-up hashes prove themselves");
      return null;
    },
  };
}

/** Target for `parseHashRequest()`, `parseHashes()` and `faultOfRequest()`. */
export const hashMessageTarget: Target = hashMessageTargetOf(HASH_MESSAGES);

/** Target for `parseDontHave()`. */
export const dontHaveTarget: Target = {
  name: "dont-have",
  weight: 1,
  tokens: ["\0\0\x01\x2b", "\0\0\x01\x2c"],
  generate(dice, draft) {
    draft.raw(dice.oneIn(3) ? dice.bytes(dice.below(9)) : Uint8Array.of(0, 0, dice.below(2), dice.below(256)));
  },
  run(input) {
    const index = attempt(WireError, () => parseDontHave(input, 300));
    if (index instanceof WireError) return index;
    hold(index >= 0 && index < 300, "a piece that the torrent hasn't");
    hold(equalBytes(encodeDontHave(index), input), "the piece came out as another");
    return null;
  },
};
