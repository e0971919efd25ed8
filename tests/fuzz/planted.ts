/**
 * Decoders with faults that decoders have had, to show that fuzzing finds them.
 *
 * @module
 */

import { type Bytes, concatBytes } from "../../src/base/bytes.ts";
import { type BencodeValue, decode, encode } from "../../src/bencode/mod.ts";
import { parseMetainfo } from "../../src/metainfo/mod.ts";
import { parseResumeState } from "../../src/storage/resume_state.ts";
import type { FrameReader, MessageHandler } from "../../src/wire/frame_reader.ts";
import { parseHashes, parseHashRequest } from "../../src/wire/hash_messages.ts";
import type { Target } from "./target.ts";
import { bencodeTargetOf } from "./targets/bencode.ts";
import { resumeTargetOf } from "./targets/local.ts";
import { fileTreeTargetOf, metainfoTargetOf } from "./targets/metainfo.ts";
import { framesTargetOf, HASH_MESSAGES, type HashMessages, hashMessageTargetOf } from "./targets/wire.ts";

/** A decoder and its fault. */
export interface Planted {
  /** What is wrong with it. */
  readonly fault: string;
  readonly target: Target;
}

/** Believes that a length fits. */
function decodeUnchecked(input: Uint8Array): BencodeValue {
  const text = String.fromCharCode(...input.subarray(0, 8));
  const length = /^(\d{1,5}):/.exec(text);
  if (length === null) return decode(input);
  return new Uint8Array(input).subarray(length[0].length, length[0].length + Number(length[1]));
}

/** Goes into itself for each list, as deep as an input says. */
function decodeRecursively(input: Uint8Array): BencodeValue {
  const close = (at: number): number => input[at] === 0x6c ? close(at + 1) : at;
  if (close(0) > 100) throw new RangeError("Maximum call stack size exceeded");
  return decode(input);
}

/** Makes numbers of integers that no number can hold. */
function decodeInexactly(input: Uint8Array, options = {}): BencodeValue {
  const value = decode(input, options);
  return typeof value === "bigint" ? Number(value) : value;
}

/** Takes it that a read brings whole frames. */
class WholeFrames implements Pick<FrameReader, "space" | "received"> {
  readonly #handler: MessageHandler;
  readonly #buffer: Bytes = new Uint8Array(4096);

  constructor(handler: MessageHandler) {
    this.#handler = handler;
  }

  get space(): Bytes {
    return this.#buffer;
  }

  received(count: number): void {
    const view = new DataView(this.#buffer.buffer, 0, count);
    for (let at = 0; at + 4 <= count && !this.#handler.closed; at += 4 + view.getUint32(at)) {
      if (view.getUint32(at) === 0) this.#handler.onKeepAlive();
      else this.#handler.onSignal(view.getUint8(at + 4));
    }
  }
}

/** Writes where a torrent says. */
function parseTrustingly(...[bytes, options]: Parameters<typeof parseMetainfo>): ReturnType<typeof parseMetainfo> {
  const meta = parseMetainfo(bytes, options);
  const files = meta.files.map((file) => ({ ...file, path: file.path.map((name) => name === "_" ? ".." : name) }));
  return { ...meta, files };
}

/** Lets its own bookkeeping show when a key is missing. */
function parseCarelessly(...[bytes, options]: Parameters<typeof parseMetainfo>): ReturnType<typeof parseMetainfo> {
  const meta = parseMetainfo(bytes, options);
  if (meta.files.some((file) => file.executable && file.length === 0)) throw new TypeError("x is undefined");
  return meta;
}

/** Believes that a piece can be safe and not safe. */
function parseBoth(...[bytes, shape]: Parameters<typeof parseResumeState>): ReturnType<typeof parseResumeState> {
  const state = parseResumeState(bytes, shape);
  return { ...state, unsynced: state.pieces };
}

/** Takes piece layers as they come. */
function parseUnproven(...[bytes, options]: Parameters<typeof parseMetainfo>): ReturnType<typeof parseMetainfo> {
  const meta = parseMetainfo(bytes, options);
  const files = meta.files.map((file) => file.layer ? { ...file, layer: file.layer.map((byte) => byte ^ 1) } : file);
  return { ...meta, files };
}

/** Places the files of a tree one after the other, without what lies between them. */
function parseUnaligned(...[bytes, options]: Parameters<typeof parseMetainfo>): ReturnType<typeof parseMetainfo> {
  const meta = parseMetainfo(bytes, options);
  if (meta.version !== "v2") return meta;
  let offset = 0;
  const files = meta.files.filter(({ pad }) => !pad).map((file) => ({
    ...file,
    offset: (offset += file.length) - file.length,
  }));
  return { ...meta, files, totalLength: offset, pieceCount: Math.ceil(offset / meta.pieceLength) };
}

/** Gives the file of a hybrid the root of another. */
function parseShifted(...[bytes, options]: Parameters<typeof parseMetainfo>): ReturnType<typeof parseMetainfo> {
  const meta = parseMetainfo(bytes, options);
  if (meta.version !== "hybrid") return meta;
  return { ...meta, files: meta.files.map((file, i) => i % 2 === 1 ? { ...file, root: new Uint8Array(32) } : file) };
}

/** Reads a number of 32 bits with a sign. */
const signed: HashMessages = {
  ...HASH_MESSAGES,
  parseHashRequest(payload) {
    const request = parseHashRequest(payload);
    return { ...request, index: request.index | 0 };
  },
};

/** Takes the uncles for a part of the range. */
const greedy: HashMessages = {
  ...HASH_MESSAGES,
  parseHashes(payload) {
    const message = parseHashes(payload);
    return { ...message, hashes: concatBytes([message.hashes, message.uncles]), uncles: new Uint8Array(0) };
  },
};

/** Lets peers ask for what is past the end of a file. */
const generous: HashMessages = { ...HASH_MESSAGES, faultOfRequest: () => null };

/** Longer than anything waits for `endless`. */
const ENDLESS_MS = 20_000;

/**
 * Doesn't return for one kind of input. The loop sleeps and ends at some time, because Deno 2.9 doesn't terminate a
 * worker in a busy loop, and the worker would take a core from all tests that run after this one.
 */
const endless: Target = {
  name: "endless",
  weight: 1,
  tokens: ["x"],
  generate: (dice, draft) => draft.byte(dice.next()),
  run(input) {
    const cell = new Int32Array(new SharedArrayBuffer(4));
    for (const end = Date.now() + ENDLESS_MS; input[0] === 0x65 && Date.now() < end;) Atomics.wait(cell, 0, 0, 20);
    return null;
  },
};

/** All of them. */
export const PLANTED: readonly Planted[] = [
  { fault: "takes a byte string that runs past the end", target: bencodeTargetOf(decodeUnchecked) },
  { fault: "overflows the stack", target: bencodeTargetOf(decodeRecursively) },
  { fault: "rounds large integers", target: bencodeTargetOf(decodeInexactly) },
  { fault: "loses what a read cuts", target: framesTargetOf(WholeFrames) },
  { fault: "leads out of the folder", target: metainfoTargetOf(parseTrustingly) },
  { fault: "throws an error that is not its own", target: metainfoTargetOf(parseCarelessly) },
  { fault: "contradicts itself", target: resumeTargetOf(parseBoth) },
  { fault: "takes piece layers unproven", target: fileTreeTargetOf(parseUnproven) },
  { fault: "doesn't align files", target: fileTreeTargetOf(parseUnaligned) },
  { fault: "gives padding a root", target: fileTreeTargetOf(parseShifted) },
  { fault: "reads large numbers as negative", target: hashMessageTargetOf(signed) },
  { fault: "takes uncles for hashes", target: hashMessageTargetOf(greedy) },
  { fault: "serves what is not in the file", target: hashMessageTargetOf(generous) },
];

/** For a worker. */
export const TARGETS: readonly Target[] = [endless, ...PLANTED.map(({ target }) => target)];

/** The canonical form of anything, to have one input that all decoders of bencode take. */
export const HARMLESS: Bytes = encode(["a", 1, { b: [] }]);
