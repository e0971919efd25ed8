/**
 * Choosing files of a torrent: by number, by glob, by a magnet link's `so` (BEP 53).
 *
 * What was asked for is parsed before the torrent is known, since that may be in a magnet link's future, and applied to
 * its files afterwards.
 *
 * @module
 */

import { globToRegExp } from "npm:deno-std@1.4.0/path/posix/glob_to_regexp.js";
import { ShoalError } from "../base/errors.ts";
import type { Metainfo, MetainfoFile } from "./metainfo.ts";

/** Characters of one choice: what a command line holds, and thousands of ranges in a link from who knows where. */
export const MAX_CHOICE_LENGTH = 32 * 1024;

/** Numbers from the first to the last. */
interface Range {
  readonly first: number;
  readonly last: number;
}

/**
 * What was asked for. `numbers`: files as the `info` command numbers them, from 1 and without padding. `indexes`: places
 * in the torrent's own list, from 0 and with padding, as BEP 53 counts. `glob`: files by name or path.
 */
export type FileChoice =
  | { readonly kind: "numbers" | "indexes"; readonly from: string; readonly ranges: readonly Range[] }
  | { readonly kind: "glob"; readonly from: string; readonly pattern: string };

/** A choice that makes no sense, or that a torrent has no files for. */
export class SelectionError extends ShoalError {
  override name = "SelectionError";

  /**
   * @param where The choice, as it was written: `--files 7`.
   * @param why What is wrong with it, in a plain sentence.
   */
  constructor(where: string, why: string) {
    super("usage", { what: "cannot choose files", where, why });
  }
}

/**
 * Reads a choice as users write it: numbers like `1,3-5`, else a glob like `*.mkv`. A glob without a slash is held against
 * the names of files, wherever they are; one with a slash against paths, with or without the torrent's own folder. What is the
 * very name of a file stands for that.
 *
 * @param text The choice.
 * @param flag The option that it comes from, for errors.
 * @returns What is asked for.
 * @throws {SelectionError} If numbers are not from 1 on, or a range runs backwards.
 */
export function parseFileChoice(text: string, flag: string): FileChoice {
  const from = `${flag} ${shown(text)}`;
  checkLength(text, from);
  if (text === "") throw new SelectionError(from, "file numbers like 1,3-5 or a glob like *.mkv were expected");
  if (/^[\d,\s-]+$/.test(text)) return { kind: "numbers", from, ranges: parseRanges(text, { from, least: 1 }) };
  return { kind: "glob", from, pattern: text };
}

/**
 * Reads the `so` of a magnet link (BEP 53), like `0,2,4,6-8`.
 *
 * @param text Its value.
 * @returns What is asked for.
 * @throws {SelectionError} If it is anything else.
 */
export function parseSelectOnly(text: string): FileChoice {
  const from = `so=${shown(text)}`;
  checkLength(text, from);
  return { kind: "indexes", from, ranges: parseRanges(text, { from, least: 0 }) };
}

/**
 * The files that are asked for.
 *
 * @param meta The torrent.
 * @param choices What is asked for, one or more; a file that any of them names is chosen.
 * @returns Indexes into `meta.files`, of files that aren't padding.
 * @throws {SelectionError} If a number is that of no file, or a glob matches none.
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
 * The files that have a number: all but padding.
 *
 * @param files The files of a torrent.
 * @returns Their indexes; file number 1 comes first.
 */
export function numberedFiles(files: readonly Pick<MetainfoFile, "pad">[]): number[] {
  return [...files.keys()].filter((index) => !files[index]!.pad);
}

/** What choices are applied to. */
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
    // Checked before it is gone through: a link may ask for a thousand million files.
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
    // As info shows them, else as the torrent itself has them.
    const found = numbered.filter((index) => isChosen(meta.files[index]!.path));
    return found.length > 0 ? found : numbered.filter((index) => isChosen(meta.files[index]!.own));
  };
  // Brackets are in many names, and who copies one means just that.
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
 * @param pattern The glob.
 * @param from Where it comes from, for the error: `--files *.mkv`.
 * @returns What paths are held against.
 * @throws {SelectionError} If it is none.
 */
export function compileGlob(pattern: string, from: string): RegExp {
  try {
    return globToRegExp(pattern);
  } catch (error) {
    // The library passes a class of characters on as it is, and one like `[z-a]` can't be compiled.
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

/** The same numbers in order and each once: a link could name all files of a large torrent a thousand times. */
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

/** Enough to recognise it by, and never more than a line. */
function shown(text: string): string {
  return text.length <= 60 ? text : `${text.slice(0, 57)}...`;
}
