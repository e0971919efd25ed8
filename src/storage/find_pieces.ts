/**
 * Finds out what of a torrent is on disk, and brings each byte to where it belongs.
 *
 * @module
 */

import { Bitfield } from "../base/bitfield.ts";
import type { DiskFiles } from "./disk_files.ts";
import { notOurs, pathConflict } from "./errors.ts";
import { copyBytes } from "./file_io.ts";
import { type FileMap, holdsData } from "./layout.ts";
import { forEachLimited } from "./limited.ts";
import { isKnown, isThere, judgeFiles, judgeUnwanted, planStart, type StartMode } from "./resume_plan.ts";
import type { ResumeState } from "./resume_state.ts";

/** What {@linkcode findPieces} works with. */
export interface StartOptions {
  /** The files, scanned. */
  readonly disk: DiskFiles;
  /** How. */
  readonly mode: StartMode;
  /** Resume state of this torrent in this folder, if there is any. */
  readonly state: ResumeState | null;
  /** Whether nothing may be changed. */
  readonly readOnly: boolean;
  /** Whether every `.part` file of the right size counts as ours; asked when the check is over. */
  takeParts(): boolean;
  /** Hashes pieces; gives those that are right. */
  check(pieces: Bitfield): Promise<Bitfield>;
  /** Called once it is known what to do, before anything is changed on disk or can be written. */
  beforeChanges?(): Promise<void>;
}

/** Result of {@linkcode findPieces}. */
export interface FoundPieces {
  /** Pieces that are verified. */
  readonly have: Bitfield;
  /** Pieces of `have` that are certain to be on the device. */
  readonly believed: Bitfield;
  /** Indexes of the unwanted files that stay as they are. */
  readonly left: readonly number[];
}

/** Files that are brought home at one time; a device takes several together better than one by one. */
const PARALLEL = 8;

/**
 * Finds out which pieces are there. From then on each file may be written, if it isn't somebody else's.
 *
 * What isn't there as a file may be in the partfile: {@linkcode bringHome} moves from there what is wanted. A file that isn't wanted and is there stays; what is right in it is used, and nothing is
 * written to it unless we have made it.
 *
 * @param map The torrent.
 * @param options What to work with.
 * @returns `have`: the pieces that are right. `believed`: those of them that are on the device for certain. `left`: files
 * that aren't wanted and stay as they are.
 * @throws {ShoalError} If something else is in the place of a wanted file, or a file can't be used.
 */
export async function findPieces(
  map: FileMap,
  options: StartOptions,
): Promise<FoundPieces> {
  const { disk, mode, state, readOnly } = options;
  if (!readOnly) divertAbsent(map, disk);
  const found = disk.records();
  const plan = planStart(map, found, { mode, state });
  const have = plan.believed.clone();
  have.addAll(await options.check(plan.check));
  let left: readonly number[] = [];
  const outcome = { plan, have, takeParts: options.takeParts() };
  if (!readOnly) {
    await lookForUnfilled(map, { ...options, have });
    const unwanted = judgeUnwanted(map, found, outcome);
    left = [...unwanted.adopt, ...unwanted.foreign];
    for (const file of unwanted.foreign) disk.leave(file);
    const aside = await setAside(map, { disk, files: judgeFiles(map, found, outcome).foreign });
    await lookAgain(map, { ...options, left, aside, have });
    const foundNow = disk.records();
    for (const index of aside) plan.ours[index] = isKnown(map, foundNow[index]!, { index, state });
    const { adopt, foreign } = judgeFiles(map, foundNow, outcome);
    if (foreign.length > 0) throw notOurs(disk.pathOf(foreign[0]!));
    await options.beforeChanges?.();
    // One that was set aside when the last run ended may be known for right by now, and what was fetched to compare it with is ours.
    for (const index of adopt) {
      const { from, end } = map.ownStretch(index);
      // What has pieces of its own would be much to fetch again.
      if (from === end) await disk.removeSpare(index, (spare) => isKnown(map, spare, { index, state }));
    }
    const doubled = disk.doubled(adopt);
    if (doubled !== null) throw pathConflict(doubled, "the file is not whole, and its .part file is there too");
    await disk.allowWrites();
    for (const file of adopt) await disk.adopt(file);
    await disk.makeEmptyFiles();
    await removeSpares(map, { disk, have, state });
  } else {
    await options.beforeChanges?.();
    await disk.allowWrites();
  }
  return { have, believed: plan.believed, left };
}

/** Files that aren't there are looked for in the partfile: those that aren't wanted, and all where there is one. */
function divertAbsent(map: FileMap, disk: DiskFiles): void {
  const hasPart = disk.placeOf(map.partFile) !== "absent";
  for (const [index, file] of map.layout.files.entries()) {
    if (!holdsData(file) || disk.placeOf(index) !== "absent") continue;
    if (hasPart || !map.isWanted(index)) map.divert(index);
  }
}

/**
 * Files that nothing is known of yet may be right nevertheless: small ones without a whole piece of their own, whose neighbours
 * aren't here, as a selective download leaves them. They stay untouched until what belongs there has come.
 */
async function setAside(
  map: FileMap,
  { disk, files }: { readonly disk: DiskFiles; readonly files: readonly number[] },
): Promise<readonly number[]> {
  const hasPart = disk.placeOf(map.partFile) !== "absent";
  const aside: number[] = [];
  for (const file of files) {
    if (disk.placeOf(file) !== "final" || !await disk.mayBeRight(file)) continue;
    await disk.setAside(file);
    if (hasPart && disk.placeOf(file) === "absent") map.divert(file);
    aside.push(file);
  }
  return aside;
}

/** An unfinished file of ours is left beside a whole one when a start was interrupted, or the whole one is proven right now. */
async function removeSpares(
  map: FileMap,
  { disk, have, state }: Pick<StartOptions, "disk" | "state"> & { readonly have: Bitfield },
): Promise<void> {
  if (state === null) return;
  for (const [index, file] of map.layout.files.entries()) {
    if (!holdsData(file) || disk.placeOf(index) !== "final") continue;
    const { first, end } = map.piecesOfFile(index);
    let isWhole = true;
    for (let piece = first; piece < end && isWhole; piece++) isWhole = have.has(piece);
    if (isWhole) await disk.removeSpare(index, (spare) => isKnown(map, spare, { index, state }));
  }
}

/**
 * What is wrong in files that were made since the state was saved may be right in the partfile: they were made to be filled
 * from there, perhaps. The other files of a piece are taken as they are.
 */
async function lookForUnfilled(map: FileMap, options: StartOptions & { readonly have: Bitfield }): Promise<void> {
  const { disk, state, have } = options;
  if (disk.placeOf(map.partFile) === "absent") return;
  const isNew = (file: number) => disk.placeOf(file) === "part" && state?.files[file]?.place === "absent";
  const again = new Bitfield(map.layout.pieceCount);
  const atHome = have.clone();
  const files = [...map.layout.files.keys()].filter(isNew);
  for (const file of files) map.divert(file, atHome);
  const found = disk.records();
  for (const file of files) {
    for (const { piece } of map.slotsOfFile(file)) if (!have.has(piece) && isThere(map, found, piece)) again.set(piece);
  }
  if (!again.isEmpty) have.addAll(await options.check(again));
}

/** What is wrong in files that are to be left as they are may be right in the partfile. */
async function lookAgain(
  map: FileMap,
  options: StartOptions & {
    readonly left: readonly number[];
    readonly aside: readonly number[];
    readonly have: Bitfield;
  },
): Promise<void> {
  const { disk, left, aside, have } = options;
  const again = new Bitfield(map.layout.pieceCount);
  const atHome = have.clone();
  for (const file of left) map.divert(file, atHome);
  const found = disk.records();
  for (const file of map.layout.files.keys()) {
    if (!map.isDiverted(file)) continue;
    for (const { piece } of map.slotsOfFile(file)) {
      if (!have.has(piece) && isThere(map, found, piece)) again.set(piece);
    }
  }
  for (const file of aside) {
    const { first, end } = map.piecesOfFile(file);
    for (let piece = first; piece < end; piece++) {
      if (!have.has(piece) && isThere(map, found, piece)) again.set(piece);
    }
  }
  if (!again.isEmpty) have.addAll(await options.check(again));
}

/** Options for {@linkcode bringHome}. */
export interface BringHomeOptions {
  /** Files of the torrent. */
  readonly disk: DiskFiles;
  /** Verified pieces. */
  readonly have: Bitfield;
}

/**
 * Moves what is wanted from the partfile into files; it is on the device then. Resume state must have been saved before:
 * by that a file that is made here and not filled yet is known for ours.
 *
 * @param map The torrent.
 * @param options `disk`: its files. `have`: the pieces that are right.
 * @returns Whether anything was moved.
 * @throws {ShoalError} If that can't be done.
 */
export async function bringHome(
  map: FileMap,
  { disk, have }: BringHomeOptions,
): Promise<boolean> {
  let moved = false;
  const isMoved = (file: number) => map.isDiverted(file) && (map.isWanted(file) || disk.placeOf(file) === "part");
  const files = [...map.layout.files.keys()].filter(isMoved);
  await forEachLimited(files, PARALLEL, async (file) => {
    const slots = map.slotsOfFile(file).filter(({ piece }) => have.has(piece) && map.isDiverted(file, piece));
    map.bringHome(file);
    for (const { from, to, length } of slots) {
      const [source, target] = [{ file: map.partFile, position: from }, { file, position: to }];
      await copyBytes(disk, { from: source, to: target, length });
    }
    if (slots.length === 0) return;
    moved = true;
    disk.wrote(file);
    await disk.sync(file);
  });
  return moved;
}
