/**
 * What there is to be served, by the paths of URLs.
 *
 * @module
 */

import type { Metainfo } from "../metainfo/mod.ts";

/** A file that is served. */
export interface ServedFile {
  /** Index into the torrent's files. */
  readonly index: number;
  /** Folders, then the name; safe ones. */
  readonly path: readonly string[];
  /** Bytes. */
  readonly length: number;
}

/** A torrent that is served. */
export interface ServedTorrent {
  /** 40 hexadecimal digits. */
  readonly infohash: string;
  /** Its name. */
  readonly name: string;
  /** Its files, in its order. */
  readonly files: readonly ServedFile[];
}

/** What a path stands for. */
export type Target =
  | { readonly kind: "index" }
  | { readonly kind: "torrent"; readonly torrent: ServedTorrent }
  | { readonly kind: "playlist"; readonly torrent: ServedTorrent }
  | { readonly kind: "file"; readonly torrent: ServedTorrent; readonly file: ServedFile };

/** A torrent, and its files by their paths. */
interface Entry {
  readonly torrent: ServedTorrent;
  readonly byPath: ReadonlyMap<string, ServedFile>;
}

/**
 * Torrents and their files:
 *
 * - `/`: all torrents;
 * - `/INFOHASH/`: the files of one;
 * - `/INFOHASH.m3u`: what a player can play of it;
 * - `/INFOHASH/path/of/file`: a file.
 *
 * Paths are looked up in the torrents, never on disk.
 */
export class Catalog {
  readonly #entries = new Map<string, Entry>();

  /** The torrents, in the order in which they were added. */
  get torrents(): ServedTorrent[] {
    return Array.from(this.#entries.values(), ({ torrent }) => torrent);
  }

  /**
   * Adds a torrent. Padding and symbolic links are left out.
   *
   * @param meta What it holds.
   * @param wanted Indexes of the files that are downloaded.
   * @returns What is served of it.
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
   * Removes a torrent.
   *
   * @param infohash 40 hexadecimal digits; harmless when there is none.
   */
  remove(infohash: string): void {
    this.#entries.delete(infohash);
  }

  /**
   * Looks up a path.
   *
   * @param path As it stands in the request, with its percent signs.
   * @returns What it stands for, or `null`.
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

/**
 * The path of a torrent's page.
 *
 * @param torrent The torrent.
 * @returns It, with its slashes.
 */
export function torrentPath(torrent: Pick<ServedTorrent, "infohash">): string {
  return `/${torrent.infohash}/`;
}

/**
 * The path of a torrent's playlist.
 *
 * @param torrent The torrent.
 * @returns It, with its slash.
 */
export function playlistPath(torrent: Pick<ServedTorrent, "infohash">): string {
  return `/${torrent.infohash}.m3u`;
}

/**
 * The path of a file, escaped.
 *
 * @param torrent Its torrent.
 * @param file The file.
 * @returns It, fit for a URL and for an attribute of HTML.
 */
export function filePath(torrent: Pick<ServedTorrent, "infohash">, file: Pick<ServedFile, "path">): string {
  return torrentPath(torrent) + file.path.map(escapeName).join("/");
}

/** All but letters, digits and `-_.~` is escaped: what else `encodeURIComponent` leaves has a meaning in HTML, or in a shell. */
function escapeName(name: string): string {
  return encodeURIComponent(name.toWellFormed())
    .replace(/[!'()*]/g, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`);
}

function decode(path: string): string[] | null {
  try {
    const names = path.split("/").map(decodeURIComponent);
    return names.some((name) => name.includes("/")) ? null : names;
  } catch {
    return null; // a percent sign with no byte behind it
  }
}
