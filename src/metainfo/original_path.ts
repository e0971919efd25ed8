/**
 * Original paths of a torrent's files, for URLs of web seeds: a web server has a file under the name that the creator
 * of the torrent gave it, not under the safe name.
 *
 * @module
 */

import { utf8 } from "../base/bytes.ts";
import { BencodeDict, BencodeList, decodeDict } from "../bencode/mod.ts";
import { leavesOf, singleName } from "./file_tree.ts";
import type { Metainfo } from "./metainfo.ts";
import { MAX_TORRENT_SIZE } from "./parse.ts";

/**
 * Reads the path of every file as written in the torrent. The torrent's name comes first. As in
 * {@linkcode Metainfo.files}, `.utf-8` variants are preferred.
 *
 * @returns One path per file, as names in the torrent's encoding. A single file has the torrent's name alone. Files of a
 * hybrid are those of its file tree. The padding that a file tree implies has the names that it has in `files`.
 */
export function originalPaths(meta: Pick<Metainfo, "info" | "files" | "infoHashV2">): Uint8Array[][] {
  const info = decodeDict(meta.info, { maxSize: MAX_TORRENT_SIZE });
  const name = info.getBytes("name.utf-8") ?? info.getBytes("name") ?? new Uint8Array();
  if (meta.infoHashV2 !== null) return pathsOfTree(info, { name, meta });
  const files = info.getList("files");
  if (files === undefined) return [[name]];
  const paths: Uint8Array[][] = [];
  for (const file of files) {
    const names = file instanceof BencodeDict ? file.getList("path.utf-8") ?? file.getList("path") : undefined;
    const path = [name];
    if (names instanceof BencodeList) { for (const part of names) if (part instanceof Uint8Array) path.push(part); }
    paths.push(path);
  }
  return paths;
}

function pathsOfTree(
  info: BencodeDict,
  { name, meta }: { readonly name: Uint8Array; readonly meta: Pick<Metainfo, "files"> },
): Uint8Array[][] {
  const tree = info.getDict("file tree")!;
  const single = singleName(info, tree);
  const top = single === null ? [name] : [];
  const leaves = leavesOf(tree);
  return meta.files.map(({ pad, path }) => {
    return pad ? path.map(utf8) : [...top, ...leaves.next().value!.names.map((part) => asBytes(part))];
  });
}

function asBytes(name: Uint8Array | string): Uint8Array {
  return typeof name === "string" ? utf8(name) : name;
}

/** Returns `true` if the torrent has a list of files, even a list of one, rather than a single file. */
export function isFolder(meta: Pick<Metainfo, "files">): boolean {
  return meta.files.length > 1 || meta.files[0]!.path.length > 1;
}
