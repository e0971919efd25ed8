/**
 * The paths that a torrent really names, for those who have to name them to somebody else: a web server knows the file by the
 * name that its maker gave it, not by the one that we made safe.
 *
 * @module
 */

import { BencodeDict, BencodeList, decodeDict } from "../bencode/mod.ts";
import type { Metainfo } from "./metainfo.ts";
import { MAX_TORRENT_SIZE } from "./parse.ts";

/**
 * Reads the path of every file as it stands in the torrent: the torrent's name first, `.utf-8` variants preferred, as
 * {@linkcode Metainfo.files} does.
 *
 * @param meta A torrent.
 * @returns By file: names as bytes, in whatever charset. A file without a path has the torrent's name alone.
 */
export function originalPaths(meta: Pick<Metainfo, "info">): Uint8Array[][] {
  const info = decodeDict(meta.info, { maxSize: MAX_TORRENT_SIZE });
  const name = info.getBytes("name.utf-8") ?? info.getBytes("name") ?? new Uint8Array();
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

/**
 * Whether a torrent has a list of files, be it a list of one, rather than a single file.
 *
 * @param meta A torrent.
 * @returns Whether its name is that of a folder.
 */
export function isFolder(meta: Pick<Metainfo, "files">): boolean {
  return meta.files.length > 1 || meta.files[0]!.path.length > 1;
}
