/**
 * Making torrent files (BEP 3, BEP 12, BEP 19, BEP 27).
 *
 * @module
 */

import { type Bytes, concatBytes, utf8 } from "../base/bytes.ts";
import { type Encodable, encode } from "../bencode/mod.ts";

/** Shortest piece that is chosen, and that a user may ask for: a block. */
export const MIN_CREATED_PIECE = 16 * 1024;
/** Longest piece that is chosen: a peer has to hold whole pieces in memory. */
const MAX_CHOSEN_PIECE = 16 * 1024 * 1024;
/** Up to so many pieces, shorter ones are chosen: few enough that the torrent file has 40 KiB at most. */
const CHOSEN_PIECES = 2048;

/** What a torrent file is made from. */
export interface TorrentParts {
  /** Name of the file or the folder. */
  readonly name: string;
  /** Bytes of a piece. */
  readonly pieceLength: number;
  /** SHA-1 digests of all pieces, one behind the other. */
  readonly pieces: Uint8Array;
  /** The length of a file that stands alone in bytes, or the files of a folder, in order. */
  readonly content: number | readonly { readonly path: readonly string[]; readonly length: number }[];
  /** Tiers of announce URLs. */
  readonly trackers?: readonly (readonly string[])[] | undefined;
  /** URLs of web seeds. */
  readonly webSeeds?: readonly string[] | undefined;
  /** Whether peers may come from trackers only. */
  readonly private?: boolean | undefined;
  /** For whoever reads it. */
  readonly comment?: string | undefined;
  /** The tracker or site that it is made for; makes the info-hash another one. */
  readonly source?: string | undefined;
  /** The program that makes it. */
  readonly createdBy?: string | undefined;
  /** Seconds since 1970. */
  readonly createdAt?: number | undefined;
}

/**
 * Encodes a v1 torrent. The same parts always give the same bytes.
 *
 * @param parts What goes into it.
 * @returns The torrent file.
 */
export function encodeTorrent(parts: TorrentParts): Bytes {
  const { content, trackers = [], webSeeds = [] } = parts;
  const urls = trackers.flat();
  const info: Encodable = {
    ...(typeof content === "number" ? { length: content } : { files: content.map(fileEntry) }),
    name: parts.name,
    "piece length": parts.pieceLength,
    pieces: parts.pieces,
    private: parts.private ? 1 : undefined,
    source: parts.source,
  };
  return encode({
    announce: urls[0],
    "announce-list": urls.length > 1 ? trackers : undefined,
    comment: parts.comment,
    "created by": parts.createdBy,
    "creation date": parts.createdAt,
    info,
    "url-list": webSeeds.length > 1 ? webSeeds : webSeeds[0],
  });
}

function fileEntry({ path, length }: { readonly path: readonly string[]; readonly length: number }): Encodable {
  return { length, path };
}

/**
 * A good length for pieces: 16 KiB to 16 MiB, so that there are some 1,000 to 2,000 of them where that can be.
 *
 * @param total Bytes of all files.
 * @returns Bytes, a power of two.
 */
export function choosePieceLength(total: number): number {
  let length = MIN_CREATED_PIECE;
  while (length < MAX_CHOSEN_PIECE && total > length * CHOSEN_PIECES) length *= 2;
  return length;
}

/** What a torrent of one file is made from. */
export interface SingleFileParts {
  /** Name of the file. */
  readonly name: string;
  /** Its length in bytes. */
  readonly length: number;
  /** Bytes of a piece. */
  readonly pieceLength: number;
  /** SHA-1 digest of each piece, in order. */
  readonly digests: readonly Uint8Array[];
  /** Tracker. */
  readonly announce: string;
}

/**
 * A torrent file that holds one file.
 *
 * @param parts What goes into it.
 * @returns The torrent file.
 */
export function encodeSingleFile(parts: SingleFileParts): Bytes {
  const { name, length: content, pieceLength, digests, announce } = parts;
  return encodeTorrent({ name, content, pieceLength, pieces: concatBytes(digests), trackers: [[announce]] });
}

/** What stands beside the info dictionary. */
export interface TorrentFileParts {
  /** Announce URLs in tiers (BEP 12). */
  readonly trackers: readonly (readonly string[])[];
  /** Web seeds (BEP 19). */
  readonly webSeeds: readonly string[];
}

/**
 * A torrent file round an info dictionary that exists already, and that comes out byte for byte as it is: its hash names the
 * torrent.
 *
 * @param info The info dictionary, bencoded.
 * @param parts What stands beside it.
 * @returns The torrent file.
 */
export function torrentFile(info: Uint8Array, { trackers, webSeeds }: TorrentFileParts): Bytes {
  const before = encode({
    ...(trackers.length > 0 && { announce: trackers[0]![0]!, "announce-list": trackers }),
  });
  const after = encode({ ...(webSeeds.length > 0 && { "url-list": webSeeds }) });
  // "info" stands between "announce-list" and "url-list", as the order of keys has it.
  return concatBytes([before.subarray(0, -1), utf8("4:info"), info, after.subarray(1)]);
}
