/**
 * Parser of torrent files and info dictionaries.
 *
 * @module
 */

import { type Bytes, fromUtf8Lossy } from "../base/bytes.ts";
import { InfoHash, InfoHashV2 } from "../base/info_hash.ts";
import { isPowerOfTwo, MERKLE_BLOCK } from "../base/merkle.ts";
import { BencodeDict, BencodeError, type BencodeValue, decodeDict } from "../bencode/mod.ts";
import { sha1, sha256 } from "../platform/start_digest.ts";
import { type Fail, MetainfoError, type Warn } from "./errors.ts";
import { alignFiles, readTree, singleName } from "./file_tree.ts";
import { type Entry, type FilesContext, placeFiles, readFiles } from "./files.ts";
import type { Places } from "./merge.ts";
import { mergeHalves, withoutTail } from "./hybrid_halves.ts";
import type { Metainfo } from "./metainfo.ts";
import { readPieceLayers } from "./piece_layers.ts";
import { safeName, type SafePathOptions } from "./safe_path.ts";
import { readNodes, readTrackers, readWebSeeds } from "./sources.ts";
import { TextReader } from "./text_encoding.ts";
import { describeValue } from "./values.ts";

/**
 * Maximum piece length in bytes. A piece is held in memory until its hash is checked, so a longer piece could not be
 * downloaded.
 */
export const MAX_PIECE_LENGTH = 512 * 1024 * 1024;
/** Maximum length of a torrent file in bytes: room for three million pieces. */
export const MAX_TORRENT_SIZE = 64 * 1024 * 1024;
/**
 * Maximum number of pieces of a v2-only torrent, as in libtorrent. Unlike v1's, its pieces need no bytes in the torrent.
 */
export const MAX_V2_PIECES = 2 ** 21;

/**
 * What libtorrent takes for a canonical info dictionary. It allows one level less of nesting than we do in v1 torrents,
 * and the torrent itself is one.
 */
const AS_IN_LIBTORRENT = {
  maxSize: MAX_TORRENT_SIZE,
  strict: true,
  allowNegativeZeros: true,
  maxDepth: 98,
  maxDigits: 20,
} as const;

/** Last second of the year 9999. A later creation date is in milliseconds, as some programs write it. */
const LAST_SECOND = 253_402_300_799;

/** Maximum number of warnings kept per torrent. */
const MAX_WARNINGS = 10;

/** Options for {@linkcode parseMetainfo}. */
export interface ParseOptions extends SafePathOptions {
  /** Name of the torrent in errors: its file name or URL. */
  readonly source?: string;
}

/**
 * Parses and validates a torrent file: v1, v2 or hybrid (BEP 52). Of v2 and hybrid torrents, those are taken that
 * libtorrent takes. Where its versions differ, a wrong piece layer is refused as in 2.1, since nobody could verify
 * anything with it, and all else is taken that either takes. The halves of a hybrid have to
 * agree, and its files are those of the v2 half, with the padding of the v1 half.
 *
 * @param bytes The torrent file. The result holds no view of it.
 * @param options See {@linkcode ParseOptions}.
 * @returns The torrent.
 * @throws {MetainfoError} If the file is not a torrent, is invalid, or exceeds a limit.
 *
 * @example
 * ```ts
 * const meta = parseMetainfo(bytes, { source: "notes.txt" });
 * // MetainfoError: not a torrent (notes.txt, byte 0): expected a dictionary, found "H"
 * ```
 */
export function parseMetainfo(bytes: Uint8Array, options: ParseOptions = {}): Metainfo {
  const context = contextOf(options);
  const { fail } = context;
  const torrent = decodeTorrent(bytes, context);
  const info = torrent.get("info");
  if (info === undefined) return fail("info", "it is missing");
  if (!(info instanceof BencodeDict)) return fail("info", `expected a dictionary, found ${describeValue(info)}`);
  const text = new TextReader(torrent.getText("encoding"));
  const parsed = readInfo(info, { ...context, text, options });
  const hasLayers = parsed.infoHashV2 !== null;
  return {
    ...parsed,
    ...(hasLayers &&
      {
        files: readPieceLayers(torrent, parsed.files, {
          ...context,
          pieceLength: parsed.pieceLength,
          hasSha1: parsed.pieces.length > 0,
        }),
      }),
    trackers: readTrackers(torrent),
    webSeeds: readWebSeeds(torrent),
    nodes: readNodes(torrent),
    comment: text.readKey(torrent, "comment"),
    createdBy: text.readKey(torrent, "created by"),
    createdAt: readDate(torrent.getInt("creation date")),
  };
}

/** Options for {@linkcode parseInfo}: parser options, and the trackers and web seeds of the magnet link. */
export interface ParseInfoOptions extends ParseOptions, Places {}

/**
 * Parses and validates an info dictionary, as peers send it to a client that has only a magnet link (BEP 9). The piece
 * layers of a v2 torrent are not in it.
 *
 * @param bytes The info dictionary. The result holds no view of it.
 * @param options See {@linkcode ParseInfoOptions}.
 * @returns The torrent.
 * @throws {MetainfoError} If the bytes are not an info dictionary, are invalid, or exceed a limit.
 */
export function parseInfo(bytes: Uint8Array, options: ParseInfoOptions): Metainfo {
  const context = contextOf(options);
  const { trackers, webSeeds } = options;
  const info = readInfo(decodeTorrent(bytes, context), { ...context, text: new TextReader(undefined), options });
  return { ...info, trackers, webSeeds, nodes: [], comment: null, createdBy: null, createdAt: null };
}

/** Reports errors and warnings. */
interface Context {
  readonly source: string | undefined;
  readonly fail: Fail;
  readonly warn: Warn;
  readonly warnings: readonly string[];
}

function contextOf({ source }: ParseOptions): Context {
  const warnings: string[] = [];
  return {
    source,
    warnings,
    fail: (key, why) => {
      throw new MetainfoError({ source, key, why });
    },
    warn: (key, what) => {
      if (warnings.length < MAX_WARNINGS) warnings.push(`${key}: ${what}`);
    },
  };
}

/** The part of a torrent that comes from the info dictionary. */
type Info = Omit<
  Metainfo,
  "trackers" | "webSeeds" | "nodes" | "comment" | "createdBy" | "createdAt"
>;

function readInfo(
  info: BencodeDict,
  context: Context & { readonly text: TextReader; readonly options: ParseOptions },
): Info {
  const { fail, warn, warnings, text, options } = context;
  const tree = readFileTree(info, fail);
  const hasV1 = tree === null || info.getList("files") !== undefined || info.has("length");

  const raw = info.raw.slice();
  const infoHashV1 = hasV1 ? new InfoHash(sha1(raw)) : null;
  const infoHashV2 = tree === null ? null : new InfoHashV2(sha256(raw));
  const infoHash = infoHashV1 ?? infoHashV2!.truncated;
  // Like libtorrent, use the info-hash if nothing is left of the name.
  const hex = (infoHashV1 ?? infoHashV2!).hex;
  const named = (ownName: string) => ({ ownName, name: safeName(ownName, options) || hex });
  const own = named(readName(info, { text, fail }));
  const pieceLength = readPieceLength(info, { isV2: tree !== null, fail });
  const parts = { text, paths: options, fail, warn, hasTree: tree !== null, isHybrid: tree !== null && hasV1 };
  const v1 = hasV1 && !isEmptyList(info, tree) ? readFiles(info, { ...own, ...parts }) : null;
  const v2 = tree && readFilesOfTree(tree, { ...parts, info, raw, own, named });
  const name = v2?.name ?? own.name;
  const aligned = v2 && alignFiles(v2.entries, { pieceLength, name, fail });
  const entries = v1 && aligned ? mergeHalves(v1, aligned, fail) : aligned ? withoutTail(aligned) : v1!;
  const files = placeFiles(entries, { fail });
  const totalLength = files.reduce((sum, file) => sum + file.length, 0);
  const size = files.reduce((sum, file) => sum + (file.pad ? 0 : file.length), 0);
  const pieces = readPieces(info, raw, { isV2: tree !== null, fail, warn });
  const pieceCount = Math.ceil(totalLength / pieceLength);
  checkPieces({ pieces, pieceCount, pieceLength, totalLength, files }, fail);

  return {
    version: tree === null ? "v1" : hasV1 ? "hybrid" : "v2",
    infoHash,
    infoHashV1,
    infoHashV2,
    name,
    pieceLength,
    pieceCount,
    totalLength,
    size,
    pieces: hasV1 && pieces ? pieces : new Uint8Array(0),
    files,
    private: isSet(info.get("private")),
    source: text.readKey(info, "source"),
    info: raw,
    warnings,
  };
}

/** Returns `true` for any integer but 0. */
function isSet(value: BencodeValue | undefined): boolean {
  return typeof value === "bigint" || (typeof value === "number" && value !== 0);
}

/**
 * Returns the file tree, or `null` for a v1 torrent. The version of a torrent with a tree has to be 2, and everything in
 * its info dictionary as BEP 3 asks, as in libtorrent.
 */
function readFileTree(info: BencodeDict, fail: Fail): BencodeDict | null {
  const version = info.getInt("meta version") ?? 1;
  const tree = info.getDict("file tree");
  if (version > 2) fail("info.meta version", `there are versions 1 and 2, found ${version}`);
  if (version < 2) {
    if (tree) fail("info.meta version", "there is a file tree (BEP 52), and the version is not 2");
    return null;
  }
  if (tree === undefined) {
    return fail("info.file tree", `expected a dictionary, found ${describeValue(info.get("file tree"))}`);
  }
  try {
    decodeDict(info.raw, AS_IN_LIBTORRENT);
  } catch (error) {
    if (!(error instanceof BencodeError)) throw error;
    fail("info", `in a v2 torrent it has to be canonical: ${error.why}`);
  }
  return tree;
}

/** Returns `true` if a hybrid has a list of files without any, which libtorrent reads as if there were none. */
function isEmptyList(info: BencodeDict, tree: BencodeDict | null): boolean {
  return tree !== null && info.getList("files")?.length === 0;
}

/** A name as written in the torrent, and made safe. */
type Names = Pick<FilesContext, "name" | "ownName">;

/** Reads the files of a tree. A tree that is a single file gives the torrent its name, as in libtorrent. */
function readFilesOfTree(
  tree: BencodeDict,
  { info, raw, own, named, ...parts }: Omit<FilesContext, "name" | "ownName"> & {
    readonly info: BencodeDict;
    readonly raw: Bytes;
    readonly own: Names;
    named(ownName: string): Names;
  },
): { readonly name: string; readonly entries: readonly Entry[] } {
  const single = singleName(info, tree);
  const isSingle = single !== null;
  const names = isSingle ? named(typeof single === "string" ? single : parts.text.readName(single)) : own;
  const entries = readTree(tree, { ...parts, ...names, isSingle, info: { copy: raw, input: info.raw } });
  return { name: names.name, entries };
}

function decodeTorrent(
  bytes: Uint8Array,
  { source, warn }: Pick<Context, "source" | "warn">,
): BencodeDict {
  if (bytes.length > MAX_TORRENT_SIZE) {
    const why = `it has ${bytes.length} bytes, at most ${MAX_TORRENT_SIZE} (64 MiB) are accepted`;
    throw new MetainfoError({ what: "not a torrent", source, key: `byte ${MAX_TORRENT_SIZE}`, why });
  }
  try {
    // Every client tolerates the newline and more that servers and editors append. A truncated torrent has no end.
    const onOddity = (offset: number, what: string) => warn(`byte ${offset}`, what);
    return decodeDict(bytes, { maxSize: MAX_TORRENT_SIZE, allowTrailing: true, onOddity });
  } catch (error) {
    if (!(error instanceof BencodeError)) throw error;
    const parts = { source, key: `byte ${error.offset}`, why: error.why, cause: error };
    if (error.offset === 0) throw new MetainfoError({ ...parts, what: "not a torrent", ...hintFor(bytes) });
    throw new MetainfoError({ ...parts, hint: "the file is damaged or not complete; fetch it again" });
  }
}

/** Returns a hint for a file of another type. */
function hintFor(bytes: Uint8Array): { readonly hint?: string } {
  const start = fromUtf8Lossy(bytes.subarray(0, 64)).trim();
  if (start.startsWith("<")) {
    return { hint: "it is a web page: the server may want you to log in, or have no such torrent" };
  }
  if (bytes[0] === 0x1f && bytes[1] === 0x8b) return { hint: "it is packed with gzip; unpack it first" };
  if (start.startsWith("PK\x03\x04")) return { hint: "it is a ZIP archive; unpack it first" };
  if (/^magnet:/i.test(start)) return { hint: "it holds a magnet link; give the link itself" };
  return {};
}

function readName(info: BencodeDict, context: { text: TextReader; fail: Fail }): string {
  const value = info.getBytes("name.utf-8") ?? info.get("name");
  if (value === undefined) return context.fail("info.name", "it is missing");
  if (!(value instanceof Uint8Array)) {
    return context.fail("info.name", `expected a name, found ${describeValue(value)}`);
  }
  return context.text.readName(value);
}

function readPieceLength(info: BencodeDict, { isV2, fail }: { readonly isV2: boolean; readonly fail: Fail }): number {
  const key = "info.piece length";
  const value = info.get("piece length");
  if (value === undefined) return fail(key, "it is missing");
  if (typeof value !== "number" && typeof value !== "bigint") {
    return fail(key, `expected an integer, found ${describeValue(value)}`);
  }
  if (value < 1) return fail(key, `a piece has at least 1 byte, found ${value}`);
  if (value > MAX_PIECE_LENGTH) {
    return fail(key, `a piece has at most ${MAX_PIECE_LENGTH} bytes (512 MiB), found ${value}`);
  }
  const length = Number(value);
  if (isV2 && (length < MERKLE_BLOCK || !isPowerOfTwo(length))) {
    return fail(key, `a piece of a v2 torrent has a power of two from 16384 bytes on, found ${length}`);
  }
  return length;
}

/**
 * Returns the piece hashes as a view of `raw`, which is a copy of the info dictionary, or `null` if a v2 torrent has none.
 */
function readPieces(
  info: BencodeDict,
  raw: Bytes,
  { isV2, fail, warn }: Pick<Context, "fail" | "warn"> & { readonly isV2: boolean },
): Bytes | null {
  const value = info.get("pieces");
  if (!(value instanceof Uint8Array)) {
    const why = value === undefined ? "it is missing" : `expected a byte string, found ${describeValue(value)}`;
    if (!isV2) return fail("info.pieces", why);
    if (value !== undefined) warn("info.pieces", why);
    return null;
  }
  if (value.length % InfoHash.LENGTH !== 0) {
    return fail(
      "info.pieces",
      `hashes have ${InfoHash.LENGTH} bytes each, ${value.length} bytes are not a multiple of that`,
    );
  }
  const start = value.byteOffset - info.raw.byteOffset;
  return raw.subarray(start, start + value.length);
}

function checkPieces(
  meta: Pick<Metainfo, "pieceCount" | "pieceLength" | "totalLength" | "files"> & { readonly pieces: Bytes | null },
  fail: Fail,
): void {
  const { pieces, pieceCount, pieceLength, totalLength } = meta;
  if (totalLength === 0) fail(meta.files.length > 1 ? "info.files" : "info.length", "there are no bytes to download");
  if (pieces === null) {
    if (pieceCount <= MAX_V2_PIECES) return;
    fail("info.file tree", `${totalLength} bytes in pieces of ${pieceLength} are more than ${MAX_V2_PIECES} pieces`);
  } else if (pieces.length !== pieceCount * InfoHash.LENGTH) {
    const found = pieces.length / InfoHash.LENGTH;
    fail("info.pieces", `${totalLength} bytes in pieces of ${pieceLength} need ${pieceCount} hashes, found ${found}`);
  }
}

function readDate(seconds: number | undefined): Date | null {
  if (seconds === undefined || seconds < 0) return null;
  if (seconds <= LAST_SECOND) return new Date(seconds * 1000);
  return seconds <= LAST_SECOND * 1000 ? new Date(seconds) : null;
}
