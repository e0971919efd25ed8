import { assert, assertEquals } from "@std/assert";
import { makeFile } from "../support/payload.ts";
import { seededRandom } from "../support/random.ts";
import { withScratch } from "../support/scratch.ts";
import { makeTorrent } from "../support/torrents.ts";
import { type Settings, settingsOf } from "./session_program.ts";

/** Number of kills. The full run has `PLUG_KILLS=200`, a third of which are made here. */
const KILLS = Math.ceil(Number(Deno.env.get("PLUG_KILLS") ?? 30) / 3);
/** Milliseconds after which a change must be in the database: 1 s between two writes, and time for a busy machine. */
const WRITTEN_MS = 3_000;
/** Largest time in milliseconds before a program is killed. */
const LONGEST_MS = 5_000;

/** Output of a program that was killed. */
interface Run {
  /** Settings of the restored torrent, `null` if there was none. */
  readonly restored: Settings | null;
  /** Last change that must be in the database. */
  readonly written: number;
  /** Last change that may be in the database. */
  readonly last: number;
}

async function runAndKill(args: readonly string[], after: number): Promise<Run> {
  const script = new URL("session_program.ts", import.meta.url).pathname;
  const program = new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-check", "--no-prompt", "--no-lock", "-A", script, ...args],
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  let restored: Settings | null | undefined;
  const changes: { readonly number: number; readonly at: number }[] = [];
  let rest = "";
  let killedAt = Infinity;
  let timer: ReturnType<typeof setTimeout> | undefined;
  for await (const text of program.stdout.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop()!;
    for (const value of lines.map((line) => JSON.parse(line))) {
      if (typeof value === "number") changes.push({ number: value, at: performance.now() });
      else if (restored === undefined) restored = value;
      else assert(false, `it said ${JSON.stringify(value)}`);
    }
    timer ??= setTimeout(() => {
      killedAt = performance.now();
      program.kill("SIGKILL");
    }, after);
  }
  clearTimeout(timer);
  assertEquals((await program.status).signal, "SIGKILL");
  assert(restored !== undefined, "it said nothing");
  const written = changes.findLast(({ at }) => at < killedAt - WRITTEN_MS)?.number ?? 0;
  return { restored, written, last: (changes.at(-1)?.number ?? 0) + 1 }; // The last change may not have been printed.
}

Deno.test("Session.restore() after kill -9 restores the settings of one of the last changes", async () => {
  await withScratch(async (folder) => {
    const payload = await makeFile(folder, { name: "x.bin", size: 100_000, seed: 1 });
    const torrent = `${folder}/x.torrent`;
    await makeTorrent(payload, { path: torrent, pieceLength: 32 * 1024 });
    const args = [`${folder}/state`, `${folder}/out`, torrent];
    const random = seededRandom(1);
    let before: Run | null = null;
    for (let kill = 0; kill < KILLS; kill++) {
      const run = await runAndKill(args, random() * LONGEST_MS);
      if (before !== null && (before.written > 0 || run.restored !== null)) {
        const { restored } = run;
        assert(restored !== null, "the torrent is lost");
        const change = (restored.limits.down ?? 1000) - 1000;
        assert(change >= before.written && change <= before.last, `${change} after ${JSON.stringify(before)}`);
        if (change > 0) assertEquals(restored, settingsOf(change));
      }
      const stays: number = run.written === 0 ? before?.written ?? 0 : run.written;
      before = { ...run, written: stays };
    }
    assert(before !== null && before.written > 0, "no run was long enough");
  });
});
