/**
 * Decides what to believe of resume state, what to hash again, and what to do with files that were there before. Pure.
 *
 * @module
 */

import { Bitfield } from "../base/bitfield.ts";
import { type FileMap, holdsData } from "./layout.ts";
import type { FileRecord, ResumeState } from "./resume_state.ts";

/**
 * How the pieces are found out: `resume` believes resume state where the files are as it says, `check` hashes
 * everything,
 * `trust` believes every file that is there under its final name with the right size.
 */
export type StartMode = "resume" | "check" | "trust";

/** What to do with each piece at the start. */
export interface StartPlan {
  /** Pieces that are taken to be there. */
  readonly believed: Bitfield;
  /** Pieces whose data may be there and must be hashed. */
  readonly check: Bitfield;
  /** For each file, whether the resume state knows it as ours, be its data as it was or not. */
  readonly ours: boolean[];
}

/** Options for {@linkcode planStart}. */
export interface PlanStartOptions {
  /** How the pieces are found. */
  readonly mode: StartMode;
  /**
   * Resume state of this torrent in this folder, or `null` if there is none. In a mode other than `resume` the state only
   * tells which files are ours.
   */
  readonly state: ResumeState | null;
}

/**
 * Plans the start. A piece counts as there only when all files that it runs through are there and long enough.
 *
 * @param map The torrent.
 * @param found What is on disk, in the order of the files.
 * @param options `mode`: see {@linkcode StartMode}. `state`: resume state of this torrent in this folder, if there is
 * any; in another mode than `resume` it only tells whose the files are.
 * @returns What to do.
 */
export function planStart(
  map: FileMap,
  found: readonly FileRecord[],
  options: PlanStartOptions,
): StartPlan {
  const { pieceCount, files } = map.layout;
  const { mode } = options;
  const state = mode === "resume" ? options.state : null;
  const believed = new Bitfield(pieceCount);
  const check = new Bitfield(pieceCount);
  // A file that was changed after the save is hashed, be it by the process that was killed then or by somebody else:
  // nothing tells the one from the other.
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
 * Whether the resume state knows a file as ours, be its data as it was or not.
 *
 * @param map The torrent.
 * @param found What is on disk.
 * @param of `index`: the file. `state`: the resume state, if there is any.
 * @returns Whether it does.
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
 * Whether all bytes of a piece may be there: the files that they would be in are long enough.
 *
 * @param map The torrent.
 * @param found What is on disk, in the order of the files, and the partfile.
 * @param piece Which.
 * @returns Whether it can be hashed.
 */
export function isThere(map: FileMap, found: readonly FileRecord[], piece: number): boolean {
  return map.hasPlace(piece) &&
    map.rangesOfPiece(piece).every(({ file, position, length }) =>
      found[file]!.place !== "absent" && found[file]!.size >= position + length
    );
}

/** The pieces with bytes in the partfile of a file that was there in itself when the state was saved. */
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

/** What happens to the files that aren't whole. */
export interface Ownership {
  /** Files under their final names that go on as unfinished files. */
  readonly adopt: readonly number[];
  /** Files under either name that are somebody else's. */
  readonly foreign: readonly number[];
}

/** What files are judged by. */
export interface Outcome {
  /** Plan that was carried out. */
  readonly plan: StartPlan;
  /** Verified pieces. */
  readonly have: Bitfield;
  /** Whether every `.part` file of the right size counts as ours, because no resume state could tell. */
  readonly takeParts: boolean;
}

/**
 * Finds the files that nobody asked for and that aren't what we would have made of them: not whole under their final
 * names, or somebody else's unfinished ones. They stay as they are.
 *
 * @param map The torrent.
 * @param found What is on disk, in the order of the files.
 * @param outcome As {@linkcode judgeFiles} takes it.
 * @returns The indexes of both.
 */
export function judgeUnwanted(map: FileMap, found: readonly FileRecord[], outcome: Outcome): Ownership {
  const isUnwanted = (index: number) => !map.isWanted(index) && !map.isDiverted(index);
  return judge(map, found, { ...outcome, isJudged: isUnwanted });
}

/**
 * Judges the files that are wanted, there and not whole. One is ours when a piece of it is right, when resume state knows
 * it, or when there is nothing in it.
 *
 * @param map The torrent.
 * @param found What is on disk, in the order of the files.
 * @param outcome The plan; `have`: the pieces that are there; `takeParts`: whether every `.part` file of the right size
 * counts as ours, because there is no resume state that could know it.
 * @returns Which go on as unfinished files and which are somebody else's.
 */
export function judgeFiles(map: FileMap, found: readonly FileRecord[], outcome: Outcome): Ownership {
  return judge(map, found, { ...outcome, isJudged: (index) => map.isWanted(index) });
}

function judge(
  map: FileMap,
  found: readonly FileRecord[],
  outcome: Outcome & { isJudged(index: number): boolean },
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

/** Whether a file is just as the resume state has it. */
function isAsLeft(found: FileRecord, record: FileRecord): boolean {
  return found.place === record.place && found.size === record.size && found.modified === record.modified;
}

/**
 * Whether a file is one that Shoal made, by the resume state, though its data may have been changed since. State is
 * saved before anything is written, so a process that was killed can have made any file that was absent then: an
 * unfinished file, which gets its full size as soon as it is made.
 */
function isOurs(found: FileRecord, { record, clean, length }: { record: FileRecord; clean: boolean; length: number }) {
  if (found.place !== "part") return isAsLeft(found, record);
  if (record.place === "part") return found.size <= Math.max(length, record.size);
  if (record.place === "absent") return !clean && found.size === length;
  return found.size === record.size && found.modified === record.modified; // killed after it was adopted
}
