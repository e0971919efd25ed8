/**
 * Torrents of a folder `top` with files of made-up bytes, some of them in a folder `d`.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import type { Bytes } from "../../src/base/bytes.ts";
import type { Metainfo } from "../../src/metainfo/mod.ts";
import { denoPlatform as platform } from "../../src/platform/deno_platform.ts";
import { type CreateOptions, createTorrent } from "../../src/session/create_torrent.ts";
import { noise } from "./payload.ts";
import type { Lab } from "./session_lab.ts";

/** A torrent that was made. */
export interface Made {
  readonly meta: Metainfo;
  /** The torrent file. */
  readonly bytes: Bytes;
  /** Folder that has the torrent's folder. */
  readonly source: string;
}

/** The files of a torrent. */
export class MadeTree {
  /** Lengths of the files by their paths. */
  readonly #files: readonly [path: string, length: number][];

  constructor(lengths: Readonly<Record<string, number>>) {
    this.#files = Object.entries(lengths);
  }

  /** Writes the files, and makes a torrent of them. */
  async make(lab: Lab, version: "v2" | "hybrid", options: Partial<CreateOptions> = {}): Promise<Made> {
    const source = lab.make("source");
    lab.make("source/top/d");
    for (const [path, length] of this.#files) Deno.writeFileSync(`${source}/top/${path}`, noise(length, length + 1));
    const made = await createTorrent(`${source}/top`, { platform, version, pieceLength: 32_768, ...options });
    return { ...made, source };
  }

  /** Checks that a folder holds the files, byte by byte. */
  assertIn(folder: string): void {
    for (const [path, length] of this.#files) {
      assertEquals(Deno.readFileSync(`${folder}/top/${path}`), noise(length, length + 1), path);
    }
  }
}
