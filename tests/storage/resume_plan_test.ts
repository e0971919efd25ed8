import { assertEquals } from "@std/assert";
import { Bitfield } from "../../src/base/bitfield.ts";
import { InfoHash } from "../../src/base/info_hash.ts";
import { PieceMap } from "../../src/storage/layout.ts";
import { judgeFinalFiles, planStart } from "../../src/storage/resume_plan.ts";
import type { FileRecord, ResumeState } from "../../src/storage/resume_state.ts";
import { layoutOf } from "./fixture.ts";

/** Pieces 0 and 1 in `a`, 2 in both, 3 and 4 in `b`. */
const map = new PieceMap(layoutOf(10, [{ path: "a", length: 25 }, { path: "b", length: 25 }]));
const SAVED = 1_000_000;

function bits(...pieces: number[]): Bitfield {
  const field = new Bitfield(5);
  for (const piece of pieces) field.set(piece);
  return field;
}

function state(changes: Partial<ResumeState> = {}): ResumeState {
  return {
    infoHash: new InfoHash(new Uint8Array(20)),
    folder: "/dl",
    saved: SAVED,
    clean: false,
    pieces: bits(0, 2, 3),
    unsynced: bits(4),
    files: [part(SAVED - 5), part(SAVED - 5)],
    ...changes,
  };
}

const part = (modified: number, size = 25): FileRecord => ({ place: "part", size, modified });
const final = (modified: number, size = 25): FileRecord => ({ place: "final", size, modified });
const ABSENT: FileRecord = { place: "absent", size: 0, modified: 0 };

function plan(found: FileRecord[], resume: ResumeState | null, mode: "resume" | "check" | "trust" = "resume") {
  const { believed, check } = planStart(map, found, { mode, state: resume });
  return { believed: [...believed], check: [...check] };
}

Deno.test("planStart() believes what was synced and hashes what was not", () => {
  assertEquals(plan([part(SAVED - 5), part(SAVED - 5)], state()), { believed: [0, 2, 3], check: [4] });
});

Deno.test("planStart() believes files that a killed process went on writing", () => {
  assertEquals(plan([part(SAVED + 900), part(SAVED + 10_000)], state()), { believed: [0, 2, 3], check: [4] });
});

Deno.test("planStart() hashes all pieces of a file that somebody else wrote", () => {
  assertEquals(plan([part(SAVED + 10_001), part(SAVED)], state()), { believed: [3], check: [0, 1, 2, 4] });
  const clean = state({ clean: true });
  assertEquals(plan([part(SAVED - 4), part(SAVED - 5)], clean), { believed: [3], check: [0, 1, 2, 4] });
  assertEquals(plan([part(SAVED - 5, 24), part(SAVED - 5)], clean), { believed: [3], check: [0, 1, 4] });
});

Deno.test("planStart() hashes what it does not know of a file that got its final name after the save", () => {
  assertEquals(plan([final(SAVED + 900), part(SAVED)], state()), { believed: [0, 2, 3], check: [1, 4] });
  const before = state({ files: [ABSENT, part(SAVED)], pieces: bits(3), unsynced: bits() });
  assertEquals(plan([final(SAVED + 900), part(SAVED)], before), { believed: [3], check: [0, 1, 2] });
});

Deno.test("planStart() hashes a file that is under its .part name again", () => {
  const whole = state({ files: [final(SAVED - 5), part(SAVED)], pieces: bits(0, 1, 2) });
  assertEquals(plan([part(SAVED - 5), part(SAVED)], whole), { believed: [], check: [0, 1, 2, 4] });
});

Deno.test("planStart() neither believes nor reads what is missing", () => {
  assertEquals(plan([part(SAVED), ABSENT], state()), { believed: [0], check: [] });
  assertEquals(plan([part(SAVED), part(SAVED, 10)], state()), { believed: [0, 2], check: [] });
  assertEquals(plan([ABSENT, final(0, 24)], null), { believed: [], check: [3] });
});

Deno.test("planStart() hashes everything in mode check and without a state", () => {
  const everything = { believed: [], check: [0, 1, 2, 3, 4] };
  assertEquals(plan([part(SAVED), part(SAVED)], state(), "check"), everything);
  assertEquals(plan([part(SAVED), final(SAVED)], null), everything);
});

Deno.test("planStart() trusts final names with the right size", () => {
  assertEquals(plan([final(0), final(0)], null, "trust").believed, [0, 1, 2, 3, 4]);
  assertEquals(plan([final(0), final(0, 24)], null, "trust").believed, [0, 1]);
  assertEquals(plan([final(0), part(0)], null, "trust").believed, [0, 1]);
});

function judge(found: FileRecord[], have: Bitfield, resume: ResumeState | null = null) {
  return judgeFinalFiles(map, found, { plan: planStart(map, found, { mode: "resume", state: resume }), have });
}

Deno.test("judgeFinalFiles() leaves whole files alone", () => {
  assertEquals(judge([final(0), final(0)], bits(0, 1, 2, 3, 4)), { adopt: [], foreign: [] });
});

Deno.test("judgeFinalFiles() adopts a file with a piece that is right, or that nothing speaks against", () => {
  assertEquals(judge([final(0), final(0)], bits(0, 4)), { adopt: [0, 1], foreign: [] });
  assertEquals(judge([final(0, 9), ABSENT], bits()), { adopt: [0], foreign: [] });
});

Deno.test("judgeFinalFiles() takes a file for somebody else's when everything that can be hashed is wrong", () => {
  assertEquals(judge([final(0), final(0)], bits(3)), { adopt: [1], foreign: [0] });
});

Deno.test("judgeFinalFiles() knows a file by its resume state", () => {
  const small = new PieceMap(layoutOf(10, [{ path: "a", length: 3 }, { path: "b", length: 7 }]));
  const found = [final(7, 3), part(SAVED + 99_999, 7)];
  const one = new Bitfield(1);
  const resume = state({ pieces: one, unsynced: one, files: [final(7, 3), part(SAVED, 7)] });
  const known = planStart(small, found, { mode: "resume", state: resume });
  assertEquals([...known.check], [0]);
  assertEquals(judgeFinalFiles(small, found, { plan: known, have: one }), { adopt: [0], foreign: [] });
  const unknown = planStart(small, found, { mode: "resume", state: null });
  assertEquals(judgeFinalFiles(small, found, { plan: unknown, have: one }), { adopt: [], foreign: [0] });
});

Deno.test("planStart() does not take an old file that came later for its own work", () => {
  const before = state({ files: [ABSENT, part(SAVED)], pieces: bits(3), unsynced: bits() });
  const found = [final(SAVED - 60_000), part(SAVED)];
  assertEquals(planStart(map, found, { mode: "resume", state: before }).known, [false, true]);
});
