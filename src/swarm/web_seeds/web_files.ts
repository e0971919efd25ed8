/**
 * Maps byte ranges of a torrent to requests to a web seed: URLs and ranges of files (BEP 19).
 *
 * @module
 */

import { isFolder, layoutOf, type Metainfo, originalPaths } from "../../metainfo/mod.ts";
import { FileMap } from "../../storage/layout.ts";

/** A part of the torrent that one request fetches. */
export interface WebPart {
  /** URL of the request; `null` for the zeros of a padding file (BEP 47), which need no request. */
  readonly url: string | null;
  /** Offset of the first byte in the torrent. */
  readonly at: number;
  /** Number of bytes. */
  readonly length: number;
  /** Offset of the first byte in the resource that the URL names. */
  readonly first: number;
  /** Size of that resource in bytes. */
  readonly size: number;
  /** Index of the file; -1 for padding. */
  readonly file: number;
}

/** What all web seeds of a torrent share; large for a large torrent. */
export class WebFiles {
  /** Where the torrent's bytes are in its files. */
  readonly map: FileMap;
  /** Paths of the files as given in the torrent. */
  readonly paths: readonly (readonly Uint8Array[])[];
  /** Whether the torrent has a list of files. */
  readonly isFolder: boolean;

  constructor(meta: Metainfo) {
    this.map = new FileMap(layoutOf(meta));
    this.paths = originalPaths(meta);
    this.isFolder = isFolder(meta);
  }
}

/** The requests that a web seed gets (BEP 19, `url-list`). */
export class FileParts {
  readonly #map: FileMap;
  readonly #urlOf: (file: number) => string;

  /**
   * @param url The URL as given in the torrent.
   * @param files Files of the torrent.
   */
  constructor(url: string, files: WebFiles) {
    this.#map = files.map;
    this.#urlOf = fileUrls(url, files);
  }

  /**
   * Returns the requests for a byte range of the torrent, in order.
   *
   * @param begin Offset of the first byte in the torrent.
   * @param end Offset after the last byte.
   */
  parts(begin: number, end: number): WebPart[] {
    const found: WebPart[] = [];
    const zeros = (at: number, until: number) => {
      if (at < until) found.push({ url: null, at, length: until - at, first: 0, size: 0, file: -1 });
    };
    let at = begin;
    for (const range of this.#map.ranges(begin, end - begin)) {
      zeros(at, begin + range.at);
      at = begin + range.at;
      const { file, length, position: first } = range;
      found.push({ url: this.#urlOf(file), at, length, first, size: this.#map.layout.files[file]!.length, file });
      at += length;
    }
    zeros(at, end);
    return found;
  }

  /** Returns the first piece of a file, and the piece after its last. */
  piecesOf(file: number): { readonly first: number; readonly end: number } {
    return this.#map.piecesOfFile(file);
  }
}

/**
 * Returns a function from a file's index to its URL at a web seed (BEP 19). Where the BEP leaves it open, the URLs are
 * those that libtorrent and aria2 request: the slash after a folder may be missing, and everything in the URL is kept,
 * including a query.
 *
 * @param url The URL as given in the torrent: of the file, or of the folder that holds the torrent's file or folder.
 * @param files Files of the torrent.
 */
function fileUrls(url: string, files: Pick<WebFiles, "paths" | "isFolder">): (file: number) => string {
  const base = withoutFragment(url);
  const { paths } = files;
  if (!files.isFolder) {
    const single = base.endsWith("/") ? base + percentName(paths[0]![0]!) : base;
    return () => single;
  }
  const folder = base.endsWith("/") ? base : `${base}/`;
  return (file) => folder + paths[file]!.filter((name) => !isDots(name)).map(percentName).join("/");
}

function withoutFragment(url: string): string {
  return url.split("#", 1)[0]!;
}

/** Returns `true` for an empty name, `.` and `..`, which would change the path. Storage leaves them out as well. */
function isDots(name: Uint8Array): boolean {
  return name.length <= 2 && name.every((byte) => byte === 0x2e);
}

/** Encodes a name as one path component: all but the unreserved characters (RFC 3986) are escaped. */
function percentName(name: Uint8Array): string {
  let text = "";
  for (const byte of name) {
    const character = String.fromCharCode(byte);
    text += /[A-Za-z0-9._~-]/.test(character) ? character : `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
  }
  return text;
}
