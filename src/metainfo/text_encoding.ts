/**
 * Text in torrents, which is UTF-8 by the standard and something else in old ones.
 *
 * @module
 */

import { concatBytes, fromUtf8, fromUtf8Lossy } from "../base/bytes.ts";
import type { BencodeDict } from "../bencode/mod.ts";

/** Bytes of a name that are read: no file system takes as many, whatever becomes of them when it is made safe. */
const MAX_NAME = 4096;
/** Bytes at the end of a longer name that are read, too: its extension may be there. */
const NAME_TAIL = 64;
/** Bytes of a comment and the like that are kept: it is shown, and not as a whole book. */
const MAX_TEXT = 64 * 1024;

/** Reads the text of one torrent. */
export class TextReader {
  readonly #legacy: TextDecoder | null;

  /**
   * @param charset The torrent's `encoding`. It is used for what is not UTF-8; a name that is unknown is left alone.
   */
  constructor(charset: string | undefined) {
    this.#legacy = legacyDecoder(charset);
  }

  /**
   * Any bytes as text: as UTF-8, else in the torrent's charset, else as UTF-8 with U+FFFD for what is broken.
   *
   * @param bytes Any bytes.
   * @returns The text.
   */
  read(bytes: Uint8Array): string {
    return fromUtf8(bytes) ?? this.#legacy?.decode(bytes) ?? fromUtf8Lossy(bytes);
  }

  /**
   * Like {@linkcode read}, with `_` for what is broken, as libtorrent does for names. Of a name that no file can have only the
   * beginning and the extension are read.
   *
   * @param bytes Any bytes.
   * @returns The text.
   */
  readName(bytes: Uint8Array): string {
    if (bytes.length > MAX_NAME) return this.readName(shortened(bytes));
    return fromUtf8(bytes) ??
      (this.#legacy?.decode(bytes) ?? fromUtf8Lossy(bytes)).replace(/\ufffd+/g, "_");
  }

  /**
   * @param dict Where to look.
   * @param key A key; its `.utf-8` variant is preferred.
   * @returns Its text, of a long one the beginning, or `null` when it is missing or no byte string.
   */
  readKey(dict: BencodeDict, key: string): string | null {
    const bytes = dict.getBytes(`${key}.utf-8`) ?? dict.getBytes(key);
    return bytes === undefined ? null : this.read(bytes.length > MAX_TEXT ? headOf(bytes, MAX_TEXT) : bytes);
  }
}

/** The beginning and the end of a name that is far too long, cut between characters of UTF-8. */
function shortened(name: Uint8Array): Uint8Array {
  let tail = name.length - NAME_TAIL;
  while (tail < name.length && isContinuation(name[tail]!)) tail++;
  return concatBytes([headOf(name, MAX_NAME - NAME_TAIL), name.subarray(tail)]);
}

/** No more than so many bytes of a text, cut between characters of UTF-8. */
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
    if (error instanceof RangeError) return null; // no such charset, so the text is as good as it gets
    throw error;
  }
}
