/**
 * Finds out which pieces of a torrent are on disk, which files are ours, and moves wanted data out of the partfile.
 *
 * @module
 */

import { Bitfield } from "../base/bitfield.ts";
import type { DiskFiles } from "./disk_files.ts";
import { notOurs, pathConflict } from "./errors.ts";
import { copyBytes } from "./file_io.ts";
import { type FileMap, holdsData } from "./layout.ts";
import { forEachLimited } from "./concurrency.ts";
import { isKnown, isThere, judgeFiles, judgeUnwanted, planStart, type StartMode } from "./resume_plan.ts";
import type { ResumeState } from "./resume_state.ts";

/** Options for {@linkcode findPieces}. */
export interface StartOptions {
  /** Files of the torrent, already scanned. */
  readonly disk: DiskFiles;
  /** How the pieces are found. */
  readonly mode: StartMode;
  /** Resume state of this torrent in this folder, or `null` if there is none. */
  readonly state: ResumeState | null;
  /** Whether nothing may be changed on disk. */
  readonly readOnly: boolean;
  /** Returns `true` if every `.part` file of the right size counts as ours. Called after the check. */
  takeParts(): boolean;
  /** Hashes pieces, and returns those that are right. */
  check(pieces: Bitfield): Promise<Bitfield>;
  /** Called when the plan is final, before anything is changed on disk or can be written. */
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

/** Files that are filled from the partfile at one time. A device handles several together faster than one by one. */
const PARALLEL = 8;

/**
 * Finds out which pieces are on disk. Afterwards every file that is ours may be written.
 *
 * The bytes of a file that doesn't exist may be in the partfile; {@linkcode fillFromPartFile} moves the wanted ones to
 * the file. An unwanted file that exists stays: its verified data is used, and it is written only if Shoal created it.
 *
 * @param map Layout of the torrent.
 * @param options See {@linkcode StartOptions}.
 * @throws {ShoalError} If something else is in the place of a wanted file, or a file can't be used.
 */
export async function findPieces(map: FileMap, options: StartOptions): Promise<FoundPieces> {
  const { disk, mode, state, readOnly } = options;
  divertAbsent(map, disk);
  const found = disk.records();
  const plan = planStart(map, found, { mode, state });
  const have = plan.believed.clone();
  have.addAll(await options.check(plan.check));
  let left: readonly number[] = [];
  const outcome = { plan, have, takeParts: options.takeParts() };
  if (!readOnly) {
    await checkUnfilledFiles(map, { ...options, have });
    const unwanted = judgeUnwanted(map, found, outcome);
    left = [...unwanted.adopt, ...unwanted.foreign];
    for (const file of unwanted.foreign) disk.markForeign(file);
    const aside = await setAside(map, { disk, files: judgeFiles(map, found, outcome).foreign });
    await checkPartFileAgain(map, { ...options, left, aside, have });
    const foundNow = disk.records();
    for (const index of aside) plan.ours[index] = isKnown(map, foundNow[index]!, { index, state });
    const { adopt, foreign } = judgeFiles(map, foundNow, outcome);
    if (foreign.length > 0) throw notOurs(disk.pathOf(foreign[0]!));
    await options.beforeChanges?.();
    // A file that was set aside in the last run may turn out to be ours by now. Then the `.part` file that was
    // downloaded to compare it with is ours, too.
    for (const index of adopt) {
      const { from, end } = map.ownRange(index);
      // A `.part` file with whole pieces of its own would be expensive to download again.
      if (from === end) await disk.removeOwnPart(index, (spare) => isKnown(map, spare, { index, state }));
    }
    const doubled = disk.firstDuplicate(adopt);
    if (doubled !== null) throw pathConflict(doubled, "the file is not whole, and its .part file is there too");
    await disk.allowWrites();
    for (const file of adopt) await disk.renameToPart(file);
    await disk.makeEmptyFiles();
    await removeSpares(map, { disk, have, state });
  } else {
    await options.beforeChanges?.();
    await disk.allowWrites();
  }
  return { have, believed: plan.believed, left };
}

/**
 * Looks in the partfile for files that don't exist: for all of them if there is a partfile, else for the unwanted ones.
 */
export function divertAbsent(map: FileMap, disk: DiskFiles): void {
  const hasPart = disk.placeOf(map.partFile) !== "absent";
  for (const [index, file] of map.layout.files.entries()) {
    if (!holdsData(file) || disk.placeOf(index) !== "absent") continue;
    if (hasPart || !map.isWanted(index)) map.divert(index);
  }
}

/**
 * Sets aside files that no piece or record proves ours but that may be correct: small files without a whole piece of
 * their own whose neighbours are missing, as a selective download leaves them. They stay untouched until the torrent's
 * data for them has arrived.
 *
 * @returns Indexes of the files that were set aside.
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

/**
 * Removes our unfinished file beside a complete one. Such a file is left when a start was interrupted, or when the
 * complete file has only now been verified.
 */
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
    if (isWhole) await disk.removeOwnPart(index, (spare) => isKnown(map, spare, { index, state }));
  }
}

/**
 * Looks in the partfile for the missing pieces of files that were created since the state was saved: an interrupted run
 * may have created them to fill them from there. The other files of a piece are read as they are.
 */
async function checkUnfilledFiles(map: FileMap, options: StartOptions & { readonly have: Bitfield }): Promise<void> {
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

/** Looks in the partfile for the missing pieces of files that stay as they are, and of files that were set aside. */
async function checkPartFileAgain(
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

/** Options for {@linkcode fillFromPartFile}. */
export interface BringHomeOptions {
  /** Files of the torrent. */
  readonly disk: DiskFiles;
  /** Verified pieces. */
  readonly have: Bitfield;
}

/**
 * Moves wanted data from the partfile into files, and syncs these. The resume state must be saved before: a file that
 * is created here and not yet filled is known as ours by that state.
 *
 * @param map Layout of the torrent.
 * @param options See {@linkcode BringHomeOptions}.
 * @returns Whether any data was moved.
 * @throws {ShoalError} If the data can't be moved.
 */
export async function fillFromPartFile(
  map: FileMap,
  { disk, have }: BringHomeOptions,
): Promise<boolean> {
  let moved = false;
  const isMoved = (file: number) => map.isDiverted(file) && (map.isWanted(file) || disk.placeOf(file) === "part");
  const files = [...map.layout.files.keys()].filter(isMoved);
  await forEachLimited(files, PARALLEL, async (file) => {
    const slots = map.slotsOfFile(file).filter(({ piece }) => have.has(piece) && map.isDiverted(file, piece));
    map.storeInFile(file);
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
