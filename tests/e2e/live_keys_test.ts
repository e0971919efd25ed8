import { assert, assertEquals, assertNotMatch, assertStringIncludes } from "@std/assert";
import { seedWithAria2 } from "../support/aria2.ts";
import { BINARY, environment, OFFLINE } from "../support/binary.ts";
import { makeFile } from "../support/payload.ts";
import { testWith } from "../support/requirements.ts";
import { withScratch } from "../support/scratch.ts";
import { type Screen, Terminal } from "../support/terminal.ts";
import { makeTorrent } from "../support/torrents.ts";

const ESC = "\x1b";
const MIB = 1 << 20;
const PERCENTAGE = /\b[1-9]\d?\.\d%/;

const shows = (part: string) => ({ rows }: Screen) => rows.some((row) => row.includes(part));
const hasProgress = ({ rows }: Screen) => rows.some((row) => PERCENTAGE.test(row));

interface Stage {
  readonly terminal: Terminal;
  /** Returns the terminal's settings before or after the program. */
  readonly settings: (when: "before" | "after") => Promise<string>;
}

/** Runs a test with a slow download in a terminal. */
async function downloading(
  options: { readonly columns: number; readonly variables?: string },
  body: (stage: Stage) => Promise<void>,
): Promise<void> {
  const { columns, variables = "" } = options;
  await withScratch(async (folder) => {
    const payload = await makeFile(`${folder}/source`, { name: "file.bin", size: 24 * MIB + 9, seed: columns });
    const torrent = `${folder}/file.torrent`;
    await makeTorrent(payload, { path: torrent });
    await using seeder = await seedWithAria2(payload, { torrent, uploadLimit: MIB });
    const run = [BINARY, torrent, "-o", "out", "-p", "0", "--peer", seeder.address, ...OFFLINE].join(" ");
    const command = `trap : QUIT; stty -g > before; env ${variables} ${run}; code=$?; stty -g > after; (exit $code)`;
    await using terminal = await Terminal.open(command, { columns, cwd: folder, env: environment(folder) });
    await body({ terminal, settings: (when) => Deno.readTextFile(`${folder}/${when}`) });
  });
}

function assertTidy(screen: Screen): void {
  assertEquals(screen.lines.length, screen.rows.length, `a line wrapped:\n${screen.rows.join("\n")}`);
}

for (const columns of [40, 80, 200]) {
  testWith(
    `keys of the live view pause, sort, show files and help, set limits and quit in ${columns} columns`,
    ["binary", "aria2c", "tmux"],
    () =>
      downloading({ columns }, async ({ terminal, settings }) => {
        const first = await terminal.until(hasProgress, "a percentage");
        assertTidy(first);
        assert(shows("pieces")(first), first.rows.join("\n"));
        await terminal.press("p");
        const paused = await terminal.until(shows("paused"), "that it is paused");
        assert(shows("0 peers")(paused), paused.rows.join("\n"));
        await terminal.press("f");
        assertTidy(await terminal.until(shows("Files: 1"), "the files"));
        await terminal.press("?");
        assertTidy(await terminal.until(shows("stop in good order"), "help"));
        await terminal.press("Escape");
        await terminal.until(shows("pieces"), "the pieces");
        if (columns >= 80) {
          await terminal.press("s");
          await terminal.until(shows("by down"), "the order");
        }
        await terminal.press("l");
        await terminal.until(shows("limits, down up:"), "the question");
        await terminal.type("9M");
        await terminal.until((screen) => !shows("limits, down up:")(screen), "that it was answered");
        if (columns >= 80) await terminal.until(shows("9 MiB/s / none"), "the limit");
        await terminal.resize(60, 16);
        const narrow = await terminal.until(
          ({ rows }) => rows.some((row) => /^\d\.\d \/ 24\.0 MiB/.test(row)) && rows.at(-1) === "",
          "a picture for a narrow window",
        );
        assertEquals(narrow.rows.filter((row) => row.includes("file.bin")).length, 1, narrow.rows.join("\n"));
        await terminal.press("p");
        await terminal.until(shows("downloading"), "that it goes on");
        await terminal.press("q");
        const end = await terminal.ended(20);
        assert(end.rows.includes("ended with 130"), end.rows.join("\n"));
        assert(end.cursorVisible, "the cursor is hidden");
        assertStringIncludes(end.lines.join("\n"), "the same command goes on from there");
        assertEquals(await settings("after"), await settings("before"));
      }),
  );
}

testWith(
  "the live view respects NO_COLOR, the colours and character set of the terminal, and TERM=dumb",
  ["binary", "aria2c", "tmux"],
  async () => {
    const colours = new RegExp(`${ESC}\\[[\\d;]*m`);
    const manyColours = new RegExp(`${ESC}\\[[\\d;]*38;`);
    await downloading({ columns: 80, variables: "TERM=screen NO_COLOR=1" }, async ({ terminal }) => {
      await terminal.until(hasProgress, "a percentage");
      assertNotMatch(await terminal.painted(), colours);
    });
    await downloading({ columns: 80, variables: "-u NO_COLOR TERM=xterm-16color LC_ALL=C" }, async ({ terminal }) => {
      const { rows } = await terminal.until(hasProgress, "a percentage");
      assertNotMatch(rows.join(""), /[^\x20-\x7e]/);
      const painted = await terminal.painted();
      assert(colours.test(painted));
      assertNotMatch(painted, manyColours);
    });
    await downloading({ columns: 80, variables: "TERM=dumb" }, async ({ terminal }) => {
      const { rows } = await terminal.until(shows("down, "), "a plain line");
      assert(rows.some((row) => /^file\.bin: \d+\.\d% \(/.test(row)), rows.join("\n"));
      // Without the live view there are no keys, and typed text is echoed.
      await terminal.type("q");
      await terminal.press("C-c");
      await terminal.ended(20);
    });
  },
);

testWith(
  "the live view ignores other keys and pasted text, and restores the terminal on Ctrl-\\",
  ["binary", "aria2c", "tmux"],
  () =>
    downloading({ columns: 80 }, async ({ terminal, settings }) => {
      await terminal.until(hasProgress, "a percentage");
      for (const noise of ["F5", "M-x", "C-s", "C-q", "IC"]) await terminal.press(noise);
      await terminal.paste("quit q p q\nq and more of it q q q q q q");
      await terminal.press("?");
      await terminal.until(shows("stop in good order"), "help");
      await terminal.press("C-\\");
      const end = await terminal.ended(20);
      assert(end.rows.includes("ended with 131"), end.rows.join("\n"));
      assert(end.cursorVisible, "the cursor is hidden");
      assertEquals(await settings("after"), await settings("before"));
    }),
);

testWith(
  "a window that changes its size shows one picture and nothing of the old one",
  ["binary", "aria2c", "tmux"],
  () =>
    downloading({ columns: 80, variables: "NO_COLOR=1" }, async ({ terminal }) => {
      // By then the program has asked the terminal where the cursor is.
      const bars = /[\u2581-\u2588]{2} peak/;
      await terminal.until(({ rows }) => rows.some((row) => bars.test(row)), "rates of some seconds");
      // Help changes with the size only. tmux tells the program its size late, and what is drawn meanwhile would wrap.
      await terminal.press("?");
      await terminal.until(shows("Flags of a peer"), "help");
      for (const [columns, rows] of [[80, 15], [80, 24], [40, 15], [120, 40], [40, 15], [200, 50], [80, 24]] as const) {
        await terminal.resize(columns, rows);
        const screen = await terminal.until(
          ({ rows }) =>
            rows.some((row) => row.startsWith("Keys") && row.includes("Flags") === columns >= 80) &&
            ["Keys", "q quit"].every((part) => rows.filter((row) => row.startsWith(part)).length === 1),
          `one picture of ${columns} by ${rows}`,
        );
        assertTidy(screen);
      }
      await terminal.press("q");
      assert(shows("ended with 130")(await terminal.ended(20)));
    }),
);

testWith(
  "shoal demo keeps its last picture until a key, and then tells what came from whom",
  ["binary", "tmux"],
  () =>
    withScratch(async (folder) => {
      const place = { columns: 100, cwd: folder, env: environment(folder) };
      await using terminal = await Terminal.open(`${BINARY} demo --size 8M`, place);
      const isDone = (screen: Screen) => shows("press q or Enter to end")(screen) && shows("100.0%")(screen);
      await terminal.until(isDone, "that it is done");
      await terminal.press("f");
      await terminal.until(shows("shoal-demo.bin"), "the files");
      await terminal.press("Enter");
      const end = await terminal.ended(20);
      for (const part of ["What came from whom", "the same SHA-256", "ended with 0"]) {
        assert(shows(part)(end), `${part}\n${end.rows.join("\n")}`);
      }
    }),
);
