import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { eventsOf } from "../support/events.ts";
import { testWith } from "../support/requirements.ts";
import { withScratch } from "../support/scratch.ts";
import { VERSIONS } from "../support/torrents.ts";
import { KillLab, PAYLOADS, Seed, type Trap } from "./kill_lab.ts";

/** A failing system call, and part of the resulting error (`ends`) or warning (`warns`). Neither: no effect. */
interface Case {
  readonly of: "unfinished file" | "draft of resume state" | "state folder" | "lock";
  readonly calls: readonly string[];
  readonly error: string;
  readonly ends?: string;
  readonly warns?: string;
}

const WRITE = ["write", "pwrite64"];
const RENAME = ["rename", "renameat", "renameat2"];

const CASES: readonly Case[] = [
  { of: "unfinished file", calls: ["openat"], error: "EMFILE", ends: "too many files are open" },
  { of: "unfinished file", calls: ["openat"], error: "EACCES", ends: "permission denied" },
  { of: "unfinished file", calls: ["ftruncate"], error: "ENOSPC", ends: "no space is left" },
  { of: "unfinished file", calls: WRITE, error: "ENOSPC", ends: "no space is left" },
  { of: "unfinished file", calls: WRITE, error: "EIO", ends: "the device failed" },
  { of: "unfinished file", calls: ["fdatasync"], error: "EIO", ends: "the device failed" },
  { of: "unfinished file", calls: ["fdatasync"], error: "EDQUOT", ends: "no space is left" },
  { of: "unfinished file", calls: RENAME, error: "EACCES", ends: "permission denied" },
  { of: "draft of resume state", calls: ["openat"], error: "EMFILE", warns: "too many files are open" },
  { of: "draft of resume state", calls: ["ftruncate"], error: "EIO", warns: "the device failed" },
  { of: "draft of resume state", calls: WRITE, error: "ENOSPC", warns: "no space is left" },
  { of: "draft of resume state", calls: ["fdatasync"], error: "EIO", warns: "the device failed" },
  { of: "draft of resume state", calls: RENAME, error: "EACCES", warns: "permission denied" },
  { of: "state folder", calls: ["fdatasync"], error: "EIO", warns: "the device failed" },
  { of: "state folder", calls: ["fdatasync"], error: "EINVAL" },
  // A read-only file system needs no lock, since no other process can download there.
  { of: "lock", calls: ["openat"], error: "EROFS" },
  { of: "lock", calls: ["openat"], error: "EIO", warns: "the device failed" },
  { of: "lock", calls: ["flock"], error: "ENOLCK" },
  { of: "lock", calls: ["flock"], error: "ENOSYS" },
  { of: "lock", calls: ["flock"], error: "EOPNOTSUPP" },
  { of: "lock", calls: ["flock"], error: "EIO", warns: "the device failed" },
];

function pathOf(lab: KillLab, of: Case["of"]): string {
  switch (of) {
    case "unfinished file":
      return `${lab.final(lab.seed.payload.files.findIndex(({ size }) => size > 0))}.part`;
    case "draft of resume state":
      return `${lab.statePath}.new`;
    case "state folder":
      return lab.state;
    case "lock":
      return `${lab.out}/.shoal.lock`;
  }
}

testWith(
  "a failing system call ends a download with the right error, or gives the right warning, or has no effect",
  ["strace"],
  () =>
    withScratch(async (folder) => {
      const { make, pieceLength } = PAYLOADS.many;
      const payload = await make(`${folder}/source`);
      await using stack = new AsyncDisposableStack();
      const seeds: Seed[] = [];
      for (const version of VERSIONS) {
        const torrent = `${folder}/many-${version}.torrent`;
        seeds.push(stack.use(await Seed.start(payload, { pieceLength, torrent, version })));
      }
      for (const [number, { of, calls, error, ends, warns }] of CASES.entries()) {
        const version = number % VERSIONS.length; // each has its share
        const why = `${VERSIONS[version]}: ${calls[0]} of the ${of} fails with ${error}`;
        const lab = new KillLab(seeds[version]!, `${folder}/download-${number}`);
        const trap: Trap = { calls, error, paths: [pathOf(lab, of)] };
        const { code, stdout, stderr } = await lab.runThrough(trap);
        if (ends !== undefined) {
          assertEquals([code, stderr.length], [4, 1], `${why}: ${stderr.join(" ")}`);
          assertStringIncludes(stderr[0]!, ends, why);
          assertStringIncludes(stderr[0]!, lab.out, why);
        } else {
          assertEquals(code, 0, `${why}: ${stderr.join(" ")}`);
          const warnings = eventsOf(stdout, "warning").map(({ message }) => String(message));
          assertEquals(warnings.length, warns === undefined ? 0 : 1, `${why}: ${warnings.join(" ")}`);
          if (warns !== undefined) assertStringIncludes(warnings[0]!, warns, why);
        }
        assertEquals(await lab.finish(), 0, `${why}: bytes that were fetched although they were on disk`);
      }
    }),
);

testWith(
  "files and resume state are synced between their last write and their rename",
  ["strace"],
  () =>
    withScratch(async (folder) => {
      const { make, pieceLength } = PAYLOADS.many;
      const payload = await make(`${folder}/source`);
      await using seed = await Seed.start(payload, { pieceLength, torrent: `${folder}/many.torrent` });
      const lab = new KillLab(seed, `${folder}/download`);
      const log = `${folder}/calls`;
      const { code } = await lab.runThrough({ calls: [...WRITE, ...RENAME, "fdatasync", "fsync"], log });
      assertEquals(code, 0);
      const calls = (await Deno.readTextFile(log)).split("\n");
      const isOf = (call: string, names: RegExp, path: string) => names.test(call) && call.includes(`<${path}>`);
      let renames = 0;
      for (const [at, call] of calls.entries()) {
        const [, from, to] = /\brename\w*\(.*?"([^"]+)".*"([^"]+)"/.exec(call) ?? [];
        // Deno's own files are skipped.
        if (from === undefined || to === undefined || !/\.(?:part|resume\.new)$/.test(from)) continue;
        renames++;
        const written = calls.findLastIndex((call, i) => i < at && isOf(call, /write\w*\(/, from));
        const synced = calls.findLastIndex((call, i) => i < at && isOf(call, /fdatasync\(/, from));
        assert(written >= 0 && synced > written, `${from} isn't synced between its last write and its new name`);
        if (!to.endsWith(".resume")) continue;
        const safe = calls.some((call, i) => i > at && isOf(call, /fdatasync\(/, lab.state));
        assert(safe, "the folder isn't synced after resume state got its name");
      }
      assert(renames >= payload.files.filter(({ size }) => size > 0).length + 2, `only ${renames} files were renamed`);
    }),
);
