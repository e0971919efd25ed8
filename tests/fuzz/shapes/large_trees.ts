/**
 * Torrents with large file trees and piece layers (BEP 52).
 *
 * @module
 */

import { type Bytes, concatBytes, utf8 } from "../../../src/base/bytes.ts";
import { rootLayer } from "../../../src/base/merkle.ts";
import { merkle } from "../../../src/platform/start_digest.ts";

const PIECE = 16_384;
const ROOT = "r".repeat(32);
/** Bytes that a torrent has besides what fills it. */
const FRAME = 200;

/** What fills a torrent. */
export type TreeFilling =
  | "empty files"
  | "files"
  | "empty folders"
  | "folders in each other"
  | "names that are not ASCII"
  | "a hybrid"
  | "a piece layer"
  | "piece layers of no file";

/**
 * Returns a torrent with a file tree.
 *
 * @param size Bytes of the torrent.
 */
export function torrentOfTree(size: number, filling: TreeFilling): Bytes {
  const room = size - FRAME;
  const many = (item: (key: string) => string): string => {
    let text = "";
    for (let i = 0; text.length < room; i++) text += item(i.toString(36).padStart(5, "0"));
    return text;
  };
  switch (filling) {
    case "empty files":
      return write(many((key) => `5:${key}d0:d6:lengthi0eee`));
    case "files":
      return write(many((key) => file(key, 1, ROOT)));
    case "empty folders":
      return write(many((key) => `5:${key}de`));
    case "folders in each other":
      return write(many((key) => `5:${key}${"d1:a".repeat(90)}d0:d6:lengthi0eee${"e".repeat(90)}`));
    case "names that are not ASCII":
      return write(many((key) => `7:\u00e9${key}d0:d6:lengthi0eee`));
    case "a hybrid": {
      const count = Math.floor(room / 200);
      const keys = Array.from({ length: count }, (_, i) => i.toString(36).padStart(5, "0"));
      const padding = "d4:attr1:p6:lengthi16383e4:pathl4:.pad5:16383ee";
      const list = keys.map((key) => `d6:lengthi1e4:pathl5:${key}ee${padding}`).join("");
      const tree = keys.map((key) => file(key, 1, ROOT)).join("");
      return write(tree, { list: `5:filesl${list}e`, pieces: `6:pieces${20 * count}:${"p".repeat(20 * count)}` });
    }
    case "a piece layer": {
      const count = Math.floor(room / 32);
      const layer = new Uint8Array(32 * count).fill(1);
      const root = merkle.root(layer, { from: 0, to: rootLayer(count * PIECE) });
      const before = utf8(`d4:infod9:file treed1:ad0:d6:lengthi${count * PIECE}e11:pieces root32:`);
      const after = utf8("eeee12:meta versioni2e4:name1:n12:piece lengthi16384ee12:piece layersd32:");
      return concatBytes([before, root, after.subarray(1), root, utf8(`${layer.length}:`), layer, utf8("ee")]);
    }
    case "piece layers of no file":
      return write(file("aaaaa", 1, ROOT), { layers: many((key) => `32:${key}${"y".repeat(27)}0:`) });
  }
}

function file(key: string, length: number, root: string): string {
  return `5:${key}d0:d6:lengthi${length}e11:pieces root32:${root}ee`;
}

function write(
  tree: string,
  { list = "", pieces = "", layers = "" }: {
    readonly list?: string;
    readonly pieces?: string;
    readonly layers?: string;
  } = {},
): Bytes {
  const info = `d9:file treed${tree}e${list}12:meta versioni2e4:name1:n12:piece lengthi16384e${pieces}e`;
  return utf8(`d4:info${info}12:piece layersd${layers}ee`);
}
