import { assert, assertEquals, assertGreater } from "@std/assert";
import { denoPlatform } from "../../src/platform/deno_platform.ts";
import { SessionStore } from "../../src/session/session_store.ts";
import { seededRandom } from "../support/random.ts";
import { withScratch } from "../support/scratch.ts";
import { COUNT, infoHashOf, recordOf } from "./store_program.ts";

/** Number of kills. The full run has `PLUG_KILLS=200`. */
const KILLS = Number(Deno.env.get("PLUG_KILLS") ?? 30);
/** Numbers of the first torrents of the programs that run at the same time. */
const PROGRAMS = [1, 101];

/** Runs the program, kills it `after` milliseconds after its first change, and returns the last printed change. */
async function killOne(
  stateFolder: string,
  options: { readonly first: number; readonly after: number },
): Promise<number> {
  const script = new URL("store_program.ts", import.meta.url).pathname;
  const flags = [
    "run",
    "--no-check",
    "--no-prompt",
    "--allow-read",
    "--allow-write",
    `--lock=tests/deno.lock`,
    "--frozen",
  ];
  const program = new Deno.Command(Deno.execPath(), {
    args: [...flags, script, stateFolder, `${options.first}`],
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  let said = "";
  let timer: ReturnType<typeof setTimeout> | undefined;
  for await (const text of program.stdout.pipeThrough(new TextDecoderStream())) {
    said += text;
    timer ??= setTimeout(() => program.kill("SIGKILL"), options.after);
  }
  clearTimeout(timer);
  assertEquals((await program.status).signal, "SIGKILL", said.slice(-500));
  const lines = said.split("\n").filter((line) => line !== "");
  assert(lines.every((line) => /^\d+$/.test(line)), lines.find((line) => !/^\d+$/.test(line)));
  // The kill may have cut off the last line.
  return Number(said.endsWith("\n") ? lines.at(-1) : lines.at(-2) ?? 0);
}

Deno.test("SessionStore after kill -9 has each torrent as of its last or next change, and no flushed change is lost", async () => {
  await withScratch(async (stateFolder) => {
    const random = seededRandom(1);
    let changes = 0;
    for (let kills = 0; kills < KILLS; kills += PROGRAMS.length) {
      const said = await Promise.all(
        PROGRAMS.map((first) => killOne(stateFolder, { first, after: Math.floor(random() * 400) })),
      );
      const warnings: string[] = [];
      const store = new SessionStore({
        platform: denoPlatform,
        stateFolder,
        onWarning: ({ message }) => void warnings.push(message),
      });
      await store.open();
      const torrents = store.torrents();
      assertEquals(torrents.length, PROGRAMS.length * COUNT);
      for (const [program, first] of PROGRAMS.entries()) {
        for (let number = first; number < first + COUNT; number++) {
          const infoHash = infoHashOf(number);
          const found = torrents.find((torrent) => torrent.infoHash.equals(infoHash))!;
          const change = Number(found.name.split(" ")[1]);
          assert(
            change === said[program] || change === said[program]! + 1,
            `change ${change}, said was ${said[program]}`,
          );
          const { done: _, ...record } = recordOf(change);
          assertEquals(
            Object.fromEntries(Object.keys(record).map((key) => [key, found[key as keyof typeof found]])),
            record,
          );
          assertEquals(await store.load(infoHash), new Uint8Array(20_000).fill(number));
          changes += change;
        }
      }
      const sum = torrents.reduce((sum, { downloaded }) => sum + downloaded, 0);
      assertEquals(store.totals.downloaded, sum, "sums that were written together");
      assertEquals(warnings, []);
      await store.close();
    }
    assertGreater(changes, 0);
  });
});
