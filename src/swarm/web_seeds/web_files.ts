/**
 * What to ask a web seed for: from bytes of the torrent to URLs and ranges (BEP 19).
 *
 * @module
 */

import { isFolder, type Metainfo, originalPaths } from "../../metainfo/mod.ts";
import { FileMap } from "../../storage/layout.ts";

/** Bytes of a torrent that one request brings. */
export interface WebPart {
  /** Where to ask for them; `null` for zeros of padding (BEP 47), which nobody has to send. */
  readonly url: string | null;
  /** First byte, counted over the whole torrent. */
  readonly at: number;
  /** Bytes. */
  readonly length: number;
  /** First byte in what the URL names. */
  readonly first: number;
  /** Bytes of what the URL names. */
  readonly size: number;
  /** Index of the file; -1 for padding. */
  readonly file: number;
}

/** What all web seeds of a torrent have in common; large for a large torrent. */
export class WebFiles {
  /** Where its bytes are. */
  readonly map: FileMap;
  /** Its files as it names them itself. */
  readonly paths: readonly (readonly Uint8Array[])[];
  /** Whether it has a list of files. */
  readonly isFolder: boolean;

  /** @param meta The torrent. */
  constructor(meta: Metainfo) {
    this.map = new FileMap(meta);
    this.paths = originalPaths(meta);
    this.isFolder = isFolder(meta);
  }
}

/** The requests that a web seed gets (BEP 19, `url-list`). */
export class FileParts {
  readonly #map: FileMap;
  readonly #urlOf: (file: number) => string;

  /**
   * @param url As it stands in the torrent.
   * @param files The torrent's.
   */
  constructor(url: string, files: WebFiles) {
    this.#map = files.map;
    this.#urlOf = fileUrls(url, files);
  }

  /**
   * @param begin First byte, counted over the whole torrent.
   * @param end The byte after the last.
   * @returns What to ask for, in order.
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

  /** @returns The first piece of a file, and the one after its last. */
  piecesOf(file: number): { readonly first: number; readonly end: number } {
    return this.#map.piecesOfFile(file);
  }
}

/**
 * The URLs of a torrent's files at a web seed (BEP 19). Where the BEP leaves it open they are those that libtorrent and aria2
 * ask for: a folder's URL may lack its slash, and whatever the URL holds is kept as it is, a query too.
 *
 * @param url As it stands in the torrent: of the file, or of the folder that holds the torrent's file or folder.
 * @param files The torrent's.
 * @returns A function from a file's index to its URL.
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

/** Names that would lead somewhere else, or nowhere. Storage knows neither. */
function isDots(name: Uint8Array): boolean {
  return name.length <= 2 && name.every((byte) => byte === 0x2e);
}

/** A name as one component of a path: all but the unreserved characters (RFC 3986) are escaped. */
function percentName(name: Uint8Array): string {
  let text = "";
  for (const byte of name) {
    const character = String.fromCharCode(byte);
    text += /[A-Za-z0-9._~-]/.test(character) ? character : `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
  }
  return text;
}
