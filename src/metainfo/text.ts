/**
 * Text in torrents, which is UTF-8 by the standard and something else in old ones.
 *
 * @module
 */

import { fromUtf8, fromUtf8Lossy } from "../base/bytes.ts";
import type { BencodeDict } from "../bencode/mod.ts";

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
   * Like {@linkcode read}, with `_` for what is broken, as libtorrent does for names.
   *
   * @param bytes Any bytes.
   * @returns The text.
   */
  readName(bytes: Uint8Array): string {
    return fromUtf8(bytes) ??
      (this.#legacy?.decode(bytes) ?? fromUtf8Lossy(bytes)).replace(/\ufffd+/g, "_");
  }

  /**
   * @param dict Where to look.
   * @param key A key; its `.utf-8` variant is preferred.
   * @returns Its text, or `null` when it is missing or no byte string.
   */
  readKey(dict: BencodeDict, key: string): string | null {
    const bytes = dict.getBytes(`${key}.utf-8`) ?? dict.getBytes(key);
    return bytes === undefined ? null : this.read(bytes);
  }
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
