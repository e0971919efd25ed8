import { assert, assertEquals, assertLessOrEqual } from "@std/assert";
import { seededRandom } from "../support/random.ts";
import { testWith } from "../support/requirements.ts";
import { withScratch } from "../support/scratch.ts";
import { type Version, VERSIONS } from "../support/torrents.ts";
import { COST, KillLab, PAYLOADS, Seed } from "./kill_lab.ts";

/** Number of kills, a third of them with each version of torrents. The full run has `PLUG_KILLS=200`. */
const KILLS = Number(Deno.env.get("PLUG_KILLS") ?? 30) * 3 / 2;
/** Seed of the random times of the kills. */
const SEED = Number(Deno.env.get("PLUG_SEED") ?? 1);
/** Number of simultaneous downloads. */
const AT_ONCE = 2;
const RENAME = ["rename", "renameat", "renameat2"];

/** One way to kill a download. */
interface Kind {
  readonly name: string;
  readonly payload: keyof typeof PAYLOADS;
  /** Runs and kills the download, once or several times. */
  kill(lab: KillLab, random: () => number): Promise<unknown>;
  /** Arguments of the last run. */
  readonly args?: readonly string[];
}

/** Returns the path of a random file that isn't empty. */
function someFile(lab: KillLab, random: () => number): string {
  const full = [...lab.seed.payload.files.entries()].filter(([, { size }]) => size > 0);
  return lab.final(full[Math.floor(random() * full.length)]![0]);
}

function isResume({ paths }: Deno.FsEvent): boolean {
  return paths.some((path) => path.includes(".resume"));
}

function someBytes(lab: KillLab, random: () => number): number {
  return 1 + Math.floor(random() * lab.seed.payload.size * 0.9);
}

const KINDS: readonly Kind[] = [
  {
    name: "one file, after some bytes",
    payload: "one",
    kill: (lab, random) => lab.run({ afterBytes: someBytes(lab, random) }),
  },
  {
    name: "many files, after some bytes",
    payload: "many",
    kill: (lab, random) => lab.run({ afterBytes: someBytes(lab, random) }),
  },
  {
    name: "many files, three times in a row",
    payload: "many",
    async kill(lab, random) {
      for (let i = 0; i < 3; i++) await lab.run({ afterBytes: 1 + Math.floor(random() * lab.seed.payload.size * 0.3) });
    },
  },
  {
    name: "while it starts",
    payload: "many",
    kill: (lab, random) => lab.run({ afterTime: Math.floor(random() * 400) }),
  },
  {
    name: "before a file gets its final name",
    payload: "many",
    kill: (lab, random) => lab.run({ trap: { calls: RENAME, paths: [`${someFile(lab, random)}.part`] } }),
  },
  {
    name: "after a file got its final name",
    payload: "many",
    kill(lab, random) {
      const path = someFile(lab, random);
      return lab.run({
        trap: { calls: RENAME, paths: [`${path}.part`], delay: 1000 },
        upon: { folder: lab.out, event: ({ paths }) => paths.includes(path) },
      });
    },
  },
  {
    name: "while resume state is written",
    payload: "one",
    kill(lab, random) {
      let left = 1 + Math.floor(random() * 8); // A save has several events, and a download at least two saves.
      return lab.run({ upon: { folder: lab.state, event: (event) => isResume(event) && --left === 0 } });
    },
  },
  {
    name: "while the database is written",
    payload: "one",
    kill: (lab, random) =>
      lab.run({
        trap: {
          calls: ["write", "pwrite64", "ftruncate", "unlink"],
          paths: ["", "-wal", "-shm"].map((suffix) => lab.databasePath + suffix),
          from: 1 + Math.floor(random() * 30),
        },
      }),
  },
  {
    name: "while it stops after Ctrl-C",
    payload: "one",
    kill(lab, random) {
      let left = 1 + Math.floor(random() * 4);
      return lab.run({
        afterBytes: someBytes(lab, random),
        signal: "SIGINT",
        upon: { folder: lab.state, event: (event) => isResume(event) && --left === 0 },
      });
    },
  },
  {
    name: "before resume state gets its name",
    payload: "many",
    async kill(lab, random) {
      await lab.run({ afterBytes: someBytes(lab, random) });
      await lab.run({ trap: { calls: RENAME, paths: [lab.statePath] } });
    },
  },
  {
    name: "when something is synced",
    payload: "many",
    kill: (lab, random) => lab.run({ trap: { calls: ["fdatasync", "fsync"], from: 1 + Math.floor(random() * 12) } }),
  },
  {
    name: "when a piece is written",
    payload: "one",
    kill: (lab, random) =>
      lab.run({
        trap: { calls: ["write", "pwrite64"], paths: [`${lab.final(0)}.part`], from: 1 + Math.floor(random() * 8) },
      }),
  },
  {
    name: "when a file is made or gets its size",
    payload: "many",
    kill: (lab, random) =>
      lab.run({
        trap: { calls: [random() < 0.5 ? "openat" : "ftruncate"], paths: [`${someFile(lab, random)}.part`] },
      }),
  },
  {
    name: "when an empty file or a folder is made",
    payload: "many",
    kill(lab, random) {
      const empty = [...lab.seed.payload.files.entries()].filter(([, { size }]) => size === 0);
      const path = lab.final(empty[Math.floor(random() * empty.length)]![0]);
      const folder = path.slice(0, path.lastIndexOf("/"));
      const trap = random() < 0.5 ? { calls: ["openat"], paths: [path] } : { calls: ["mkdir"], paths: [folder] };
      return lab.run({ trap });
    },
  },
  {
    name: "while it checks, as asked",
    payload: "one",
    args: ["--check"],
    async kill(lab, random) {
      await lab.run({ afterBytes: someBytes(lab, random) + (1 << 20) });
      const trap = { calls: ["read", "pread64"], paths: [`${lab.final(0)}.part`], from: 1 + Math.floor(random() * 6) };
      await lab.run({ args: ["--check"], trap });
    },
  },
  {
    name: "while it checks, because resume state is gone",
    payload: "one",
    async kill(lab, random) {
      await lab.run({ afterBytes: someBytes(lab, random) + (6 << 20) }); // Enough for some whole pieces.
      await Deno.remove(lab.statePath);
      const trap = { calls: ["read", "pread64"], paths: [`${lab.final(0)}.part`], from: 1 + Math.floor(random() * 6) };
      await lab.run({ trap });
    },
  },
  {
    name: "some files, then others, after some bytes",
    payload: "many",
    async kill(lab, random) {
      for (const files of ["1-90", "60-140,200-210", "1-200"]) {
        await lab.run({ args: ["--files", files], afterBytes: 1 + Math.floor(random() * lab.seed.payload.size * 0.4) });
      }
    },
  },
  {
    name: "when the partfile is made or written",
    payload: "many",
    kill(lab, random) {
      const calls = [["openat"], ["ftruncate"], ["write", "pwrite64"], ["fdatasync", "fsync"]];
      const trap = { calls: calls[Math.floor(random() * 4)]!, paths: [lab.partPath] };
      return lab.run({ args: ["--files", "1-20,50-60,90-140"], trap });
    },
  },
  {
    name: "while bytes move out of the partfile",
    payload: "many",
    async kill(lab, random) {
      await lab.run({ args: ["--files", "3,7-11,30-33,100-120,150,170-200"] });
      const read = { calls: ["read", "pread64"], paths: [lab.partPath], from: 1 + Math.floor(random() * 4) };
      const remove = { calls: ["unlink", "unlinkat"], paths: [lab.partPath] };
      const sync = { calls: ["fdatasync", "fsync"], from: 1 + Math.floor(random() * 4) };
      await lab.run({ trap: [read, remove, sync][Math.floor(random() * 3)]! });
    },
  },
  {
    name: "when somebody's incomplete file becomes ours",
    payload: "one",
    args: ["--check"],
    async kill(lab, random) {
      const whole = await Deno.readFile(`${lab.seed.payload.folder}/${lab.seed.payload.files[0]!.path}`);
      await Deno.writeFile(
        `${lab.final(0)}.part`,
        whole.subarray(0, Math.floor(whole.length * (0.2 + random() * 0.7))),
      );
      await Deno.rename(`${lab.final(0)}.part`, lab.final(0));
      const path = `${lab.final(0)}.part`;
      const before = { calls: RENAME, paths: [path] };
      const upon = { folder: lab.out, event: ({ paths }: Deno.FsEvent) => paths.includes(path) };
      await lab.run({
        args: ["--check"],
        strays: true,
        ...random() < 0.5 ? { trap: before } : { trap: { ...before, delay: 1000 }, upon },
      });
    },
  },
];

/** Results of one kind. */
interface Tally {
  downloads: number;
  kills: number;
  missed: number;
  readonly lost: number[];
}

testWith(
  `a download that is killed completes with the right bytes and downloads nothing twice, with ${KILLS} kills and all versions`,
  ["strace"],
  () =>
    withScratch(async (folder) => {
      const tallies = new Map<string, Tally>(
        KINDS.map(({ name }) => [name, { downloads: 0, kills: 0, missed: 0, lost: [] }]),
      );
      let next = 0;
      let kills = 0;
      const failures: string[] = [];
      const work = async (worker: number): Promise<void> => {
        const seeds = new Map<string, Seed>();
        await using stack = new AsyncDisposableStack();
        for (const name of ["one", "many"] as const) {
          const { make, pieceLength } = PAYLOADS[name];
          const payload = await make(`${folder}/source-${worker}-${name}`);
          for (const version of VERSIONS) {
            const torrent = `${folder}/${worker}-${name}-${version}.torrent`;
            seeds.set(`${name} ${version}`, stack.use(await Seed.start(payload, { pieceLength, torrent, version })));
          }
        }
        while (kills < KILLS && failures.length < 3) {
          const number = next++;
          assert(number < KILLS * 3, "most downloads end before they are killed");
          const kind = KINDS[number % KINDS.length]!;
          // Every kind has its turn with every version.
          const version: Version = VERSIONS[(number + Math.floor(number / KINDS.length)) % VERSIONS.length]!;
          const place = `${folder}/download-${number}`;
          const lab = new KillLab(seeds.get(`${kind.payload} ${version}`)!, place);
          const tally = tallies.get(kind.name)!;
          try {
            await kind.kill(lab, seededRandom(SEED * 10_000 + number));
            const twice = await lab.finish(kind.args);
            assertEquals(twice, 0, "bytes that were fetched although they were on disk");
            assertLessOrEqual(Math.max(0, ...lab.lost), COST, "bytes that a kill has cost");
          } catch (error) {
            failures.push(`download ${number} (${version}), ${kind.name}: ${(error as Error).message}`);
          }
          kills += lab.kills;
          tally.downloads++;
          tally.kills += lab.kills;
          if (lab.kills === 0) tally.missed++;
          tally.lost.push(...lab.lost);
          await Deno.remove(place, { recursive: true });
        }
      };
      await Promise.all(Array.from({ length: AT_ONCE }, (_, worker) => work(worker)));
      await print(tallies);
      assertEquals(failures, []);
    }),
);

async function print(tallies: ReadonlyMap<string, Tally>): Promise<void> {
  const cells = [["killed", "downloads", "kills", "in vain", "bytes lost", "at most"]];
  const row = (name: string, { downloads, kills, missed, lost }: Tally) => {
    const sorted = lost.toSorted((a, b) => a - b);
    const figures = [downloads, kills, missed, sorted[sorted.length >> 1] ?? 0, sorted.at(-1) ?? 0];
    cells.push([name, ...figures.map((figure) => figure.toLocaleString("en"))]);
  };
  const all: Tally = { downloads: 0, kills: 0, missed: 0, lost: [] };
  for (const [name, tally] of tallies) {
    row(name, tally);
    all.downloads += tally.downloads;
    all.kills += tally.kills;
    all.missed += tally.missed;
    all.lost.push(...tally.lost);
  }
  row("in all", all);
  // Bytes lost are bytes sent that weren't on disk: unfinished pieces, and data in flight.
  const lines = cells.map(([name, ...rest]) => name!.padEnd(48) + rest.map((cell) => cell.padStart(12)).join(""));
  await Deno.stdout.write(new TextEncoder().encode(`\n${lines.join("\n")}\n`));
}
