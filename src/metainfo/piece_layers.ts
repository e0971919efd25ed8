/**
 * Parses the piece layers of a v2 or hybrid torrent (BEP 52).
 *
 * @module
 */

import { type Bytes, equalBytes, toHex } from "../base/bytes.ts";
import { HASH_BYTES, merkle, pieceLayer, rootLayer } from "../base/merkle.ts";
import { plural } from "../base/plural.ts";
import { BencodeDict, keyOf } from "../bencode/mod.ts";
import type { Fail, Warn } from "./errors.ts";
import type { MetainfoFile } from "./metainfo.ts";
import { describeValue } from "./values.ts";

const KEY = "piece layers";

/** Context for parsing piece layers. */
export interface LayersContext {
  /** Length of a piece in bytes. */
  readonly pieceLength: number;
  /** Whether data can be verified by SHA-1, so that no layers are needed. */
  readonly hasSha1: boolean;
  /** Rejects the torrent. */
  readonly fail: Fail;
  /** Records a problem that is tolerated. */
  readonly warn: Warn;
}

/**
 * Reads the piece layers of files that are longer than a piece. Layers that are missing can be fetched from peers; a
 * layer that is wrong, or that no file needs, makes the torrent invalid, as in libtorrent.
 *
 * @param torrent The torrent file.
 * @param files The torrent's files.
 * @param context See {@linkcode LayersContext}.
 * @returns The files, with their layers.
 * @throws {MetainfoError} Through `context.fail`.
 */
export function readPieceLayers(
  torrent: BencodeDict,
  files: readonly MetainfoFile[],
  { pieceLength, hasSha1, fail, warn }: LayersContext,
): readonly MetainfoFile[] {
  const value = torrent.get(KEY);
  if (value !== undefined && !(value instanceof BencodeDict)) {
    warn(KEY, `expected a dictionary, found ${describeValue(value)}`);
  }
  const dict = value instanceof BencodeDict ? value : undefined;
  const layers = new Map<string, { readonly layer: Bytes; readonly length: number }>();
  const missing = new Set<string>();
  const withLayers = files.map((file) => {
    if (!file.root || file.length <= pieceLength) return file;
    const root = toHex(file.root);
    let known = layers.get(root);
    if (known === undefined) {
      if (missing.has(root)) return file;
      const found = dict?.get(keyOf(file.root));
      if (found === undefined) {
        missing.add(root);
        return file;
      }
      if (!(found instanceof Uint8Array)) return fail(KEY, `expected hashes, found ${describeValue(found)}`);
      known = { layer: found.slice(), length: file.length };
      checkLayer(known.layer, file, { pieceLength, fail });
      layers.set(root, known);
    } else if (known.length !== file.length) checkLayer(known.layer, file, { pieceLength, fail });
    return { ...file, layer: known.layer };
  });
  if (missing.size > 0 && !hasSha1) {
    warn(KEY, `those of ${plural(missing.size, "file")} are missing, so that peers have to send them`);
  }
  checkNeeded(dict, layers, fail);
  return withLayers;
}

/** Checks that a layer leads to the root of its file. */
function checkLayer(
  layer: Bytes,
  { root, length }: MetainfoFile,
  { pieceLength, fail }: Pick<LayersContext, "pieceLength" | "fail">,
): void {
  const needed = Math.ceil(length / pieceLength) * HASH_BYTES;
  if (layer.length !== needed) {
    fail(KEY, `a file of ${length} bytes needs ${needed} bytes of hashes, found ${layer.length}`);
  }
  const computed = merkle.root(layer, { from: pieceLayer(pieceLength), to: rootLayer(length) });
  if (!equalBytes(computed, root!)) fail(KEY, `the hashes of a file don't lead to its root ${toHex(root!)}`);
}

function checkNeeded(dict: BencodeDict | undefined, layers: ReadonlyMap<string, unknown>, fail: Fail): void {
  for (const [key] of dict?.pairs() ?? []) {
    const root = toHex(Uint8Array.from(key, (char) => char.charCodeAt(0)));
    if (!layers.has(root)) fail(KEY, `the root ${root.slice(0, 64)} is of no file that is longer than a piece`);
  }
}
