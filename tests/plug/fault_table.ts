/**
 * Injects every possible fault into every file system call of a download, one per run, and records the results.
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
import {
  assertWhole,
  finishing,
  type LabTorrent,
  type Outcome,
  putAll,
  run,
  type RunOptions,
  Watch,
} from "./memory_lab.ts";
import { V2Torrent } from "./v2_torrent.ts";

const KIB = 1024;
/** Torrent with pieces that span files, pieces of one file, an empty file, padding, folders and a link. */
export const TORRENT = new Torrent(16 * KIB, [
  { path: "t/a", length: 40 * KIB + 1 },
  { path: "t/sub/b", length: 7 },
  { path: "t/sub/empty", length: 0 },
  { path: "t/.pad/20", length: 20, pad: true },
  { path: "t/sub/d", length: 60 * KIB },
  { path: "t/deep/er/e", length: 30 * KIB },
  { path: "t/link", link: "t/a" },
]);
/** The same as a v2 torrent, whose pieces never span files. */
const TORRENT_V2 = new V2Torrent(TORRENT);

/** Files that a session finds on disk, and options of the torrent. */
export interface Scenario {
  /** Name for the table. */
  readonly name: string;
  /** The torrent, {@linkcode TORRENT} by default. */
  readonly torrent?: LabTorrent;
  /** Options for adding the torrent. */
  readonly add?: Partial<AddOptions>;
  /** `true` if the session seeds. */
  readonly asSeeder?: boolean;
  /** `true` if incomplete files are under final names at the start. */
  readonly hasStrays?: boolean;
  /** Returns a disk with the files that the session finds. */
  prepare(clock: VirtualClock, torrent: LabTorrent): MemoryFiles | Promise<MemoryFiles>;
}

/** All scenarios. */
export const SCENARIOS: readonly Scenario[] = [
  { name: "nothing there", prepare: emptyDisk },
  { name: "killed early", prepare: (...made) => killed(...made, 2500) },
  { name: "killed late", prepare: (...made) => killed(...made, 8000) },
  { name: "killed, then --check", prepare: (...made) => killed(...made, 8000), add: { check: true } },
  { name: "file that lost its end", prepare: cutShort },
  { name: "incomplete files of others", prepare: strays, add: { check: true }, hasStrays: true },
  { name: "right files of others, alone", prepare: alone, hasStrays: true },
  { name: "more files wanted", prepare: partly },
  { name: "seeding", prepare: complete, add: { check: true }, asSeeder: true },
  { name: "v2, killed late", torrent: TORRENT_V2, prepare: (...made) => killed(...made, 8000) },
  { name: "v2, more files wanted", torrent: TORRENT_V2, prepare: partly },
];

function emptyDisk(clock: VirtualClock): MemoryFiles {
  return new MemoryFiles({ wallClock: () => clock.wallClock() });
}

/**
 * Returns a disk with a right file too small to be verified alone, a file of zeros, a right file, and a link with
 * another text than Shoal's to the same target.
 */
function alone(clock: VirtualClock, torrent: LabTorrent): MemoryFiles {
  const files = emptyDisk(clock);
  files.put("/dl/t/sub/b", torrent.file("t/sub/b"));
  files.put("/dl/t/sub/d", new Uint8Array(60 * KIB));
  files.put("/dl/t/a", torrent.file("t/a"));
  files.putLink("/elsewhere", "/dl");
  files.putLink("/dl/t/link", "/elsewhere/t/a");
  return files;
}

/** Returns the disk of a download that was killed after a number of milliseconds. */
async function killed(clock: VirtualClock, torrent: LabTorrent, after: number): Promise<MemoryFiles> {
  const files = emptyDisk(clock);
  const death = new Promise<MemoryFiles>((resolve) => clock.after(after, () => resolve(files.crash())));
  const life = run(torrent, { files }, clock);
  const left = await finishing(Promise.race([death, life.then(() => null)]), clock);
  assert(left !== null, `it had finished before ${after} ms`);
  return left;
}

async function cutShort(clock: VirtualClock, torrent: LabTorrent): Promise<MemoryFiles> {
  const files = await killed(clock, torrent, 8000);
  files.cut("/dl/t/sub/d.part", 33 * KIB);
  return files;
}

function strays(clock: VirtualClock, torrent: LabTorrent): MemoryFiles {
  const files = emptyDisk(clock);
  const half = torrent.file("t/sub/d");
  half.fill(0, 0, 30 * KIB);
  files.put("/dl/t/sub/d", half);
  files.put("/dl/t/a", torrent.file("t/a").subarray(0, 33 * KIB));
  files.put("/dl/t/deep/er/e.part", concatBytes([torrent.file("t/deep/er/e"), new Uint8Array(5)]));
  return files;
}

/** Returns the disk of a complete download of some files. The partfile has pieces that span other files. */
async function partly(clock: VirtualClock, torrent: LabTorrent): Promise<MemoryFiles> {
  const files = emptyDisk(clock);
  const wanted = ["t/sub/b", "t/sub/d"].map((path) =>
    torrent.layout.files.findIndex((file) => file.path.join("/") === path)
  );
  await run(torrent, { files, add: { files: new Set(wanted) } }, clock);
  return files;
}

function complete(clock: VirtualClock, torrent: LabTorrent): MemoryFiles {
  const files = emptyDisk(clock);
  putAll(torrent, files);
  return files;
}

/** Disk of each scenario, made once. */
const DISKS = new Map<Scenario, { readonly files: MemoryFiles; readonly time: number }>();

function torrentOf({ torrent = TORRENT }: Scenario): LabTorrent {
  return torrent;
}

/** Returns a copy of a scenario's disk, and a clock one hour later. */
async function begin(scenario: Scenario): Promise<{ readonly files: MemoryFiles; readonly clock: VirtualClock }> {
  let disk = DISKS.get(scenario);
  if (disk === undefined) {
    const clock = new VirtualClock();
    const files = await scenario.prepare(clock, torrentOf(scenario));
    DISKS.set(scenario, disk = { files, time: clock.wallClock() });
  }
  const clock = new VirtualClock({ wallClock: disk.time + 3_600_000 });
  return { clock, files: disk.files.crash(undefined, () => clock.wallClock()) };
}

/** Effect of a fault on the download. */
export type Result = "went on" | "warned" | "ended" | "told at the end";

/** One run with a fault. */
export interface Row {
  /** Name of the scenario. */
  readonly scenario: string;
  /** The one or two calls that failed. */
  readonly calls: readonly Call[];
  /** The injected fault. */
  readonly plan: Plan;
  /** Effect of the fault. */
  readonly result: Result;
}

/** Runs a scenario without faults, and returns all calls. */
export async function census(scenario: Scenario): Promise<readonly Call[]> {
  const { clock, files } = await begin(scenario);
  const watch = new Watch(torrentOf(scenario), files, { except: scenario.hasStrays ?? false });
  const faultless = new FaultFiles(files, { sites: true, after: () => watch.look() });
  const { error } = await run(torrentOf(scenario), optionsOf(scenario, faultless), clock);
  assertEquals(error, null, scenario.name);
  assertWhole(torrentOf(scenario), files, scenario.name);
  return faultless.calls;
}

/**
 * Runs a scenario with a fault, then restarts without faults.
 *
 * @param scenario The scenario.
 * @param plan The fault.
 * @throws {AssertionError} If a file under its final name is wrong at any time, the reported error isn't the injected
 * one, a file is left open, or the restart doesn't complete.
 */
export async function tryFault(scenario: Scenario, plan: Plan): Promise<Row> {
  const { clock, files } = await begin(scenario);
  const watch = new Watch(torrentOf(scenario), files, { except: scenario.hasStrays ?? false });
  const faulty = new FaultFiles(files, { plan, after: () => watch.look() });
  const outcome = await run(torrentOf(scenario), optionsOf(scenario, faulty), clock);
  const [call] = faulty.failed;
  const how = `${plan.fault}${plan.next === undefined ? "" : `, then ${plan.next},`}`;
  const why = `${scenario.name}, call ${plan.at}: ${how} at ${call?.operation} of ${call?.path} by ${call?.site}`;
  assert(call !== undefined, `${why}: there is no such call`);
  assertEquals(files.openHandles, 0, `${why}: files are left open`);
  const result = judge(outcome, { plan, call, why });
  if (result !== "ended") assertWhole(torrentOf(scenario), files, why);

  clock.advance(60_000);
  const again = await run(
    torrentOf(scenario),
    optionsOf(scenario, new FaultFiles(files, { after: () => watch.look() })),
    clock,
  );
  assertEquals(again.error, null, `${why}: the next start`);
  assertWhole(torrentOf(scenario), files, `${why}: the next start`);
  assertEquals(files.openHandles, 0, `${why}: the next start leaves files open`);
  return { scenario: scenario.name, calls: faulty.failed, plan, result };
}

function optionsOf(scenario: Scenario, files: FaultFiles): RunOptions {
  return { files, add: scenario.add ?? {}, asSeeder: scenario.asSeeder ?? false };
}

/** Returns the effect of a fault by the events of the session. */
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
      // A lock that can't be examined may be held by a running process.
      assertEquals([error.where, told.length], ["/dl", 1], why);
      assertStringIncludes(error.why, "is being downloaded to that folder already", why);
      return "ended";
    }
    assertEquals([error.kind, error.where, told.length], ["storage", call.path, 1], `${why}: ${error.message}`);
    // The session must report the first failure, not its consequences.
    assertStringIncludes(error.why, WORDS[plan.fault === "EEXIST" ? plan.next ?? "EEXIST" : plan.fault], why);
    return "ended";
  }
  if (told.length > 0) {
    assertEquals(told.map(({ code, where }) => [code, where]), [["storage", call.path]], why);
    return "told at the end";
  }
  return warnings.length === 1 ? "warned" : "went on";
}

/** Part of the error message for each fault. */
const WORDS: Readonly<Record<Plan["fault"], string>> = {
  ENOSPC: "no space is left",
  SHORT: "no space is left",
  EIO: "the device failed",
  EACCES: "permission denied",
  EMFILE: "too many files are open",
  EEXIST: "already there",
};

/** Returns the role of a path in words. */
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
 * Runs a scenario with faults in every call.
 *
 * @param scenario The scenario.
 * @param choose Selects from the possible faults of a call those to run.
 * @returns The result of each run.
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
