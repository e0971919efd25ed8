/**
 * What the bencode decoder throws.
 *
 * @module
 */

import { ShoalError } from "../base/errors.ts";

/** Input that is not valid bencode, or is past a limit. */
export class BencodeError extends ShoalError {
  override name = "BencodeError";
  /** The byte of the input at which it is wrong. */
  readonly offset: number;

  /**
   * @param offset The byte of the input at which it is wrong.
   * @param why What was expected and what was found.
   */
  constructor(offset: number, why: string) {
    super("torrent", { what: "not valid bencode", where: `byte ${offset}`, why });
    this.offset = offset;
  }
}
