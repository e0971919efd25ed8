/**
 * The error of the bencode decoder.
 *
 * @module
 */

import { ShoalError } from "../base/errors.ts";

/** The input is not valid bencode, or exceeds a limit. */
export class BencodeError extends ShoalError {
  override name = "BencodeError";
  /** Offset of the error in the input. */
  readonly offset: number;

  /**
   * @param offset Offset of the error in the input.
   * @param why What was expected and what was found.
   */
  constructor(offset: number, why: string) {
    super("torrent", { what: "not valid bencode", where: `byte ${offset}`, why });
    this.offset = offset;
  }
}
