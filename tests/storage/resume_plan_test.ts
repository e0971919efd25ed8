import { assertEquals } from "@std/assert";
import { Bitfield } from "../../src/base/bitfield.ts";
import { InfoHash } from "../../src/base/info_hash.ts";
import { FileMap } from "../../src/storage/layout.ts";
import { judgeFiles, planStart } from "../../src/storage/resume_plan.ts";
import type { FileRecord, ResumeState } from "../../src/storage/resume_state.ts";
import { layoutOf } from "./fixture.ts";

/** Pieces 0 and 1 are in `a`, piece 2 in both files, pieces 3 and 4 in `b`. */
const map = new FileMap(layoutOf(10, [{ path: "a", length: 25 }, { path: "b", length: 25 }]));
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

Deno.test("planStart() hashes all pieces of a file that was changed after the save, whoever did it", () => {
  for (const clean of [false, true]) {
    const resume = state({ clean });
    assertEquals(plan([part(SAVED - 4), part(SAVED - 5)], resume), { believed: [3], check: [0, 1, 2, 4] });
    assertEquals(plan([part(SAVED - 5, 24), part(SAVED - 5)], resume), { believed: [3], check: [0, 1, 4] });
  }
});

Deno.test("planStart() hashes a file that got its final name after the save", () => {
  assertEquals(plan([final(SAVED - 5), part(SAVED - 5)], state()), { believed: [3], check: [0, 1, 2, 4] });
  const before = state({ files: [ABSENT, part(SAVED)], pieces: bits(3), unsynced: bits() });
  assertEquals(plan([final(SAVED + 900), part(SAVED)], before), { believed: [3], check: [0, 1, 2] });
});

Deno.test("planStart() hashes a file that is under its .part name again", () => {
  const whole = state({ files: [final(SAVED - 5), part(SAVED)], pieces: bits(0, 1, 2) });
  assertEquals(plan([part(SAVED - 5), part(SAVED)], whole), { believed: [], check: [0, 1, 2, 4] });
});

Deno.test("planStart() neither believes nor reads what is missing", () => {
  assertEquals(plan([part(SAVED - 5), ABSENT], state()), { believed: [0], check: [] });
  assertEquals(plan([part(SAVED - 5), part(SAVED, 10)], state()), { believed: [0], check: [2] });
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

function judge(
  found: FileRecord[],
  have: Bitfield,
  { resume = null, takeParts = false }: { resume?: ResumeState | null; takeParts?: boolean } = {},
) {
  const plan = planStart(map, found, { mode: "resume", state: resume });
  return judgeFiles(map, found, { plan, have, takeParts });
}

Deno.test("judgeFiles() leaves whole files alone", () => {
  assertEquals(judge([final(0), final(0)], bits(0, 1, 2, 3, 4)), { adopt: [], foreign: [] });
});

Deno.test("judgeFiles() adopts a file with a piece that is right, and an empty one", () => {
  assertEquals(judge([final(0), final(0)], bits(0, 4)), { adopt: [0, 1], foreign: [] });
  assertEquals(judge([final(0, 0), ABSENT], bits()), { adopt: [0], foreign: [] });
});

Deno.test("judgeFiles() takes a file for somebody else's when no piece of it is right, checked or not", () => {
  assertEquals(judge([final(0), final(0)], bits(3)), { adopt: [1], foreign: [0] });
  assertEquals(judge([final(0, 9), ABSENT], bits()), { adopt: [], foreign: [0] }, "too short for a piece");
  assertEquals(judge([part(0, 9), part(0, 30)], bits()), { adopt: [], foreign: [0, 1] });
  assertEquals(judge([part(0, 0), part(0, 30)], bits(3)), { adopt: [], foreign: [] });
});

Deno.test("judgeFiles() takes a .part file of the right size when there is no resume state to know it", () => {
  assertEquals(judge([part(0), final(0)], bits(), { takeParts: true }), { adopt: [], foreign: [1] });
  assertEquals(judge([part(0, 24), part(0, 26)], bits(), { takeParts: true }), { adopt: [], foreign: [0, 1] });
});

Deno.test("judgeFiles() knows a .part file by its resume state, changed or not", () => {
  const foreign = (found: FileRecord, resume: ResumeState) => judge([found, ABSENT], bits(), { resume }).foreign;
  for (const clean of [false, true]) {
    const resume = state({ clean });
    assertEquals(foreign(part(SAVED + 99_999), resume), []);
    assertEquals(foreign(part(SAVED + 99_999, 5), resume), [], "somebody cut it short");
    assertEquals(foreign(part(SAVED + 99_999, 26), resume), [0], "this was never ours");
  }
});

Deno.test("judgeFiles() knows a .part file that a killed process can have made after the save", () => {
  const foreign = (found: FileRecord, clean: boolean) =>
    judge([found, ABSENT], bits(), { resume: state({ clean, files: [ABSENT, ABSENT] }) }).foreign;
  assertEquals(foreign(part(SAVED + 1), false), []);
  assertEquals(foreign(part(SAVED + 1, 24), false), [0], "ours would have its full size");
  assertEquals(foreign(part(SAVED + 1), true), [0], "nothing was made after a clean end");
  assertEquals(foreign(final(SAVED + 1), false), [0], "only what is verified gets its final name");
});

Deno.test("judgeFiles() knows a file by its resume state in mode check, too", () => {
  const found = [part(SAVED + 5), final(SAVED - 5)];
  const resume = state({ files: [part(SAVED), final(SAVED - 5)] });
  const plan = planStart(map, found, { mode: "check", state: resume });
  assertEquals(judgeFiles(map, found, { plan, have: bits(), takeParts: false }), { adopt: [1], foreign: [] });
});

Deno.test("judgeFiles() knows a file under its final name by its resume state, if it was not changed", () => {
  const small = new FileMap(layoutOf(10, [{ path: "a", length: 3 }, { path: "b", length: 7 }]));
  const one = new Bitfield(1);
  const resume = state({ pieces: one, unsynced: one, files: [final(7, 3), part(SAVED, 7)] });
  const outcome = (modified: number) => {
    const found = [final(modified, 3), part(SAVED + 99_999, 7)];
    const known = planStart(small, found, { mode: "resume", state: resume });
    assertEquals([...known.check], [0]);
    return judgeFiles(small, found, { plan: known, have: one, takeParts: false });
  };
  assertEquals(outcome(7), { adopt: [0], foreign: [] });
  assertEquals(outcome(8), { adopt: [], foreign: [0] });
});
