/**
 * Torrents and files that the stream server serves, by URL path.
 *
 * @module
 */

import type { Metainfo } from "../metainfo/mod.ts";

/** A served file. */
export interface ServedFile {
  /** Index in the torrent's files. */
  readonly index: number;
  /** Safe path: folders, then the file name. */
  readonly path: readonly string[];
  /** Size in bytes. */
  readonly length: number;
}

/** A served torrent. */
export interface ServedTorrent {
  /** Info-hash, 40 hexadecimal digits. */
  readonly infohash: string;
  /** Name of the torrent. */
  readonly name: string;
  /** Served files, in the order of the torrent. */
  readonly files: readonly ServedFile[];
}

/** What a path refers to. */
export type Target =
  | { readonly kind: "index" }
  | { readonly kind: "torrent"; readonly torrent: ServedTorrent }
  | { readonly kind: "playlist"; readonly torrent: ServedTorrent }
  | { readonly kind: "file"; readonly torrent: ServedTorrent; readonly file: ServedFile };

/** A torrent, and its files by path. */
interface Entry {
  readonly torrent: ServedTorrent;
  readonly byPath: ReadonlyMap<string, ServedFile>;
}

/**
 * Maps paths to torrents and files:
 *
 * - `/`: all torrents;
 * - `/INFOHASH/`: the files of a torrent;
 * - `/INFOHASH.m3u`: a playlist of the torrent's media files;
 * - `/INFOHASH/path/of/file`: a file.
 *
 * Paths are looked up in the torrents, never on disk.
 */
export class Catalog {
  readonly #entries = new Map<string, Entry>();

  /** Served torrents, in the order in which they were added. */
  get torrents(): ServedTorrent[] {
    return Array.from(this.#entries.values(), ({ torrent }) => torrent);
  }

  /**
   * Adds a torrent. Padding files and symbolic links are not served.
   *
   * @param meta The torrent.
   * @param wanted Indexes of the files that are downloaded.
   * @returns The served torrent.
   */
  add(meta: Pick<Metainfo, "infoHash" | "name" | "files">, wanted: readonly number[]): ServedTorrent {
    const files: ServedFile[] = [];
    for (const index of wanted) {
      const { path, length, pad, symlink } = meta.files[index]!;
      if (!pad && symlink === null) files.push({ index, path, length });
    }
    const torrent = { infohash: meta.infoHash.hex, name: meta.name, files };
    const byPath = new Map(files.map((file) => [file.path.join("/"), file]));
    this.#entries.set(torrent.infohash, { torrent, byPath });
    return torrent;
  }

  /**
   * Removes a torrent. Does nothing if the torrent isn't served.
   *
   * @param infohash Info-hash, 40 hexadecimal digits.
   */
  remove(infohash: string): void {
    this.#entries.delete(infohash);
  }

  /**
   * Looks up a path.
   *
   * @param path Path of the request, percent-encoded.
   * @returns What the path refers to, or `null`.
   */
  find(path: string): Target | null {
    if (path === "/") return { kind: "index" };
    const match = /^\/([0-9a-f]{40})(\.m3u$|\/)(.*)$/i.exec(path);
    const entry = match && this.#entries.get(match[1]!.toLowerCase());
    if (!entry) return null;
    const { torrent } = entry;
    if (match[2] !== "/") return { kind: "playlist", torrent };
    if (match[3] === "") return { kind: "torrent", torrent };
    const names = decode(match[3]!);
    const file = names === null ? undefined : entry.byPath.get(names.join("/"));
    return file === undefined ? null : { kind: "file", torrent, file };
  }
}

/** Returns the path of a torrent's page, with slashes at both ends. */
export function torrentPath(torrent: Pick<ServedTorrent, "infohash">): string {
  return `/${torrent.infohash}/`;
}

/** Returns the path of a torrent's playlist, with a leading slash. */
export function playlistPath(torrent: Pick<ServedTorrent, "infohash">): string {
  return `/${torrent.infohash}.m3u`;
}

/** Returns the path of a file, escaped for a URL and for an HTML attribute. */
export function filePath(torrent: Pick<ServedTorrent, "infohash">, file: Pick<ServedFile, "path">): string {
  return torrentPath(torrent) + file.path.map(escapeName).join("/");
}

/**
 * Escapes all characters but letters, digits and `-_.~`. `encodeURIComponent` leaves others that have a meaning in HTML
 * or in a shell.
 */
function escapeName(name: string): string {
  return encodeURIComponent(name.toWellFormed())
    .replace(/[!'()*]/g, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`);
}

function decode(path: string): string[] | null {
  try {
    const names = path.split("/").map(decodeURIComponent);
    return names.some((name) => name.includes("/")) ? null : names;
  } catch {
    return null; // malformed percent-encoding
  }
}
