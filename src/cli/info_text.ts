/**
 * Describes the contents of a torrent in lines of text.
 *
 * @module
 */

import {
  describe,
  type FileChoice,
  type Metainfo,
  numberedFiles,
  selectFiles,
  type TorrentDescription,
} from "../metainfo/mod.ts";
import { formatCount, formatPlural, formatSize } from "../ui/format.ts";
import { jsonText } from "../ui/json_text.ts";
import { printable } from "../ui/printable.ts";

/** Width of the labels, in cells. */
const LABEL_WIDTH = 12;
const SIZE_WIDTH = 8;
/** Most nested folders that have a line each. Deeper ones would be indented out of sight. */
const MAX_LEVELS = 16;

/**
 * Describes a torrent.
 *
 * @param torrent The torrent.
 * @returns Lines without line ends, generated on demand, with text from outside made safe for a terminal.
 */
export function* infoLines(torrent: TorrentDescription): Generator<string> {
  const more = [
    ...field("private", torrent.private ? "yes: peers come from its trackers only" : null),
    ...torrent.trackers.flatMap((tier, i) =>
      tier.flatMap((url, k) =>
        field(i + k === 0 ? "trackers" : "", tierLine(url, { tier: i, of: torrent.trackers.length }))
      )
    ),
    ...torrent.web_seeds.flatMap((url, i) => field(i === 0 ? "web seeds" : "", url)),
    ...torrent.nodes.flatMap(({ host, port }, i) => field(i === 0 ? "DHT nodes" : "", `${host}:${port}`)),
    ...field(
      "created",
      [torrent.created_at, torrent.created_by && `by ${torrent.created_by}`].filter(Boolean).join(" ") || null,
    ),
    ...field("comment", torrent.comment),
  ];
  const lines = [torrent.name, ...sizeLines(torrent), ...more, ...field("magnet", torrent.magnet), ""];
  yield* lines.map(printable);
  yield* fileLines(torrent);
}

/**
 * Describes a torrent that was just made: name, size, pieces, info-hash, magnet link.
 *
 * @param torrent The torrent.
 * @returns Lines without line ends, with text from outside made safe for a terminal.
 */
export function summaryLines(torrent: TorrentDescription): string[] {
  const lines = [...field("name", torrent.name), ...sizeLines(torrent), ...field("magnet", torrent.magnet)];
  return lines.map(printable);
}

function sizeLines(torrent: TorrentDescription): string[] {
  const files = torrent.files.filter((file) => !file.pad);
  const count = files.length === 1 ? "1 file" : formatPlural(files.length, "file");
  return [
    ...field("size", `${formatSize(torrent.size)} (${formatCount(torrent.size)} bytes) in ${count}`),
    ...field("pieces", `${formatCount(torrent.pieces)} of ${formatSize(torrent.piece_length)}`),
    ...field("version", VERSIONS[torrent.version]),
    ...field("info-hash", torrent.infohash),
    ...field("info-hash v2", torrent.infohash_v2),
  ];
}

/** What is said about the version of a torrent. Most are v1, which goes without saying. */
const VERSIONS = { v1: null, v2: "v2 only (BEP 52)", hybrid: "v1 and v2 in one (BEP 52)" } as const;

function field(label: string, value: string | null): string[] {
  return value === null ? [] : [`  ${label.padEnd(LABEL_WIDTH)} ${value}`];
}

function tierLine(url: string, { tier, of }: { readonly tier: number; readonly of: number }): string {
  return of === 1 ? url : `${tier + 1}: ${url}`;
}

/**
 * Lists files as a tree, with their numbers. Each folder precedes its contents and shows the total size of the shown
 * files in it. Very deep folders share a line.
 *
 * @param torrent The torrent.
 * @param isShown Returns `true` if the file with a number is shown. All files are shown when absent.
 * @returns Lines without line ends, generated on demand, with text from outside made safe for a terminal.
 */
export function* fileLines(
  torrent: TorrentDescription,
  isShown: (number: number) => boolean = () => true,
): Generator<string> {
  const files = torrent.files.filter((file) => !file.pad);
  const width = Math.max(2, files.length.toString().length);
  yield `  ${"#".padStart(width)}  ${"SIZE".padStart(SIZE_WIDTH)}  FILE`;
  const sums = new FolderSums();
  for (const [i, { path, length }] of files.entries()) if (isShown(i + 1)) sums.add(path.split("/"), length);
  let open: readonly string[] = [];
  for (const [i, file] of files.entries()) {
    if (!isShown(i + 1)) continue;
    const path = file.path.split("/");
    const folders = path.slice(0, -1);
    const same = commonLength(open, folders);
    for (let depth = same; depth < folders.length;) {
      const end = depth < MAX_LEVELS ? depth + 1 : folders.length;
      const size = formatSize(sums.of(folders, end)).padStart(SIZE_WIDTH);
      yield printable(`  ${" ".repeat(width)}  ${size}  ${indent(depth)}${folders.slice(depth, end).join("/")}/`);
      depth = end;
    }
    open = folders;
    const number = (i + 1).toString().padStart(width);
    const size = formatSize(file.length).padStart(SIZE_WIDTH);
    yield printable(`  ${number}  ${size}  ${indent(folders.length)}${path.at(-1)}`);
  }
}

function indent(depth: number): string {
  return "  ".repeat(Math.min(depth, MAX_LEVELS + 1));
}

/** Sums the sizes of files per folder. Folders are identified by number, since paths can be long. */
class FolderSums {
  readonly #numbers = new Map<string, number>();
  readonly #sums: number[] = [0];
  /** Path of the last lookup. */
  #latest: readonly string[] = [];
  /** Numbers of the folders at the start of `#latest`, outermost first. */
  readonly #found: number[] = [];

  /** Adds the size of a file to all folders on its path. */
  add(path: readonly string[], length: number): void {
    this.#find(path, path.length - 1);
    for (let depth = 0; depth < path.length - 1; depth++) this.#sums[this.#found[depth]!]! += length;
  }

  /** Returns the sum of the folder at the first `end` names of `folders`. */
  of(folders: readonly string[], end: number): number {
    this.#find(folders, end);
    return this.#sums[this.#found[end - 1]!]!;
  }

  #find(path: readonly string[], end: number): void {
    let depth = 0;
    while (depth < end && depth < this.#found.length && path[depth] === this.#latest[depth]) depth++;
    this.#found.length = depth;
    for (; depth < end; depth++) {
      const key = `${this.#found[depth - 1] ?? 0}/${path[depth]}`;
      let number = this.#numbers.get(key);
      if (number === undefined) {
        number = this.#sums.push(0) - 1;
        this.#numbers.set(key, number);
      }
      this.#found.push(number);
    }
    this.#latest = path;
  }
}

function commonLength(a: readonly string[], b: readonly string[]): number {
  let length = 0;
  while (length < a.length && length < b.length && a[length] === b[length]) length++;
  return length;
}

/** Options for {@linkcode fileList}. */
export interface FileListOptions {
  /** Files that the user chose; `null` for all files. */
  readonly choices: readonly FileChoice[] | null;
  /**
   * Whether to list in JSON. JSON lists all files, each with its number (`null` for padding) and whether the file is
   * selected.
   */
  readonly json: boolean;
}

/**
 * Lists the files that would be downloaded.
 *
 * @param meta The torrent.
 * @param options See {@linkcode FileListOptions}.
 * @returns Lines without line ends, with text from outside made safe for a terminal.
 * @throws {SelectionError} If a chosen file doesn't exist.
 */
export function fileList(meta: Metainfo, { choices, json }: FileListOptions): Iterable<string> {
  const description = describe(meta);
  const numbered = numberedFiles(meta.files);
  const selected = choices === null ? new Set(numbered) : selectFiles(meta, choices);
  if (!json) return fileLines(description, (number) => selected.has(numbered[number - 1]!));
  const numbers = new Map(numbered.map((index, i) => [index, i + 1]));
  // The description leaves out the padding that a v2 torrent implies.
  const indexes = meta.version === "v2" ? numbered : [...meta.files.keys()];
  const all = description.files.map((file, i) => ({
    number: numbers.get(indexes[i]!) ?? null,
    ...file,
    selected: selected.has(indexes[i]!),
  }));
  return [jsonText({ ...description, files: all })];
}
