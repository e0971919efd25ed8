/**
 * Decides what to believe of resume state, what to hash again, and what to do with files that were there before. Pure.
 *
 * @module
 */

import { Bitfield } from "../base/bitfield.ts";
import { holdsData, type PieceMap } from "./layout.ts";
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
  /**
   * For each file, whether it is as the session that saved the resume state left it, so that it is known to be ours.
   */
  readonly known: readonly boolean[];
}

/**
 * Milliseconds after the last save in which a killed process may have gone on writing. State is saved about every
 * second; the rest is for slow devices and coarse clocks of file systems.
 */
const WRITES_AFTER_SAVE = 10_000;

/**
 * Plans the start. A piece counts as there only when all files that it runs through are there and long enough.
 *
 * @param map The torrent.
 * @param found What is on disk, in the order of the files.
 * @param options `mode`: see {@linkcode StartMode}. `state`: resume state of this torrent in this folder, if there is
 * any.
 * @returns What to do.
 */
export function planStart(
  map: PieceMap,
  found: readonly FileRecord[],
  options: { readonly mode: StartMode; readonly state: ResumeState | null },
): StartPlan {
  const { pieceCount, files } = map.layout;
  const { mode } = options;
  const state = mode === "resume" ? options.state : null;
  const believed = new Bitfield(pieceCount);
  const check = new Bitfield(pieceCount);
  const known = found.map((file, index) => state !== null && isAsLeft(file, state.files[index]!, state));
  for (let piece = 0; piece < pieceCount; piece++) {
    const ranges = map.rangesOfPiece(piece);
    if (!ranges.every((r) => found[r.file]!.place !== "absent" && found[r.file]!.size >= r.position + r.length)) {
      continue;
    }
    if (mode === "trust") {
      const exact = ranges.every((r) =>
        found[r.file]!.place === "final" && found[r.file]!.size === files[r.file]!.length
      );
      if (exact) believed.set(piece);
    } else if (state === null || !ranges.every((range) => known[range.file])) {
      check.set(piece);
    } else if (state.pieces.has(piece)) {
      believed.set(piece);
    } else if (state.unsynced.has(piece) || ranges.some((range) => found[range.file]!.place === "final")) {
      // A file gets its final name when all of it is verified: it did so after the state was saved.
      check.set(piece);
    }
  }
  return { believed, check, known };
}

/** What happens to a file that is there under its final name. */
export interface FinalFiles {
  /** Files that aren't whole but in which something of the torrent was found: they go on as unfinished files. */
  readonly adopt: readonly number[];
  /** Files that have nothing to do with the torrent. */
  readonly foreign: readonly number[];
}

/**
 * Judges the files that are there under their final names and aren't whole.
 *
 * @param map The torrent.
 * @param found What is on disk, in the order of the files.
 * @param outcome The plan, and `have`: the pieces that are there.
 * @returns Which of them go on as unfinished files and which are somebody else's.
 */
export function judgeFinalFiles(
  map: PieceMap,
  found: readonly FileRecord[],
  outcome: { readonly plan: StartPlan; readonly have: Bitfield },
): FinalFiles {
  const adopt: number[] = [];
  const foreign: number[] = [];
  for (const [index, file] of map.layout.files.entries()) {
    if (found[index]!.place !== "final" || !holdsData(file)) continue;
    const { first, end } = map.piecesOfFile(index);
    let verified = 0;
    let failed = 0;
    for (let piece = first; piece < end; piece++) {
      if (outcome.have.has(piece)) verified++;
      else if (outcome.plan.check.has(piece)) failed++;
    }
    if (verified === end - first && found[index]!.size === file.length) continue;
    // Without any evidence against it, a file of that name and not too large is taken for the user's unfinished
    // download.
    const ours = verified > 0 || failed === 0 || outcome.plan.known[index]!;
    (ours ? adopt : foreign).push(index);
  }
  return { adopt, foreign };
}

/**
 * Whether a file is as the resume state has it, or as a process that was killed can have left it after going on for a
 * moment: a file that was unfinished or not even there may have grown, and may have got its final name.
 */
function isAsLeft(found: FileRecord, record: FileRecord, state: ResumeState): boolean {
  if (found.place === record.place && found.size === record.size && found.modified === record.modified) return true;
  if (state.clean || found.place === "absent" || record.place === "final") return false;
  const earliest = record.place === "absent" ? state.saved - WRITES_AFTER_SAVE : -Infinity;
  return found.modified >= earliest && found.modified <= state.saved + WRITES_AFTER_SAVE;
}
