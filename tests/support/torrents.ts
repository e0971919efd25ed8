/**
 * Makes and reads torrent files without the code under test.
 *
 * @module
 */

import { type Bytes, concatBytes, equalBytes, fromHex, fromUtf8Lossy, toHex, utf8 } from "../../src/base/bytes.ts";
import type { Payload } from "./payload.ts";
import { bencode, type Dict, type FileHashes, hashFile, layersOf, leaf, pad } from "./v2_torrents.ts";

/** Version of a torrent: v1 (BEP 3), v2 (BEP 52), or both in one. */
export type Version = "v1" | "v2" | "hybrid";

/** All versions, for tests that run with each. */
export const VERSIONS: readonly Version[] = ["v1", "v2", "hybrid"];

/** Options for {@linkcode makeTorrent}. */
export interface TorrentFileOptions {
  /** Path of the torrent file. */
  readonly path: string;
  /** Bytes per piece; 256 KiB when absent. */
  readonly pieceLength?: number;
  /** Announce URL; no tracker when absent. */
  readonly tracker?: string;
  /** Version of the torrent; v1 when absent. */
  readonly version?: Version;
}

/**
 * Writes a torrent of a payload.
 *
 * @param payload Contents of the torrent.
 * @returns The info-hash by which peers know the torrent first, in hexadecimal digits.
 */
export async function makeTorrent(payload: Payload, options: TorrentFileOptions): Promise<string> {
  const { version = "v1", pieceLength = 1 << 18, path, tracker } = options;
  const trees = version === "v1" ? null : await hashTrees(payload, pieceLength);
  const ordered = trees === null ? payload : { ...payload, files: trees.files };
  const info = bencode({
    name: payload.name,
    "piece length": pieceLength,
    ...(version === "v2" ? {} : await firstHalf(ordered, { pieceLength, isPadded: version === "hybrid" })),
    ...(trees === null ? {} : { "meta version": 2, "file tree": trees.tree }),
  });
  const layers = trees === null ? {} : { "piece layers": layersOf(...trees.layers) };
  const places = tracker === undefined ? {} : { announce: tracker };
  // The info dictionary is encoded already: its bytes are what is hashed.
  const before = bencode({ ...places }).subarray(1, -1);
  const after = bencode(layers).subarray(1, -1);
  await Deno.writeFile(path, concatBytes([utf8("d"), before, bencode("info"), info, after, utf8("e")]));
  return (await onWire(info, version))[0]!;
}

/** What BEP 3 knows of a payload. */
async function firstHalf(payload: Payload, options: V1Options): Promise<Dict> {
  const pieces = await hashPieces(payload, options);
  if (isSingle(payload)) return { length: payload.size, pieces };
  const files = payload.files.flatMap(({ path, size }, i) => {
    const gap = options.isPadded && i + 1 < payload.files.length ? gapAfter(size, options.pieceLength) : 0;
    return [{ length: size, path: path.split("/").slice(1) }, ...gap > 0 ? [pad(gap)] : []];
  });
  return { files, pieces };
}

interface V1Options {
  readonly pieceLength: number;
  /** Whether each file begins with a new piece. */
  readonly isPadded: boolean;
}

function isSingle(payload: Payload): boolean {
  return payload.files.length === 1 && payload.files[0]!.path === payload.name;
}

function gapAfter(size: number, pieceLength: number): number {
  return (pieceLength - size % pieceLength) % pieceLength;
}

/** What BEP 52 knows of a payload. */
interface Trees {
  readonly tree: Dict;
  /** Hashes of the files that are longer than a piece, each content once. */
  readonly layers: readonly FileHashes[];
  /** Files in the order of the tree. */
  readonly files: Payload["files"];
}

async function hashTrees(payload: Payload, pieceLength: number): Promise<Trees> {
  const layers = new Map<string, FileHashes>();
  const tree: { [name: string]: Dict } = {};
  for (const { path, size } of payload.files) {
    const hashes = size === 0 ? null : hashFile(await Deno.readFile(`${payload.folder}/${path}`), pieceLength);
    if (hashes !== null && size > pieceLength) layers.set(toHex(hashes.root), hashes);
    let node = tree;
    for (const name of path.split("/").slice(isSingle(payload) ? 0 : 1)) {
      node = (node[name] ??= {}) as typeof tree;
    }
    Object.assign(node, hashes === null ? leaf({ length: 0 }) : leaf(hashes));
  }
  // Dictionaries are sorted by their bytes, and the order of the tree is the order of pieces.
  const keys = new Map(payload.files.map((file) => [file, file.path.split("/").map((name) => utf8(name))]));
  const files = payload.files.toSorted((a, b) => comparePaths(keys.get(a)!, keys.get(b)!));
  return { tree, layers: [...layers.values()], files };
}

function comparePaths(a: readonly Uint8Array[], b: readonly Uint8Array[]): number {
  for (let i = 0; i < Math.min(a.length, b.length); i++) {
    if (!equalBytes(a[i]!, b[i]!)) return compareBytes(a[i]!, b[i]!);
  }
  return a.length - b.length;
}

function compareBytes(a: Uint8Array, b: Uint8Array): number {
  for (let i = 0; i < Math.min(a.length, b.length); i++) if (a[i] !== b[i]) return a[i]! - b[i]!;
  return a.length - b.length;
}

/** Returns the info-hashes by which peers know a torrent, in hexadecimal digits. */
async function onWire(info: Bytes, version: Version): Promise<string[]> {
  const v2 = async () => toHex(new Uint8Array(await crypto.subtle.digest("SHA-256", info))).slice(0, 40);
  return [...version === "v2" ? [] : [toHex(await sha1(info))], ...version === "v1" ? [] : [await v2()]];
}

async function hashPieces(payload: Payload, { pieceLength, isPadded }: V1Options): Promise<Bytes> {
  const hashes: Bytes[] = [];
  const piece = new Uint8Array(pieceLength);
  let filled = 0;
  for (const { path } of payload.files) {
    if (isPadded && filled > 0) {
      hashes.push(await sha1(piece.fill(0, filled)));
      filled = 0;
    }
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
  /** Version of the torrent. */
  readonly version: Version;
  /** Info-hash by which peers know the torrent, 20 bytes: that of v1 if there is one, or else the start of that of v2. */
  readonly infoHash: Bytes;
  /** The same in hexadecimal digits. */
  readonly hex: string;
  /** All info-hashes by which peers know the torrent, in hexadecimal digits. */
  readonly onWire: readonly string[];
  /** Info-hash of v2 in hexadecimal digits, or `null` if there is none. */
  readonly v2: string | null;
  /** Root of the first file's Merkle tree, 32 bytes, or `null` if there is none. */
  readonly root: Bytes | null;
  /** Bytes per piece. */
  readonly pieceLength: number;
  /** Number of pieces; of a v2-only torrent, that of its first file. */
  readonly pieces: number;
}

/**
 * Reads a torrent that is known to be valid.
 *
 * @param path Path of the torrent file.
 */
export async function readTorrent(path: string): Promise<TorrentFacts> {
  const bytes = await Deno.readFile(path);
  const start = find(bytes, "4:info") + 6;
  const info = bytes.slice(start, skip(bytes, start));
  const [hasV1, hasV2] = ["6:pieces", "12:meta version"].map((key) => find(info, key, true) >= 0);
  const version = !hasV2 ? "v1" : hasV1 ? "hybrid" : "v2";
  const hexes = await onWire(info, version);
  const pieceLength = Number(/^i(\d+)e/.exec(textAt(info, find(info, "12:piece length") + 15))![1]);
  const pieces = hasV1
    ? Number(/^(\d+):/.exec(textAt(info, find(info, "6:pieces") + 8))![1]) / 20
    : Math.ceil(Number(/^i(\d+)e/.exec(textAt(info, find(info, "6:length") + 8))![1]) / pieceLength);
  const v2 = hasV2 ? toHex(new Uint8Array(await crypto.subtle.digest("SHA-256", info))) : null;
  const rootAt = find(info, "11:pieces root32:", true);
  const root = rootAt < 0 ? null : info.slice(rootAt + 17, rootAt + 17 + 32);
  return { version, infoHash: fromHex(hexes[0]!)!, hex: hexes[0]!, onWire: hexes, v2, root, pieceLength, pieces };
}

function textAt(bytes: Uint8Array, at: number): string {
  return fromUtf8Lossy(bytes.subarray(at, at + 20));
}

function find(bytes: Uint8Array, key: string, isOptional = false): number {
  const wanted = utf8(key);
  const at = bytes.findIndex((_, i) => wanted.every((byte, j) => bytes[i + j] === byte));
  if (at < 0 && !isOptional) throw new Error(`no ${key} in the torrent`);
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
