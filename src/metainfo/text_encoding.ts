/**
 * Decodes text in torrents, which should be UTF-8 but has other encodings in old torrents.
 *
 * @module
 */

import { concatBytes, fromUtf8, fromUtf8Lossy } from "../base/bytes.ts";
import type { BencodeDict } from "../bencode/mod.ts";

/** Maximum number of bytes read of a name, more than any file system accepts even after the name is made safe. */
const MAX_NAME = 4096;
/** Number of bytes kept from the end of a longer name, which may contain its extension. */
const NAME_TAIL = 64;
/** Maximum number of bytes kept of a comment or similar text that is displayed. */
const MAX_TEXT = 64 * 1024;

/** Decodes the text of one torrent. */
export class TextReader {
  readonly #legacy: TextDecoder | null;

  /** @param charset The torrent's `encoding`, used for text that is not UTF-8. An unknown encoding is ignored. */
  constructor(charset: string | undefined) {
    this.#legacy = legacyDecoder(charset);
  }

  /** Decodes text as UTF-8, or else in the torrent's encoding, or else as UTF-8 with U+FFFD for invalid bytes. */
  read(bytes: Uint8Array): string {
    return fromUtf8(bytes) ?? this.#legacy?.decode(bytes) ?? fromUtf8Lossy(bytes);
  }

  /**
   * Decodes a name like {@linkcode read}, but with `_` for invalid bytes, as in libtorrent. Of a name that is too long
   * for any file system, only the start and the extension are read.
   */
  readName(bytes: Uint8Array): string {
    if (bytes.length > MAX_NAME) return this.readName(shortened(bytes));
    return fromUtf8(bytes) ??
      (this.#legacy?.decode(bytes) ?? fromUtf8Lossy(bytes)).replace(/\ufffd+/g, "_");
  }

  /**
   * Decodes the text of a key. The `.utf-8` variant of the key is preferred.
   *
   * @returns The text, cut if too long, or `null` if the value is missing or not a byte string.
   */
  readKey(dict: BencodeDict, key: string): string | null {
    const bytes = dict.getBytes(`${key}.utf-8`) ?? dict.getBytes(key);
    return bytes === undefined ? null : this.read(bytes.length > MAX_TEXT ? headOf(bytes, MAX_TEXT) : bytes);
  }
}

/** Returns the start and the end of a name that is too long, cut at UTF-8 character boundaries. */
function shortened(name: Uint8Array): Uint8Array {
  let tail = name.length - NAME_TAIL;
  while (tail < name.length && isContinuation(name[tail]!)) tail++;
  return concatBytes([headOf(name, MAX_NAME - NAME_TAIL), name.subarray(tail)]);
}

/** Returns the start of a text, cut at a UTF-8 character boundary. */
function headOf(text: Uint8Array, length: number): Uint8Array {
  let end = length;
  while (end > length - 4 && isContinuation(text[end]!)) end--;
  return text.subarray(0, end);
}

function isContinuation(byte: number): boolean {
  return (byte & 0xc0) === 0x80;
}

function legacyDecoder(charset: string | undefined): TextDecoder | null {
  if (charset === undefined) return null;
  try {
    const decoder = new TextDecoder(charset.trim());
    return decoder.encoding === "utf-8" ? null : decoder;
  } catch (error) {
    if (error instanceof RangeError) return null; // unknown encoding: the text is decoded as UTF-8
    throw error;
  }
}
