/**
 * Where those who read a torrent's files get its bytes from, be it that they haven't been downloaded yet.
 *
 * @module
 */

import { Bitfield } from "../base/bitfield.ts";
import type { Bytes } from "../base/bytes.ts";
import type { Block, ReadTurns } from "../peer/mod.ts";
import type { Content } from "./content.ts";
import { Readers } from "./pieces/time_critical.ts";
import type { Shared } from "./torrent_options.ts";

/** What nobody has found out yet. */
const NOTHING = { have: new Bitfield(0), wants: () => true, prioritise() {} };

/** The reading side of one torrent; outlives its {@linkcode Content}, which is another one after an error or a re-check. */
export class ReadSource {
  /** Who reads. */
  readonly readers = new Readers(() => this.#content()?.download ?? NOTHING);
  readonly #shared: Pick<Shared, "platform" | "reads">;
  readonly #content: () => Content | null;

  /** @param parts `shared`: what the session shares. `content`: gives what the torrent holds; `null` while nobody knows. */
  constructor(parts: { readonly shared: Pick<Shared, "platform" | "reads">; readonly content: () => Content | null }) {
    this.#shared = parts.shared;
    this.#content = parts.content;
  }

  /** Lets others have a turn while peers send. */
  get reads(): ReadTurns {
    return this.#shared.reads;
  }

  /** Pieces that are verified and written. */
  get have(): Bitfield {
    return this.#content()?.have ?? NOTHING.have;
  }

  /** Milliseconds on the clock that never jumps. */
  now(): number {
    return this.#shared.platform.now();
  }

  /** Copies a block from the read cache, or returns `false` when it isn't there. */
  readBlock(block: Block, into: Bytes, at: number): boolean {
    return this.#content()?.readBlock(block, into, at) ?? false;
  }

  /**
   * Brings a block into the read cache.
   *
   * @throws {ShoalError} If it can't be read.
   */
  async loadBlock(index: number, begin: number, length: number): Promise<void> {
    await this.#content()?.loadBlock(index, begin, length);
  }
}
