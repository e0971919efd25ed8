/**
 * Torrents with large file trees and piece layers (BEP 52).
 *
 * @module
 */

import { type Bytes, concatBytes, utf8 } from "../../../src/base/bytes.ts";
import { merkle, rootLayer } from "../../../src/base/merkle.ts";

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
  | "files in 90 folders"
  | "files of one content"
  | "names with separators"
  | "links over links"
  | "a hybrid"
  | "a hybrid whose names differ by separators"
  | "a hybrid of empty files"
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
    case "files in 90 folders":
      return write(`${"1:ad".repeat(90)}${many((key) => file(key, 1, ROOT))}${"e".repeat(90)}`);
    case "files of one content": {
      const layer = "l".repeat(64);
      const files = many((key) => file(key, PIECE + 1, ROOT));
      // The root is no text, so it is put in afterwards.
      return withRoot(write(files, { layers: `32:${ROOT}64:${layer}` }), merkle.root(utf8(layer), { from: 0 }));
    }
    case "names with separators":
      return write(many((key) => `6:/${key}d0:d6:lengthi0eee`));
    case "links over links":
      return write(many((key) => {
        const next = (parseInt(key, 36) + 1).toString(36).padStart(5, "0");
        return `5:${key}d0:d4:attr1:l12:symlink pathl5:${next}eee`;
      }));
    case "a hybrid":
      return writeHybrid(room, (key) => [key, key]);
    case "a hybrid whose names differ by separators":
      return writeHybrid(room, (key) => [`/${key}`, `${key}/`]);
    case "a hybrid of empty files": {
      const keys = Array.from({ length: Math.floor(room / 60) }, (_, i) => i.toString(36).padStart(5, "0"));
      const list = keys.map((key) => `d6:lengthi0e4:pathl5:${key}ee`).join("");
      const tree = keys.map((key) => `5:${key}d0:d6:lengthi0eee`).join("");
      return write(`${tree}5:zzzzzd0:d6:lengthi1e11:pieces root32:${ROOT}ee`, {
        list: `5:filesl${list}d6:lengthi1e4:pathl5:zzzzzeee`,
        pieces: `6:pieces20:${"p".repeat(20)}`,
      });
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

/** Returns a hybrid whose files have a name in the list and one in the tree. */
function writeHybrid(room: number, namesOf: (key: string) => readonly [listed: string, inTree: string]): Bytes {
  const count = Math.floor(room / 200);
  const names = Array.from({ length: count }, (_, i) => namesOf(i.toString(36).padStart(5, "0")));
  const padding = "d4:attr1:p6:lengthi16383e4:pathl4:.pad5:16383ee";
  const list = names.map(([name]) => `d6:lengthi1e4:pathl${name.length}:${name}ee${padding}`).join("");
  const tree = names.map(([, name]) => file(name, 1, ROOT)).join("");
  return write(tree, { list: `5:filesl${list}e`, pieces: `6:pieces${20 * count}:${"p".repeat(20 * count)}` });
}

function withRoot(torrent: Bytes, root: Bytes): Bytes {
  const made = torrent.slice();
  const first = ROOT.charCodeAt(0);
  for (let at = 0; at + 32 <= made.length; at++) {
    if (made.subarray(at, at + 32).every((byte) => byte === first)) made.set(root, at);
  }
  return made;
}

function file(key: string, length: number, root: string): string {
  return `${key.length}:${key}d0:d6:lengthi${length}e11:pieces root32:${root}ee`;
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
