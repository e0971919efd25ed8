/**
 * Parser of torrent files and info dictionaries.
 *
 * @module
 */

import { type Bytes, fromUtf8Lossy } from "../base/bytes.ts";
import { InfoHash } from "../base/info_hash.ts";
import { BencodeDict, BencodeError, decodeDict } from "../bencode/mod.ts";
import { sha1 } from "../platform/start_digest.ts";
import { type Fail, MetainfoError, type Warn } from "./errors.ts";
import { readFiles } from "./files.ts";
import type { Places } from "./merge.ts";
import type { Metainfo, MetainfoFile } from "./metainfo.ts";
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
 * Parses and validates a torrent file. A hybrid torrent (BEP 52) is read as a v1 torrent.
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
  return {
    ...readInfo(info, { ...context, text, options }),
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
 * Parses and validates an info dictionary, as peers send it to a client that has only a magnet link (BEP 9).
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
  const { source, fail, warn, warnings, text, options } = context;
  const version = info.getInt("meta version") ?? 1;
  if (version >= 2 && !info.has("pieces")) {
    throw new MetainfoError({
      what: "not a torrent that Shoal can use yet",
      source,
      key: "info.meta version",
      why: `it is a torrent of version ${version} only (BEP 52), and v${version} is not supported yet`,
    });
  }

  const raw = info.raw.slice();
  const infoHash = new InfoHash(sha1(raw));
  const ownName = readName(info, { text, fail });
  // Like libtorrent, use the info-hash if nothing is left of the name.
  const name = safeName(ownName, options) || infoHash.hex;
  const pieceLength = readPieceLength(info, fail);
  const files = readFiles(info, { name, ownName, text, paths: options, fail, warn });
  const totalLength = files.reduce((sum, file) => sum + file.length, 0);
  const size = files.reduce((sum, file) => sum + (file.pad ? 0 : file.length), 0);
  const pieces = readPieces(info, raw, fail);
  const pieceCount = pieces.length / InfoHash.LENGTH;
  checkPieces({ pieceCount, pieceLength, totalLength, size, files }, fail);

  return {
    infoHash,
    name,
    pieceLength,
    pieceCount,
    totalLength,
    size,
    pieces,
    files,
    private: (info.getInt("private") ?? 0) !== 0,
    source: text.readKey(info, "source"),
    info: raw,
    warnings,
  };
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

function readPieceLength(info: BencodeDict, fail: Fail): number {
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
  return Number(value);
}

/** Returns the piece hashes as a view of `raw`, which is a copy of the info dictionary. */
function readPieces(info: BencodeDict, raw: Bytes, fail: Fail): Bytes {
  const value = info.get("pieces");
  if (value === undefined) return fail("info.pieces", "it is missing");
  if (!(value instanceof Uint8Array)) {
    return fail("info.pieces", `expected a byte string, found ${describeValue(value)}`);
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
  meta: { pieceCount: number; pieceLength: number; totalLength: number; size: number; files: readonly MetainfoFile[] },
  fail: Fail,
): void {
  const { pieceCount, pieceLength, totalLength } = meta;
  if (totalLength === 0) fail(meta.files.length > 1 ? "info.files" : "info.length", "there are no bytes to download");
  const needed = Math.ceil(totalLength / pieceLength);
  if (pieceCount !== needed) {
    fail("info.pieces", `${totalLength} bytes in pieces of ${pieceLength} need ${needed} hashes, found ${pieceCount}`);
  }
}

function readDate(seconds: number | undefined): Date | null {
  if (seconds === undefined || seconds < 0) return null;
  if (seconds <= LAST_SECOND) return new Date(seconds * 1000);
  return seconds <= LAST_SECOND * 1000 ? new Date(seconds) : null;
}
