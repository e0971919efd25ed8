/**
 * A v2-only torrent (BEP 52) of the files of another, with data.
 *
 * @module
 */

import type { Bytes } from "../../src/base/bytes.ts";
import { layoutOf, type Metainfo, parseMetainfo } from "../../src/metainfo/mod.ts";
import type { StorageLayout } from "../../src/storage/mod.ts";
import type { Torrent } from "../storage/fixture.ts";
import { type Dict, type FileHashes, hashFile, layersOf, leaf, v2 } from "../support/v2_torrents.ts";

/** A v2-only torrent with data. */
export class V2Torrent implements Pick<Torrent, "layout" | "data" | "file" | "finalPaths"> {
  readonly meta: Metainfo;
  readonly layout: StorageLayout;
  readonly data: Bytes;

  /**
   * @param other A torrent whose files are below a folder `t`. Its padding is left out.
   */
  constructor(other: Torrent) {
    const { files, pieceLength } = other.layout;
    const tree: { [name: string]: Dict } = {};
    const hashed: FileHashes[] = [];
    for (const { path, length, pad, symlink } of files) {
      if (pad) continue;
      let node = tree;
      for (const name of path.slice(1)) node = (node[name] ??= {}) as typeof tree;
      if (symlink !== null) Object.assign(node, leaf({}, { attr: "l", "symlink path": symlink.slice(1) }));
      else if (length === 0) Object.assign(node, leaf({ length }));
      else {
        const hashes = hashFile(other.file(path.join("/")), pieceLength);
        Object.assign(node, leaf(hashes));
        if (length > pieceLength) hashed.push(hashes);
      }
    }
    const info = { name: "t", "piece length": pieceLength };
    this.meta = parseMetainfo(v2(tree, { info, layers: layersOf(...hashed) }));
    this.layout = layoutOf(this.meta);
    this.data = new Uint8Array(this.layout.totalLength);
    for (const { path, offset, length, pad } of this.layout.files) {
      if (length > 0 && !pad) this.data.set(other.file(path.join("/")), offset);
    }
  }

  file(path: string): Bytes {
    const file = this.layout.files.find((file) => file.path.join("/") === path)!;
    return this.data.slice(file.offset, file.offset + file.length);
  }

  finalPaths(folder: string): string[] {
    return this.layout.files.filter(({ pad }) => !pad).map((file) => `${folder}/${file.path.join("/")}`).sort();
  }
}
