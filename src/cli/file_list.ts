/**
 * The files of a torrent, as `download --list` prints them.
 *
 * @module
 */

import { describe, type FileChoice, type Metainfo, numberedFiles, selectFiles } from "../metainfo/mod.ts";
import { fileLines } from "./info_text.ts";
import { jsonText } from "../ui/json_text.ts";

/**
 * Lists the files that would be downloaded.
 *
 * @param meta The torrent.
 * @param options `choices`: what was asked for; `null` for everything. `json`: whether it is for a program: then all files are
 * there, each with its number (`null` for padding) and whether it is selected.
 * @returns Lines without their ends; nothing from outside can do harm to a terminal.
 * @throws {SelectionError} If there is no such file.
 */
export function fileList(
  meta: Metainfo,
  { choices, json }: { readonly choices: readonly FileChoice[] | null; readonly json: boolean },
): Iterable<string> {
  const description = describe(meta);
  const numbered = numberedFiles(meta.files);
  const selected = choices === null ? new Set(numbered) : selectFiles(meta, choices);
  if (!json) return fileLines(description, (number) => selected.has(numbered[number - 1]!));
  const numbers = new Map(numbered.map((index, i) => [index, i + 1]));
  const all = description.files.map((file, index) => ({
    number: numbers.get(index) ?? null,
    ...file,
    selected: selected.has(index),
  }));
  return [jsonText({ ...description, files: all })];
}
