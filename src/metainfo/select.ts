/**
 * Selects files of a torrent: by number, by glob, or by the `so` parameter of a magnet link (BEP 53).
 *
 * A selection is parsed before the torrent is known, since a magnet link has no list of files yet, and applied later.
 *
 * @module
 */

import { globToRegExp } from "npm:deno-std@1.4.0/path/posix/glob_to_regexp.js";
import { ShoalError } from "../base/errors.ts";
import type { Metainfo, MetainfoFile } from "./metainfo.ts";

/** Maximum length of a selection in characters: a command line, or thousands of ranges in a magnet link. */
export const MAX_CHOICE_LENGTH = 32 * 1024;

/** An inclusive range of numbers. */
interface Range {
  readonly first: number;
  readonly last: number;
}

/**
 * A parsed selection. `numbers`: file numbers as the `info` command prints them, from 1 and without padding. `indexes`:
 * indexes in the torrent's list of files, from 0 and with padding, as in BEP 53. `glob`: names or paths.
 */
export type FileChoice =
  | { readonly kind: "numbers" | "indexes"; readonly from: string; readonly ranges: readonly Range[] }
  | { readonly kind: "glob"; readonly from: string; readonly pattern: string };

/** A selection is invalid, or selects no file of the torrent. */
export class SelectionError extends ShoalError {
  override name = "SelectionError";

  /**
   * @param where The selection as written, such as `--files 7`.
   * @param why What is wrong, as a plain sentence.
   */
  constructor(where: string, why: string) {
    super("usage", { what: "cannot choose files", where, why });
  }
}

/**
 * Parses a selection by the user: numbers such as `1,3-5`, or else a glob such as `*.mkv`. A glob without a slash is
 * matched against file names in any folder, and a glob with a slash against paths, with or without the torrent's
 * folder. Text that equals a name or path exactly selects that file.
 *
 * @param flag The command-line option, for errors.
 * @throws {SelectionError} If a number is 0, a range runs backwards, or the text is empty or too long.
 */
export function parseFileChoice(text: string, flag: string): FileChoice {
  const from = `${flag} ${shown(text)}`;
  checkLength(text, from);
  if (text === "") throw new SelectionError(from, "file numbers like 1,3-5 or a glob like *.mkv were expected");
  if (/^[\d,\s-]+$/.test(text)) return { kind: "numbers", from, ranges: parseRanges(text, { from, least: 1 }) };
  return { kind: "glob", from, pattern: text };
}

/**
 * Parses the `so` parameter of a magnet link (BEP 53), such as `0,2,4,6-8`.
 *
 * @throws {SelectionError} If the value is anything else.
 */
export function parseSelectOnly(text: string): FileChoice {
  const from = `so=${shown(text)}`;
  checkLength(text, from);
  return { kind: "indexes", from, ranges: parseRanges(text, { from, least: 0 }) };
}

/**
 * Applies selections to a torrent.
 *
 * @param choices One or more selections. A file is selected if any selection names it.
 * @returns Indexes into `meta.files`. Padding is never selected.
 * @throws {SelectionError} If a file number does not exist, or a glob matches no file.
 */
export function selectFiles(
  meta: Pick<Metainfo, "name" | "files">,
  choices: readonly FileChoice[],
): ReadonlySet<number> {
  const numbered = numberedFiles(meta.files);
  const chosen = new Set<number>();
  for (const choice of choices) {
    if (choice.kind === "glob") addMatches(chosen, { choice, meta, numbered });
    else addRanges(chosen, { choice, meta, numbered });
  }
  return chosen;
}

/**
 * Returns the files that have a number, which is all but padding.
 *
 * @returns Indexes of the files, starting with file number 1.
 */
export function numberedFiles(files: readonly Pick<MetainfoFile, "pad">[]): number[] {
  return [...files.keys()].filter((index) => !files[index]!.pad);
}

/** A selection, and the torrent to which it is applied. */
interface Target<Choice> {
  readonly choice: Choice;
  readonly meta: Pick<Metainfo, "name" | "files">;
  readonly numbered: readonly number[];
}

function addRanges(chosen: Set<number>, target: Target<FileChoice & { readonly kind: "numbers" | "indexes" }>): void {
  const { choice, meta, numbered } = target;
  const isIndex = choice.kind === "indexes";
  const [least, most] = isIndex ? [0, meta.files.length - 1] : [1, numbered.length];
  for (const { first, last } of choice.ranges) {
    // Check before iterating: a link may name a billion files.
    if (last > most) {
      const bad = first > most ? first : last;
      const name = JSON.stringify(meta.name);
      throw new SelectionError(choice.from, `there is no file ${bad}: those of ${name} are ${least} to ${most}`);
    }
    for (let number = first; number <= last; number++) {
      const index = isIndex ? number : numbered[number - 1]!;
      if (!meta.files[index]!.pad) chosen.add(index);
    }
  }
}

function addMatches(
  chosen: Set<number>,
  { choice, meta, numbered }: Target<FileChoice & { readonly kind: "glob" }>,
): void {
  const { pattern, from } = choice;
  const isPath = pattern.includes("/");
  const textsOf = (path: readonly string[]) => isPath ? [path.join("/"), path.slice(1).join("/")] : [path.at(-1)!];
  const select = (matches: (text: string) => boolean): number[] => {
    const isChosen = (path: readonly string[] | undefined) => path !== undefined && textsOf(path).some(matches);
    // Match the safe paths, as `info` prints them, or else the paths as written in the torrent.
    const found = numbered.filter((index) => isChosen(meta.files[index]!.path));
    return found.length > 0 ? found : numbered.filter((index) => isChosen(meta.files[index]!.own));
  };
  // Try an exact match first: many names contain brackets, and a copied name means that file, not a glob.
  let found = select((text) => text === pattern);
  if (found.length === 0) {
    const regExp = compileGlob(pattern, from);
    found = select((text) => regExp.test(text));
  }
  if (found.length === 0) throw new SelectionError(from, `no file of ${JSON.stringify(meta.name)} matches`);
  for (const index of found) chosen.add(index);
}

/**
 * Compiles a glob.
 *
 * @param from Origin of the glob for the error, such as `--files *.mkv`.
 * @returns Regular expression for names or paths.
 * @throws {SelectionError} If the text is not a valid glob.
 */
export function compileGlob(pattern: string, from: string): RegExp {
  try {
    return globToRegExp(pattern);
  } catch (error) {
    // The library copies character classes unchanged, so a class such as `[z-a]` does not compile.
    if (!(error instanceof SyntaxError)) throw error;
    throw new SelectionError(from, "it is not a glob: a range in brackets runs backwards, perhaps");
  }
}

function parseRanges(text: string, { from, least }: { readonly from: string; readonly least: number }): Range[] {
  const ranges = text.split(",").map((part): Range => {
    const match = /^(\d{1,9})(?:-(\d{1,9}))?$/.exec(part.trim());
    if (match === null) {
      throw new SelectionError(from, `"${shown(part)}" is neither a file number nor a range like 3-5`);
    }
    const first = Number(match[1]);
    const last = Number(match[2] ?? match[1]);
    if (first < least) throw new SelectionError(from, `files are numbered from ${least} on, got ${first}`);
    if (last < first) throw new SelectionError(from, `the range ${first}-${last} runs backwards`);
    return { first, last };
  });
  return merged(ranges);
}

/** Sorts and merges ranges: a link could name all files of a large torrent a thousand times. */
function merged(ranges: readonly Range[]): Range[] {
  const result: { first: number; last: number }[] = [];
  for (const { first, last } of ranges.toSorted((a, b) => a.first - b.first)) {
    const before = result.at(-1);
    if (before !== undefined && first <= before.last + 1) before.last = Math.max(before.last, last);
    else result.push({ first, last });
  }
  return result;
}

function checkLength(text: string, from: string): void {
  if (text.length <= MAX_CHOICE_LENGTH) return;
  throw new SelectionError(from, `it has ${text.length} characters, at most ${MAX_CHOICE_LENGTH} are accepted`);
}

/** Shortens a text for an error line. */
function shown(text: string): string {
  return text.length <= 60 ? text : `${text.slice(0, 57)}...`;
}
