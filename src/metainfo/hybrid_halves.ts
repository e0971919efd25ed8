/**
 * Compares the halves of a hybrid torrent: the list of files of BEP 3 and the file tree of BEP 52.
 *
 * @module
 */

import type { Fail } from "./errors.ts";
import type { Entry } from "./files.ts";
import { safeName, shortName } from "./safe_path.ts";

/**
 * Merges the halves of a hybrid torrent. What libtorrent refuses is refused: a file with bytes has to have the same
 * index, place, length and path in both halves. Padding and empty files are no more than places in the list, so that
 * their names, their kind and what links lead to may differ, and so may all attributes. Those of the file tree count, as
 * in libtorrent. Padding after the last file may be missing in the v1 half.
 *
 * @param v1 Files of the v1 half, with padding.
 * @param aligned Files of the file tree, with padding between them and after the last one.
 * @param fail Rejects the torrent.
 * @returns The files of the tree with padding, as many as the v1 half has.
 * @throws {MetainfoError} Through `fail`.
 */
export function mergeHalves(v1: readonly Entry[], aligned: readonly Entry[], fail: Fail): readonly Entry[] {
  const differ = (index: number, why: string): never => {
    return fail(`info.files[${index}]`, `the v1 and v2 halves of the torrent don't match: ${why}`);
  };
  const v2 = aligned.length === v1.length + 1 ? withoutTail(aligned) : aligned;
  let [at, otherAt] = [0, 0];
  let rules = NAME_RULES;
  for (let i = 0; i < Math.min(v1.length, v2.length); i++) {
    const [entry, other] = [v1[i]!, v2[i]!];
    if (hasData(entry) || hasData(other)) {
      if (!hasData(entry)) differ(i, `the file tree has a file of ${other.length} bytes, the list has none`);
      if (!hasData(other)) differ(i, `the list has a file of ${entry.length} bytes, the file tree has none`);
      if (entry.length !== other.length) differ(i, `a file has ${entry.length} bytes or ${other.length}`);
      if (at !== otherAt) differ(i, `a file begins at byte ${at}, and with the padding it needs at ${otherAt}`);
      rules = rules.filter((rule) => isSamePath(entry, other, rule));
      if (rules.length === 0) differ(i, "a file has two names");
    }
    at += entry.length;
    otherAt += other.length;
  }
  if (v1.length !== v2.length) {
    differ(v2.length, `the file tree has ${v2.length} files with padding, the list has ${v1.length}`);
  }
  if (at !== otherAt) differ(v1.length, `the padding has ${at} bytes together with the files, or ${otherAt}`);
  return v2;
}

/**
 * Removes the padding after the last file with bytes.
 *
 * @param aligned Files with padding.
 * @returns The files, without the padding at the end if there was any.
 */
export function withoutTail(aligned: readonly Entry[]): readonly Entry[] {
  const last = aligned.findLastIndex(({ length }) => length > 0);
  return aligned[last]?.pad ? aligned.toSpliced(last, 1) : aligned;
}

function hasData({ pad, length }: Entry): boolean {
  return !pad && length > 0;
}

/**
 * What libtorrent 2.0 and 2.1 write for a name such as ".." of which nothing is left: nothing, and "_". A torrent that
 * either takes is taken.
 */
const NAME_RULES: readonly string[] = ["", "_"];

/** Compares paths as libtorrent writes them to disk. */
function isSamePath(a: Entry, b: Entry, nothing: string): boolean {
  // A single file has the torrent's name alone, a file of a folder has names in addition.
  if ((a.path.length === 1) !== (b.path.length === 1)) return false;
  const [one, other] = [a.names ?? [], b.names ?? []];
  if (one.length === other.length && one.every((name, i) => name === other[i])) return true;
  return writtenPath(one, nothing) === writtenPath(other, nothing);
}

function writtenPath(names: readonly string[], nothing: string): string {
  const written = names.map((name) => name === "" ? "_" : shortName(safeName(name, { portable: false })) || nothing);
  return written.filter((name) => name !== "").join("/");
}
