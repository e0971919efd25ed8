import { assert, assertEquals } from "@std/assert";
import { seedWithAria2 } from "../support/aria2.ts";
import { BINARY, environment, OFFLINE } from "../support/binary.ts";
import { makeFile } from "../support/payload.ts";
import { testWith } from "../support/requirements.ts";
import { withScratch } from "../support/scratch.ts";
import { type Screen, Terminal } from "../support/terminal.ts";
import { makeTorrent } from "../support/torrents.ts";

const MIB = 1 << 20;
/** A long name with characters that are two columns wide. */
const NAME = `a long name with \u65e5\u672c\u8a9e and \u{1f41f} in it, ${"more and ".repeat(8)}more.bin`;

async function inTerminal(columns: number, body: (terminal: Terminal) => Promise<void>): Promise<void> {
  await withScratch(async (folder) => {
    const payload = await makeFile(`${folder}/source`, { name: NAME, size: 16 * MIB + 9, seed: columns });
    const torrent = `${folder}/file.torrent`;
    await makeTorrent(payload, { path: torrent });
    await using seeder = await seedWithAria2(payload, { torrent, uploadLimit: 4 * MIB });
    const command = [BINARY, torrent, "-o", "out", "-p", "0", "--peer", seeder.address, ...OFFLINE].join(" ");
    await using terminal = await Terminal.open(command, { columns, cwd: folder, env: environment(folder) });
    await body(terminal);
  });
}

function assertTidy(screen: Screen): void {
  assertEquals(screen.lines.length, screen.rows.length, `a line wrapped:\n${screen.rows.join("\n")}`);
}

for (const columns of [40, 80, 200]) {
  testWith(
    `the live table fits ${columns} columns, and the cursor is visible again at the end`,
    ["binary", "aria2c", "tmux"],
    () =>
      inTerminal(columns, async (terminal) => {
        let table = await terminal.until(
          ({ rows }) => rows.some((row) => /\b[1-9]\d?(\.\d)?%/.test(row)),
          "a percentage",
        );
        for (let i = 0; i < 10; i++) {
          assertTidy(table);
          // There is only one table: redrawing replaces the table before.
          assert(table.rows.filter((row) => row.startsWith("a long name")).length <= 1, table.rows.join("\n"));
          table = await terminal.screen();
        }
        assert(table.rows.some((row) => row.includes("127.0.0.1")), `no peer in the table:\n${table.rows.join("\n")}`);
        const end = await terminal.ended(60);
        assert(end.rows.includes("ended with 0"), end.rows.join("\n"));
        assert(end.cursorVisible, "the cursor is hidden");
      }),
  );
}

testWith(
  "Ctrl-C in the live table restores the cursor and exits with 130",
  ["binary", "aria2c", "tmux"],
  () =>
    inTerminal(80, async (terminal) => {
      await terminal.until(({ rows }) => rows.some((row) => /\b[1-9]\d?(\.\d)?%/.test(row)), "a percentage");
      await terminal.press("C-c");
      const end = await terminal.ended(10);
      assert(end.rows.includes("ended with 130"), end.rows.join("\n"));
      assert(end.cursorVisible, "the cursor is hidden");
    }),
);
