/**
 * Errors of torrent files.
 *
 * @module
 */

import { ShoalError } from "../base/errors.ts";

/** Parts of a {@linkcode MetainfoError}. */
export interface MetainfoErrorParts {
  /** What is wrong, in a few words. Default: `not a valid torrent`. */
  readonly what?: string;
  /** Origin of the torrent: a file name or URL. */
  readonly source?: string | undefined;
  /** Key at fault, such as `info.files[3].length`, or position, such as `byte 17`. */
  readonly key: string;
  /** Why the key is wrong. */
  readonly why: string;
  /** What the user can do. */
  readonly hint?: string;
  /** The underlying error. */
  readonly cause?: unknown;
}

/** A torrent is invalid, incomplete, or not a torrent at all. */
export class MetainfoError extends ShoalError {
  /** Name of the class. */
  override name = "MetainfoError";
  /** Key at fault, such as `info.files[3].length`, or position, such as `byte 17`, if the file is not valid bencode. */
  readonly key: string;

  /** Creates an error. */
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
 * Throws a {@linkcode MetainfoError} about a key of the torrent being parsed.
 *
 * @param key The key, such as `info.piece length`.
 * @param why A plain sentence that names the bad value.
 */
export type Fail = (key: string, why: string) => never;

/**
 * Records a problem of the torrent being parsed that does not prevent its use.
 *
 * @param key The key, such as `info.length`.
 * @param what A plain sentence that names the problem and how it is handled.
 */
export type Warn = (key: string, what: string) => void;
