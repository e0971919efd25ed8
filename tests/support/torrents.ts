/**
 * Makes and reads torrent files without the code under test.
 *
 * @module
 */

import { type Bytes, concatBytes, fromUtf8Lossy, toHex, utf8 } from "../../src/base/bytes.ts";
import type { Payload } from "./payload.ts";

type Value = number | string | Uint8Array | readonly Value[] | { readonly [key: string]: Value };

function encode(value: Value): Bytes {
  if (typeof value === "number") return utf8(`i${value}e`);
  if (typeof value === "string") return encode(utf8(value));
  if (value instanceof Uint8Array) return concatBytes([utf8(`${value.length}:`), value]);
  if (Array.isArray(value)) return concatBytes([utf8("l"), ...value.map(encode), utf8("e")]);
  const entries = Object.entries(value as { readonly [key: string]: Value }).sort(([a], [b]) => (a < b ? -1 : 1));
  return concatBytes([utf8("d"), ...entries.flatMap(([key, item]) => [encode(key), encode(item)]), utf8("e")]);
}

/** Options for {@linkcode makeTorrent}. */
export interface TorrentFileOptions {
  /** Path of the torrent file. */
  readonly path: string;
  /** Bytes per piece; 256 KiB when absent. */
  readonly pieceLength?: number;
  /** Announce URL; no tracker when absent. */
  readonly tracker?: string;
}

/**
 * Writes a v1 torrent of a payload.
 *
 * @param payload Contents of the torrent.
 * @returns The info-hash in hexadecimal digits.
 */
export async function makeTorrent(payload: Payload, options: TorrentFileOptions): Promise<string> {
  const pieceLength = options.pieceLength ?? 1 << 18;
  const single = payload.files.length === 1 && payload.files[0]!.path === payload.name;
  const files = payload.files.map((file) => ({ length: file.size, path: file.path.split("/").slice(1) }));
  const info = encode({
    name: payload.name,
    "piece length": pieceLength,
    pieces: await hashPieces(payload, pieceLength),
    ...(single ? { length: payload.size } : { files }),
  });
  const announce = options.tracker === undefined ? [] : [encode("announce"), encode(options.tracker)];
  await Deno.writeFile(options.path, concatBytes([utf8("d"), ...announce, encode("info"), info, utf8("e")]));
  return toHex(await sha1(info));
}

async function hashPieces(payload: Payload, pieceLength: number): Promise<Bytes> {
  const hashes: Bytes[] = [];
  const piece = new Uint8Array(pieceLength);
  let filled = 0;
  for (const { path } of payload.files) {
    using file = await Deno.open(`${payload.folder}/${path}`);
    for (let n = await file.read(piece.subarray(filled)); n !== null; n = await file.read(piece.subarray(filled))) {
      filled += n;
      if (filled < pieceLength) continue;
      hashes.push(await sha1(piece));
      filled = 0;
    }
  }
  if (filled > 0) hashes.push(await sha1(piece.subarray(0, filled)));
  return concatBytes(hashes);
}

async function sha1(bytes: Bytes): Promise<Bytes> {
  return new Uint8Array(await crypto.subtle.digest("SHA-1", bytes));
}

/** Facts about a torrent file. */
export interface TorrentFacts {
  /** Info-hash, 20 bytes. */
  readonly infoHash: Bytes;
  /** Info-hash in hexadecimal digits. */
  readonly hex: string;
  /** Bytes per piece. */
  readonly pieceLength: number;
  /** Number of pieces. */
  readonly pieces: number;
}

/**
 * Reads a v1 torrent that is known to be valid.
 *
 * @param path Path of the torrent file.
 */
export async function readTorrent(path: string): Promise<TorrentFacts> {
  const bytes = await Deno.readFile(path);
  const start = find(bytes, "4:info") + 6;
  const info = bytes.slice(start, skip(bytes, start));
  const infoHash = await sha1(info);
  const pieceLength = Number(/^i(\d+)e/.exec(textAt(info, find(info, "12:piece length") + 15))![1]);
  const pieces = Number(/^(\d+):/.exec(textAt(info, find(info, "6:pieces") + 8))![1]) / 20;
  return { infoHash, hex: toHex(infoHash), pieceLength, pieces };
}

function textAt(bytes: Uint8Array, at: number): string {
  return fromUtf8Lossy(bytes.subarray(at, at + 20));
}

function find(bytes: Uint8Array, key: string): number {
  const wanted = utf8(key);
  const at = bytes.findIndex((_, i) => wanted.every((byte, j) => bytes[i + j] === byte));
  if (at < 0) throw new Error(`no ${key} in the torrent`);
  return at;
}

/** Returns the index after the bencoded value at `at`. */
function skip(bytes: Uint8Array, at: number): number {
  const kind = String.fromCharCode(bytes[at]!);
  if (kind === "i") return bytes.indexOf(101, at) + 1;
  if (kind === "l" || kind === "d") {
    let next = at + 1;
    while (bytes[next] !== 101) next = skip(bytes, next);
    return next + 1;
  }
  const length = /^(\d+):/.exec(textAt(bytes, at))!;
  return at + length[0].length + Number(length[1]);
}
