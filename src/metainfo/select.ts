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

/** Numbers and ranges with commas. */
const NUMBERS = /^[\d,\s-]+$/;
/** Maximum length of a selection in characters: a command line, or thousands of ranges in a magnet link. */
export const MAX_CHOICE_LENGTH = 32 * 1024;

/** An inclusive range of numbers. `last` is infinite if the range has no end. */
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
 * Parses a selection by the user, which is a list with commas. Its items are:
 *
 * - numbers such as `2`, `3-5`, or `8-` for all from 8 on;
 * - globs such as `*.mkv`. A glob without a slash is matched against file names in any folder, and a glob with a slash
 *   against paths, with or without the torrent's folder;
 * - folders, which are globs with a slash at the end, such as `extras/`, for everything in them;
 * - any of these behind a `!`, for what isn't selected, whatever else selects it.
 *
 * Upper and lower case are the same. If the whole text is the name or path of a file, or a glob that matches, it isn't
 * taken for a list.
 *
 * @param flag The command-line option, for errors.
 * @throws {SelectionError} If a number is 0, a range runs backwards, or the text is empty or too long.
 */
export function parseFileChoice(text: string, flag: string): FileChoice {
  const from = `${flag} ${shown(text)}`;
  checkLength(text, from);
  if (text === "") throw new SelectionError(from, "file numbers like 1,3-5 or a glob like *.mkv were expected");
  if (NUMBERS.test(text)) return { kind: "numbers", from, ranges: parseRanges(text, { from, least: 1 }) };
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
 * @param choices One or more selections. A file is selected if any selection names it and none leaves it out, or if all
 * selections only leave files out.
 * @returns Indexes into `meta.files`. Padding is never selected.
 * @throws {SelectionError} If a file number does not exist, a glob that selects files matches none, or no file is left.
 */
export function selectFiles(
  meta: Pick<Metainfo, "name" | "files">,
  choices: readonly FileChoice[],
): ReadonlySet<number> {
  const numbered = numberedFiles(meta.files);
  const chosen = new Set<number>();
  const leftOut = new Set<number>();
  let choosesAny = false;
  for (const choice of choices) {
    const items: readonly Item[] = choice.kind === "glob" ? itemsOf(choice, { meta, numbered }) : [choice];
    for (const item of items) {
      choosesAny ||= !item.leavesOut;
      const files = item.leavesOut ? leftOut : chosen;
      if (item.kind === "files") { for (const index of item.files) files.add(index); }
      else addRanges(files, item, { meta, numbered });
    }
  }
  const selected = choosesAny ? chosen : new Set(numbered);
  for (const index of leftOut) selected.delete(index);
  if (selected.size === 0 && leftOut.size > 0) {
    const from = choices.map((choice) => choice.from).join(" ");
    throw new SelectionError(shown(from), `no file of ${JSON.stringify(meta.name)} is left`);
  }
  return selected;
}

/**
 * Returns the files that have a number, which is all but padding.
 *
 * @returns Indexes of the files, starting with file number 1.
 */
export function numberedFiles(files: readonly Pick<MetainfoFile, "pad">[]): number[] {
  return [...files.keys()].filter((index) => !files[index]!.pad);
}

/** The torrent to which a selection is applied. */
interface Target {
  readonly meta: Pick<Metainfo, "name" | "files">;
  /** Indexes of the files that have a number. */
  readonly numbered: readonly number[];
}

/** Ranges of numbers that select files or leave them out. */
interface RangesItem {
  readonly kind: "numbers" | "indexes";
  readonly from: string;
  readonly ranges: readonly Range[];
  readonly leavesOut?: boolean;
}

/** An item of a list, with the files that it names. */
type Item = RangesItem | { readonly kind: "files"; readonly files: readonly number[]; readonly leavesOut?: boolean };

function addRanges(files: Set<number>, { kind, from, ranges }: RangesItem, { meta, numbered }: Target): void {
  const isIndex = kind === "indexes";
  const [least, most] = isIndex ? [0, meta.files.length - 1] : [1, numbered.length];
  for (const { first, last } of ranges) {
    const end = last === Infinity ? Math.max(first, most) : last;
    // Check before iterating: a link may name a billion files.
    if (end > most) {
      const bad = first > most ? first : end;
      const name = JSON.stringify(meta.name);
      throw new SelectionError(from, `there is no file ${bad}: those of ${name} are ${least} to ${most}`);
    }
    for (let number = first; number <= end; number++) {
      const index = isIndex ? number : numbered[number - 1]!;
      if (!meta.files[index]!.pad) files.add(index);
    }
  }
}

/** Returns the items of a list, or the whole text as one item if files match it. */
function itemsOf({ pattern, from }: FileChoice & { readonly kind: "glob" }, target: Target): readonly Item[] {
  const whole = matchesOf(pattern, from, target);
  if (whole.length > 0) return [{ kind: "files", files: whole }];
  return partsOf(pattern).map((part): Item => {
    const leavesOut = /^!(?!\()/.test(part); // `!(` begins a glob
    const text = leavesOut ? part.slice(1).trim() : part;
    if (NUMBERS.test(text)) return { kind: "numbers", from, ranges: parseRanges(text, { from, least: 1 }), leavesOut };
    const files = text === pattern || text === "" ? [] : matchesOf(text, from, target);
    if (files.length > 0 || (leavesOut && text !== "")) return { kind: "files", files, leavesOut };
    const what = part === pattern ? "matches" : `matches ${shown(text === "" ? part : text)}`;
    throw new SelectionError(from, `no file of ${JSON.stringify(target.meta.name)} ${what}`);
  });
}

/** Splits a list at the commas that are not in brackets. If the brackets don't match, they are part of names. */
function partsOf(list: string): string[] {
  const parts = [""];
  let depth = 0;
  for (const [token] of list.matchAll(/\\[^]|[^]/g)) {
    if (token === "," && depth === 0) parts.push("");
    else parts[parts.length - 1] += token;
    if ("[{(".includes(token)) depth++;
    else if ("]})".includes(token)) depth--;
  }
  const found = depth === 0 ? parts : list.split(",");
  return found.map((part) => part.trim()).filter((part) => part !== "");
}

/** Returns the indexes of the files that a glob matches. */
function matchesOf(pattern: string, from: string, { meta, numbered }: Target): readonly number[] {
  const isFolder = pattern.endsWith("/") && pattern.length > 1;
  const glob = isFolder ? pattern.replace(/\/+$/, "") : pattern;
  const isPath = glob.includes("/");
  const textsOf = (path: readonly string[]) => isPath ? [path.join("/"), path.slice(1).join("/")] : [path.at(-1)!];
  // The folders of a file, the outermost first.
  const foldersOf = (path: readonly string[]) => path.slice(1).map((_, i) => path.slice(0, i + 1));
  const select = (matches: (text: string) => boolean): number[] => {
    const isChosen = (path: readonly string[] | undefined) =>
      path !== undefined && (isFolder ? foldersOf(path) : [path]).some((path) => textsOf(path).some(matches));
    // Match the safe paths, as `info` prints them, or else the paths as written in the torrent.
    const found = numbered.filter((index) => isChosen(meta.files[index]!.path));
    return found.length > 0 ? found : numbered.filter((index) => isChosen(meta.files[index]!.own));
  };
  // Try an exact match first: many names contain brackets, and a copied name means that file, not a glob.
  const exact = select((text) => text === glob);
  if (exact.length > 0) return exact;
  const regExp = compileGlob(glob, from, { caseInsensitive: true });
  return select((text) => regExp.test(text));
}

/**
 * Compiles a glob.
 *
 * @param from Origin of the glob for the error, such as `--files *.mkv`.
 * @param options Whether upper and lower case are the same (default `false`).
 * @returns Regular expression for names or paths.
 * @throws {SelectionError} If the text is not a valid glob.
 */
export function compileGlob(
  pattern: string,
  from: string,
  options: { readonly caseInsensitive?: boolean } = {},
): RegExp {
  try {
    return globToRegExp(pattern, options);
  } catch (error) {
    // The library copies character classes unchanged, so a class such as `[z-a]` does not compile.
    if (!(error instanceof SyntaxError)) throw error;
    throw new SelectionError(from, "it is not a glob: a range in brackets runs backwards, perhaps");
  }
}

/** Options for {@linkcode parseRanges}. */
interface RangesOptions {
  /** Origin of the text for the error. */
  readonly from: string;
  /** Smallest number: 1 for the user's numbers, 0 for indexes of a magnet link. */
  readonly least: number;
}

function parseRanges(text: string, { from, least }: RangesOptions): Range[] {
  const ranges = text.split(",").map((part): Range => {
    const match = /^(\d{1,9})(?:(-)(\d{1,9})?)?$/.exec(part.trim());
    const isOpen = match?.[2] !== undefined && match[3] === undefined;
    if (match === null || (isOpen && least === 0)) { // a magnet link's ranges have an end (BEP 53)
      throw new SelectionError(from, `"${shown(part)}" is neither a file number nor a range like 3-5`);
    }
    const first = Number(match[1]);
    const last = isOpen ? Infinity : Number(match[3] ?? match[1]);
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
