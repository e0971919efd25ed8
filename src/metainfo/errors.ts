/**
 * What parsing a torrent file throws.
 *
 * @module
 */

import { ShoalError } from "../base/errors.ts";

/** Parts of a {@linkcode MetainfoError}. */
export interface MetainfoErrorParts {
  /** What is wrong, in a few words. Default: `not a valid torrent`. */
  readonly what?: string;
  /** Where the torrent came from: a file name, a URL. */
  readonly source?: string | undefined;
  /** The key that is wrong, as `info.files[3].length`; or the byte, as `byte 17`. */
  readonly key: string;
  /** Why it is wrong. */
  readonly why: string;
  /** What the user can do about it. */
  readonly hint?: string;
  /** The error underneath. */
  readonly cause?: unknown;
}

/** A torrent that contradicts itself, lacks something, or is none at all. */
export class MetainfoError extends ShoalError {
  /** The name of the class, as errors show it. */
  override name = "MetainfoError";
  /** The key that is wrong, as `info.files[3].length`; or the byte, as `byte 17`, where it is not even bencode. */
  readonly key: string;

  /**
   * Makes an error.
   *
   * @param parts The words of the error line.
   */
  constructor(parts: MetainfoErrorParts) {
    super("torrent", {
      what: parts.what ?? "not a valid torrent",
      where: parts.source ? `${parts.source}, ${parts.key}` : parts.key,
      why: parts.why,
      ...(parts.hint === undefined ? {} : { hint: parts.hint }),
      ...(parts.cause === undefined ? {} : { cause: parts.cause }),
    });
    this.key = parts.key;
  }
}

/**
 * Throws a {@linkcode MetainfoError} about a key of the torrent that is being parsed.
 *
 * @param key The key, as `info.piece length`.
 * @param why A plain sentence that names the bad value.
 */
export type Fail = (key: string, why: string) => never;

/**
 * Notes what is wrong with the torrent that is being parsed, and passed over all the same.
 *
 * @param key The key, as `info.length`.
 * @param what A plain sentence that says what is wrong, and what is made of it.
 */
export type Warn = (key: string, what: string) => void;
