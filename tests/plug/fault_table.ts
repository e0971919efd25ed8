/**
 * Makes every call of a file system fail, one a run, in every way, and notes what became of it.
 *
 * @module
 */

import { assert, assertEquals, assertInstanceOf, assertStringIncludes } from "@std/assert";
import { concatBytes } from "../../src/base/bytes.ts";
import { ShoalError } from "../../src/base/errors.ts";
import type { AddOptions } from "../../src/session/session.ts";
import { Torrent } from "../storage/fixture.ts";
import { MemoryFiles } from "../support/memory_files.ts";
import { VirtualClock } from "../support/virtual_clock.ts";
import { type Call, FaultFiles, type Plan, plansFor } from "./fault_files.ts";
import { assertWhole, finishing, type Outcome, putAll, run, type RunOptions, Watch } from "./memory_lab.ts";

const KIB = 1024;
/** Of everything something: pieces that files share, a piece of one file alone, nothing, padding, folders, a link. */
export const TORRENT = new Torrent(16 * KIB, [
  { path: "t/a", length: 40 * KIB + 1 },
  { path: "t/sub/b", length: 7 },
  { path: "t/sub/empty", length: 0 },
  { path: "t/.pad/20", length: 20, pad: true },
  { path: "t/sub/d", length: 60 * KIB },
  { path: "t/deep/er/e", length: 30 * KIB },
  { path: "t/link", link: "t/a" },
]);

/** What a session finds, and what it is to do. */
export interface Scenario {
  /** For the table. */
  readonly name: string;
  /** How the torrent is added. */
  readonly add?: Partial<AddOptions>;
  /** Whether it seeds. */
  readonly asSeeder?: boolean;
  /** Whether files that aren't whole are there under final names, because they were put there. */
  readonly hasStrays?: boolean;
  /** Makes what is on disk. */
  prepare(clock: VirtualClock): MemoryFiles | Promise<MemoryFiles>;
}

/** All that a session may find. */
export const SCENARIOS: readonly Scenario[] = [
  { name: "nothing there", prepare: emptyDisk },
  { name: "killed early", prepare: (clock) => killed(clock, 2500) },
  { name: "killed late", prepare: (clock) => killed(clock, 8000) },
  { name: "killed, then --check", prepare: (clock) => killed(clock, 8000), add: { check: true } },
  { name: "file that lost its end", prepare: cutShort },
  { name: "incomplete files of others", prepare: strays, add: { check: true }, hasStrays: true },
  { name: "right files of others, alone", prepare: alone, hasStrays: true },
  { name: "more files wanted", prepare: partly },
  { name: "seeding", prepare: complete, add: { check: true }, asSeeder: true },
];

function emptyDisk(clock: VirtualClock): MemoryFiles {
  return new MemoryFiles({ wallClock: () => clock.wallClock() });
}

/** A small file that can't be proven, one that is proven by nothing but zeros, and a link that says it in other words. */
function alone(clock: VirtualClock): MemoryFiles {
  const files = emptyDisk(clock);
  files.put("/dl/t/sub/b", TORRENT.file("t/sub/b"));
  files.put("/dl/t/sub/d", new Uint8Array(60 * KIB));
  files.put("/dl/t/a", TORRENT.file("t/a"));
  files.putLink("/elsewhere", "/dl");
  files.putLink("/dl/t/link", "/elsewhere/t/a");
  return files;
}

/** A download that was killed after so many milliseconds. */
async function killed(clock: VirtualClock, after: number): Promise<MemoryFiles> {
  const files = emptyDisk(clock);
  const death = new Promise<MemoryFiles>((resolve) => clock.after(after, () => resolve(files.crash())));
  const life = run(TORRENT, { files }, clock);
  const left = await finishing(Promise.race([death, life.then(() => null)]), clock);
  assert(left !== null, `it had finished before ${after} ms`);
  return left;
}

async function cutShort(clock: VirtualClock): Promise<MemoryFiles> {
  const files = await killed(clock, 8000);
  files.cut("/dl/t/sub/d.part", 33 * KIB);
  return files;
}

function strays(clock: VirtualClock): MemoryFiles {
  const files = emptyDisk(clock);
  const half = TORRENT.file("t/sub/d");
  half.fill(0, 0, 30 * KIB);
  files.put("/dl/t/sub/d", half);
  files.put("/dl/t/a", TORRENT.file("t/a").subarray(0, 33 * KIB));
  files.put("/dl/t/deep/er/e.part", concatBytes([TORRENT.file("t/deep/er/e"), new Uint8Array(5)]));
  return files;
}

/** A download of some files is complete; what they share with others waits in the partfile. */
async function partly(clock: VirtualClock): Promise<MemoryFiles> {
  const files = emptyDisk(clock);
  await run(TORRENT, { files, add: { files: new Set([1, 4]) } }, clock);
  return files;
}

function complete(clock: VirtualClock): MemoryFiles {
  const files = emptyDisk(clock);
  putAll(TORRENT, files);
  return files;
}

/** What each scenario finds, made once. */
const DISKS = new Map<Scenario, { readonly files: MemoryFiles; readonly time: number }>();

/** What a scenario finds, and the clock an hour later. */
async function begin(scenario: Scenario): Promise<{ readonly files: MemoryFiles; readonly clock: VirtualClock }> {
  let disk = DISKS.get(scenario);
  if (disk === undefined) {
    const clock = new VirtualClock();
    const files = await scenario.prepare(clock);
    DISKS.set(scenario, disk = { files, time: clock.wallClock() });
  }
  const clock = new VirtualClock({ wallClock: disk.time + 3_600_000 });
  return { clock, files: disk.files.crash(undefined, () => clock.wallClock()) };
}

/** What became of a call that failed. */
export type Result = "went on" | "warned" | "ended" | "told at the end";

/** One call that failed. */
export interface Row {
  /** What the session found at its start. */
  readonly scenario: string;
  /** The calls that failed: one, or two. */
  readonly calls: readonly Call[];
  /** How they failed. */
  readonly plan: Plan;
  /** What came of it. */
  readonly result: Result;
}

/** All calls of a scenario when none fails. */
export async function census(scenario: Scenario): Promise<readonly Call[]> {
  const { clock, files } = await begin(scenario);
  const watch = new Watch(TORRENT, files, { except: scenario.hasStrays ?? false });
  const faultless = new FaultFiles(files, { sites: true, after: () => watch.look() });
  const { error } = await run(TORRENT, optionsOf(scenario, faultless), clock);
  assertEquals(error, null, scenario.name);
  assertWhole(TORRENT, files, scenario.name);
  return faultless.calls;
}

/**
 * Lets one call of a scenario fail, then starts again with everything in order.
 *
 * @param scenario What the session finds.
 * @param plan Which call, and how.
 * @returns What became of it.
 * @throws {AssertionError} If that is nothing good: a file that is wrong under its final name at any moment, an error
 * that isn't the one that was made, a file left open, a second start that doesn't finish.
 */
export async function tryFault(
  scenario: Scenario,
  plan: Plan,
): Promise<Row> {
  const { clock, files } = await begin(scenario);
  const watch = new Watch(TORRENT, files, { except: scenario.hasStrays ?? false });
  const faulty = new FaultFiles(files, { plan, after: () => watch.look() });
  const outcome = await run(TORRENT, optionsOf(scenario, faulty), clock);
  const [call] = faulty.failed;
  const how = `${plan.fault}${plan.next === undefined ? "" : `, then ${plan.next},`}`;
  const why = `${scenario.name}, call ${plan.at}: ${how} at ${call?.operation} of ${call?.path} by ${call?.site}`;
  assert(call !== undefined, `${why}: there is no such call`);
  assertEquals(files.openHandles, 0, `${why}: files are left open`);
  const result = judge(outcome, { plan, call, why });
  if (result !== "ended") assertWhole(TORRENT, files, why);

  clock.advance(60_000);
  const again = await run(
    TORRENT,
    optionsOf(scenario, new FaultFiles(files, { after: () => watch.look() })),
    clock,
  );
  assertEquals(again.error, null, `${why}: the next start`);
  assertWhole(TORRENT, files, `${why}: the next start`);
  assertEquals(files.openHandles, 0, `${why}: the next start leaves files open`);
  return { scenario: scenario.name, calls: faulty.failed, plan, result };
}

function optionsOf(scenario: Scenario, files: FaultFiles): RunOptions {
  return { files, add: scenario.add ?? {}, asSeeder: scenario.asSeeder ?? false };
}

/** What came of it, by what the session has told. */
function judge(
  { error, events }: Outcome,
  { plan, call, why }: { readonly plan: Plan; readonly call: Call; readonly why: string },
): Result {
  const warnings = events.filter(({ event }) => event === "warning");
  const told = events.filter((event) => event.event === "error");
  assert(warnings.length <= 1 && told.length <= 1, `${why}: told more than once`);
  if (error !== null) {
    assertInstanceOf(error, ShoalError, why);
    if (plan.fault === "EACCES" && roleOf(call.path) === "lock") {
      // Whoever has a lock that can't be looked at may be at work.
      assertEquals([error.where, told.length], ["/dl", 1], why);
      assertStringIncludes(error.why, "is being downloaded to that folder already", why);
      return "ended";
    }
    assertEquals([error.kind, error.where, told.length], ["storage", call.path, 1], `${why}: ${error.message}`);
    // The first failure is the one to tell, not what came of it.
    assertStringIncludes(error.why, WORDS[plan.fault === "EEXIST" ? plan.next ?? "EEXIST" : plan.fault], why);
    return "ended";
  }
  if (told.length > 0) {
    assertEquals(told.map(({ code, where }) => [code, where]), [["storage", call.path]], why);
    return "told at the end";
  }
  return warnings.length === 1 ? "warned" : "went on";
}

/** What the user is told of each fault. */
const WORDS: Readonly<Record<Plan["fault"], string>> = {
  ENOSPC: "no space is left",
  SHORT: "no space is left",
  EIO: "the device failed",
  EACCES: "permission denied",
  EMFILE: "too many files are open",
  EEXIST: "already there",
};

/** What a path is to the torrent. */
export function roleOf(path: string): string {
  if (path === "/dl") return "download folder";
  if (path === "/state") return "state folder";
  if (path.startsWith("/state/")) return "resume state";
  if (path.startsWith("/dl/.shoal") && path.endsWith(".lock")) return "lock";
  if (path.endsWith(".part")) return "unfinished file";
  const file = TORRENT.layout.files.find((file) => `/dl/${file.path.join("/")}` === path);
  if (file === undefined) return "folder";
  return file.symlink !== null ? "link" : file.length === 0 ? "empty file" : "final name";
}

/**
 * Lets calls of a scenario fail.
 *
 * @param scenario What the session finds.
 * @param choose Which of the ways in which a call can fail are tried.
 * @returns What became of each.
 */
export async function tryAll(
  scenario: Scenario,
  choose: (plans: readonly Plan[], at: number) => readonly Plan[],
): Promise<Row[]> {
  const rows: Row[] = [];
  for (const [at, call] of (await census(scenario)).entries()) {
    for (const plan of choose(plansFor(call, at), at)) rows.push(await tryFault(scenario, plan));
  }
  return rows;
}
