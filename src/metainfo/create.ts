/**
 * Making torrent files (BEP 3).
 *
 * @module
 */

import type { Bytes } from "../base/bytes.ts";
import { concatBytes } from "../base/bytes.ts";
import { type Encodable, encode } from "../bencode/mod.ts";

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
  const info: Encodable = {
    length: parts.length,
    name: parts.name,
    "piece length": parts.pieceLength,
    pieces: concatBytes(parts.digests),
  };
  return encode({ announce: parts.announce, info });
}
