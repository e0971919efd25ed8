/**
 * Decides which resume state to trust, which pieces to hash, and whether files found on disk are ours. Makes no calls
 * to the outside.
 *
 * @module
 */

import { Bitfield } from "../base/bitfield.ts";
import { type FileMap, holdsData } from "./layout.ts";
import type { FileRecord, ResumeState } from "./resume_state.ts";

/**
 * How the pieces on disk are found. `resume` trusts the resume state where the files are as it says, `check` hashes
 * everything, `trust` accepts every file that has its final name and the right size.
 */
export type StartMode = "resume" | "check" | "trust";

/** What to do with each piece at the start. */
export interface StartPlan {
  /** Pieces that count as present without a check. */
  readonly believed: Bitfield;
  /** Pieces whose data may be present and must be hashed. */
  readonly check: Bitfield;
  /** For each file, whether the resume state knows it as ours. Its data may have changed since. */
  readonly ours: boolean[];
}

/** Options for {@linkcode planStart}. */
export interface PlanStartOptions {
  /** How the pieces are found. */
  readonly mode: StartMode;
  /**
   * Resume state of this torrent in this folder, or `null` if there is none. In a mode other than `resume` the state
   * only tells which files are ours.
   */
  readonly state: ResumeState | null;
}

/**
 * Plans the start. A piece counts as present only if all files that it covers exist and are long enough.
 *
 * @param map Layout of the torrent.
 * @param found Status of the files on disk, in the order of the files.
 * @param options See {@linkcode PlanStartOptions}.
 * @returns What to do with each piece.
 */
export function planStart(map: FileMap, found: readonly FileRecord[], options: PlanStartOptions): StartPlan {
  const { pieceCount, files } = map.layout;
  const { mode } = options;
  const state = mode === "resume" ? options.state : null;
  const believed = new Bitfield(pieceCount);
  const check = new Bitfield(pieceCount);
  // A file that changed after the save is hashed. Either the process that was killed or another program changed it, and
  // nothing tells which.
  const known = found.map((file, index) => state !== null && isAsLeft(file, recordOf(state, index)));
  const ours = files.map((_, index) => isKnown(map, found[index]!, { index, state: options.state }));
  const moved = state === null ? new Bitfield(pieceCount) : piecesMoved(map, state);
  for (let piece = 0; piece < pieceCount; piece++) {
    if (!isThere(map, found, piece)) continue;
    const ranges = map.rangesOfPiece(piece);
    if (mode === "trust") {
      const exact = ranges.every((r) =>
        found[r.file]!.place === "final" && found[r.file]!.size === files[r.file]!.length
      );
      if (exact) believed.set(piece);
    } else if (state === null || moved.has(piece) || !ranges.every((range) => known[range.file])) {
      check.set(piece);
    } else if (state.pieces.has(piece)) {
      believed.set(piece);
    } else if (state.unsynced.has(piece)) {
      check.set(piece);
    }
  }
  return { believed, check, ours };
}

/** Options for {@linkcode isKnown}. */
export interface IsKnownOptions {
  /** Index of the file. */
  readonly index: number;
  /** Resume state, or `null` if there is none. */
  readonly state: ResumeState | null;
}

/**
 * Returns `true` if the resume state knows a file as ours. The file's data may have changed since.
 *
 * @param map Layout of the torrent.
 * @param found Status of the file on disk.
 * @param options See {@linkcode IsKnownOptions}.
 */
export function isKnown(
  map: FileMap,
  found: FileRecord,
  { index, state }: IsKnownOptions,
): boolean {
  if (state === null) return false;
  return isOurs(found, { record: state.files[index]!, clean: state.clean, length: map.file(index).length });
}

/**
 * Returns `true` if all bytes of a piece may be present, because the files that would hold them are long enough.
 *
 * @param map Layout of the torrent.
 * @param found Status of the files on disk, in the order of the files, followed by the partfile.
 * @param piece Index of the piece.
 */
export function isThere(map: FileMap, found: readonly FileRecord[], piece: number): boolean {
  return map.hasPlace(piece) &&
    map.rangesOfPiece(piece).every(({ file, position, length }) =>
      found[file]!.place !== "absent" && found[file]!.size >= position + length
    );
}

/** Returns the pieces whose bytes are now looked for in the partfile but were in a file when the state was saved. */
function piecesMoved(map: FileMap, state: ResumeState): Bitfield {
  const moved = new Bitfield(map.layout.pieceCount);
  for (const [index, { place }] of state.files.entries()) {
    if (place === "absent" || !map.isDiverted(index)) continue;
    for (const { piece } of map.slotsOfFile(index)) moved.set(piece);
  }
  return moved;
}

function recordOf(state: ResumeState, index: number): FileRecord {
  return state.files[index] ?? state.partFile ?? { place: "absent", size: 0, modified: 0 };
}

/** What becomes of files that are not complete. */
export interface Ownership {
  /** Files under their final names that go on as unfinished files. */
  readonly adopt: readonly number[];
  /** Files under either name that are not ours. */
  readonly foreign: readonly number[];
}

/** What files are judged by. */
export interface CheckOutcome {
  /** Plan that was carried out. */
  readonly plan: StartPlan;
  /** Verified pieces. */
  readonly have: Bitfield;
  /** Whether every `.part` file of the right size counts as ours, because no resume state could tell. */
  readonly takeParts: boolean;
}

/**
 * Finds the unwanted files that are not what Shoal would have made of them: incomplete files under their final names,
 * and unfinished files of another program or the user. They all stay as they are.
 *
 * @param map Layout of the torrent.
 * @param found Status of the files on disk, in the order of the files.
 * @param outcome See {@linkcode CheckOutcome}.
 * @returns Indexes of both kinds.
 */
export function judgeUnwanted(map: FileMap, found: readonly FileRecord[], outcome: CheckOutcome): Ownership {
  const isUnwanted = (index: number) => !map.isWanted(index) && !map.isDiverted(index);
  return judge(map, found, { ...outcome, isJudged: isUnwanted });
}

/**
 * Judges the wanted files that exist and are not complete. A file is ours if a piece of it is verified, if the resume
 * state knows it, or if it is empty.
 *
 * @param map Layout of the torrent.
 * @param found Status of the files on disk, in the order of the files.
 * @param outcome See {@linkcode CheckOutcome}.
 * @returns Indexes of the files that go on as unfinished files, and of those that are not ours.
 */
export function judgeFiles(map: FileMap, found: readonly FileRecord[], outcome: CheckOutcome): Ownership {
  return judge(map, found, { ...outcome, isJudged: (index) => map.isWanted(index) });
}

function judge(
  map: FileMap,
  found: readonly FileRecord[],
  outcome: CheckOutcome & { isJudged(index: number): boolean },
): Ownership {
  const adopt: number[] = [];
  const foreign: number[] = [];
  for (const [index, file] of map.layout.files.entries()) {
    const { place, size } = found[index]!;
    if (place === "absent" || !holdsData(file) || !outcome.isJudged(index)) continue;
    const { first, end } = map.piecesOfFile(index);
    let verified = 0;
    for (let piece = first; piece < end; piece++) if (outcome.have.has(piece)) verified++;
    if (place === "final" && verified === end - first && size === file.length) continue;
    const isTaken = outcome.takeParts && place === "part" && size === file.length;
    const isOurs = verified > 0 || size === 0 || outcome.plan.ours[index]! || isTaken;
    if (!isOurs) foreign.push(index);
    else if (place === "final") adopt.push(index);
  }
  return { adopt, foreign };
}

/** Returns `true` if a file is exactly as the resume state describes it. */
function isAsLeft(found: FileRecord, record: FileRecord): boolean {
  return found.place === record.place && found.size === record.size && found.modified === record.modified;
}

/**
 * Returns `true` if Shoal made a file according to the resume state, even if its data has changed since. State is saved
 * before anything is written, so a process that was killed may have created any file that was absent then. It creates a
 * file as an unfinished one, at its full size.
 */
function isOurs(found: FileRecord, { record, clean, length }: { record: FileRecord; clean: boolean; length: number }) {
  if (found.place !== "part") return isAsLeft(found, record);
  if (record.place === "part") return found.size <= Math.max(length, record.size);
  if (record.place === "absent") return !clean && found.size === length;
  return found.size === record.size && found.modified === record.modified; // killed after it had renamed the file
}
