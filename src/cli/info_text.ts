/**
 * What a torrent holds, for people.
 *
 * @module
 */

import type { TorrentDescription } from "../metainfo/mod.ts";
import { formatCount, formatPlural, formatSize } from "../ui/format.ts";
import { printable } from "../ui/printable.ts";

/** Cells before the values. */
const LABEL_WIDTH = 12;
const SIZE_WIDTH = 8;

/**
 * A torrent in lines of text.
 *
 * @param torrent The torrent.
 * @returns Lines without their ends; nothing from outside can do harm to a terminal.
 */
export function infoLines(torrent: TorrentDescription): string[] {
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
  return [...lines.map(printable), ...fileLines(torrent)];
}

/**
 * The most important things about a torrent that was made just now.
 *
 * @param torrent The torrent.
 * @returns Lines without their ends; nothing from outside can do harm to a terminal.
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
    ...field("info-hash", torrent.infohash),
    ...field("info-hash v2", torrent.infohash_v2),
  ];
}

function field(label: string, value: string | null): string[] {
  return value === null ? [] : [`  ${label.padEnd(LABEL_WIDTH)} ${value}`];
}

function tierLine(url: string, { tier, of }: { readonly tier: number; readonly of: number }): string {
  return of === 1 ? url : `${tier + 1}: ${url}`;
}

/**
 * The tree of files with their numbers; folders stand above what they hold, with the sum of what is shown of it.
 *
 * @param torrent The torrent.
 * @param isShown Whether the file of a number is shown; all are when absent.
 * @returns Lines without their ends; nothing from outside can do harm to a terminal.
 */
export function fileLines(torrent: TorrentDescription, isShown: (number: number) => boolean = () => true): string[] {
  const files = torrent.files.filter((file) => !file.pad);
  const width = Math.max(2, files.length.toString().length);
  const lines = [`  ${"#".padStart(width)}  ${"SIZE".padStart(SIZE_WIDTH)}  FILE`];
  const sums = folderSums(files.filter((_, i) => isShown(i + 1)));
  let open: readonly string[] = [];
  for (const [i, file] of files.entries()) {
    if (!isShown(i + 1)) continue;
    const path = file.path.split("/");
    const folders = path.slice(0, -1);
    const same = commonLength(open, folders);
    for (let depth = same; depth < folders.length; depth++) {
      const size = formatSize(sums.get(folders.slice(0, depth + 1).join("/"))!).padStart(SIZE_WIDTH);
      lines.push(`  ${" ".repeat(width)}  ${size}  ${"  ".repeat(depth)}${folders[depth]}/`);
    }
    open = folders;
    const number = (i + 1).toString().padStart(width);
    const name = `${"  ".repeat(folders.length)}${path.at(-1)}`;
    lines.push(`  ${number}  ${formatSize(file.length).padStart(SIZE_WIDTH)}  ${name}`);
  }
  return lines.map(printable);
}

function folderSums(files: TorrentDescription["files"]): Map<string, number> {
  const sums = new Map<string, number>();
  for (const { path, length } of files) {
    for (let end = path.indexOf("/"); end >= 0; end = path.indexOf("/", end + 1)) {
      const folder = path.slice(0, end);
      sums.set(folder, (sums.get(folder) ?? 0) + length);
    }
  }
  return sums;
}

function commonLength(a: readonly string[], b: readonly string[]): number {
  let length = 0;
  while (length < a.length && length < b.length && a[length] === b[length]) length++;
  return length;
}
