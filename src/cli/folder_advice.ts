/**
 * Makes the advice in errors about files fit the options of the command.
 *
 * @module
 */

import { ShoalError } from "../base/errors.ts";

/** Folders that the options of a download name. */
export interface NamedFolders {
  /** Folder of `-o`. */
  readonly folder: string;
  /** Folder of `--incomplete`; absent if none is given. */
  readonly incomplete?: string;
}

/**
 * Names `--incomplete` instead of `-o` in the advice of an error about the folder of unfinished data. Names no option if
 * it is unclear which folder the error is about.
 *
 * @param error The error.
 * @param folders Folders of the download; `null` if the command has no option `-o`.
 * @returns The error to show.
 */
export function fitAdvice(error: unknown, folders: NamedFolders | null): unknown {
  if (!(error instanceof ShoalError) || !/(?:folder|path) with -o/.test(error.hint)) return error;
  const { kind, what, where, why } = error;
  // Without a folder to choose, other parts of the advice, such as to move a file away, are no help either.
  if (folders === null) return new ShoalError(kind, { what, where, why, cause: error });
  const { folder, incomplete } = folders;
  if (incomplete === undefined) return error;
  const [depth, unfinishedDepth] = [depthIn(where, folder), depthIn(where, incomplete)];
  if (depth > unfinishedDepth) return error;
  const option = unfinishedDepth > depth ? " with --incomplete" : "";
  return new ShoalError(kind, { what, where, why, hint: error.hint.replace(" with -o", option), cause: error });
}

/** Returns the length of a folder's path if a path lies in the folder or is the folder, or else -1. */
function depthIn(path: string, folder: string): number {
  const [inner, outer] = [plain(path), plain(folder)];
  const isIn = inner === outer || inner.startsWith(outer === "/" ? outer : `${outer}/`) ||
    (outer === "." && !inner.startsWith("/"));
  return isIn ? outer.length : -1;
}

/** Returns a path without `./` at the start and `/` at the end. */
function plain(path: string): string {
  return path.replace(/^(?:\.\/+)+(?=.)/, "").replace(/(?<=.)\/+$/, "");
}
