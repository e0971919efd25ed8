import { assert, assertEquals, assertGreater } from "@std/assert";
import { QUIET, readPiece } from "../storage/fixture.ts";
import { seededRandom } from "../support/random.ts";
import { withScratch } from "../support/scratch.ts";
import { openIn, type Said, TORRENT } from "./operations_program.ts";

/** Number of kills. The full run has `PLUG_KILLS=200`. */
const KILLS = Number(Deno.env.get("PLUG_KILLS") ?? 30);
/** Folder on another file system. Not every system has it. */
const SHARED_MEMORY = "/dev/shm";

/** Runs the program, kills it `after` milliseconds after its first line, and returns its last whole line. */
async function killOne(args: readonly string[], after: number): Promise<Said> {
  const script = new URL("operations_program.ts", import.meta.url).pathname;
  const flags = ["run", "--no-check", "--lock=tests/deno.lock", "--frozen", "-A"];
  const program = new Deno.Command(Deno.execPath(), {
    args: [...flags, script, ...args],
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  let said = "";
  let timer: ReturnType<typeof setTimeout> | undefined;
  for await (const text of program.stdout.pipeThrough(new TextDecoderStream())) {
    said += text;
    timer ??= setTimeout(() => program.kill("SIGKILL"), after);
  }
  clearTimeout(timer);
  assertEquals((await program.status).signal, "SIGKILL", said.slice(-500));
  const lines = said.split("\n");
  return JSON.parse(lines.at(-2)!); // The kill may have cut off the text behind the last line break.
}

async function assertNamesRight(folder: string): Promise<number> {
  let right = 0;
  for (const file of TORRENT.layout.files) {
    if (file.symlink !== null) continue;
    const path = file.path.join("/");
    const bytes = await Deno.readFile(`${folder}/${path}`).catch(() => null);
    if (bytes === null) continue;
    assertEquals(new Uint8Array(bytes), TORRENT.file(path), `${folder}/${path}`);
    right++;
  }
  return right;
}

Deno.test("Storage.open() finds every safe piece after kill -9 in any operation, and files under final names are right", () =>
  withScratch(async (scratch) => {
    const hasShared = await Deno.stat(SHARED_MEMORY).then(({ isDirectory }) => isDirectory, () => false);
    const away = await Deno.makeTempDir(hasShared ? { dir: SHARED_MEMORY } : {});
    try {
      const random = seededRandom(5);
      const folders = [`${scratch}/a`, `${scratch}/b/c`, `${away}/d`];
      const state = `${scratch}/state`;
      let folder = folders[0]!;
      let [found, moves] = [0, 0];
      for (let kill = 0; kill < KILLS; kill++) {
        const before = folder;
        const said = await killOne([state, folder, `${kill}`, ...folders], Math.floor(random() * 1500));
        folder = said.folder;
        if (folder !== before) moves++;
        for (const each of folders) await assertNamesRight(each);
        const storage = openIn(folder, state);
        const have = await storage.open("resume", QUIET);
        for (const piece of said.safe) assert(have.has(piece), `kill ${kill}: piece ${piece} is lost`);
        for (const piece of have) assertEquals(await readPiece(TORRENT, storage, piece), TORRENT.piece(piece));
        await storage.close();
        found += await assertNamesRight(folder);
        for (const each of folders) {
          if (each !== folder) assertEquals(await assertNamesRight(each), 0, `something is left in ${each}`);
        }
      }
      assertGreater(found, 0);
      assertGreater(moves, 0);
    } finally {
      await Deno.remove(away, { recursive: true });
    }
  }));
