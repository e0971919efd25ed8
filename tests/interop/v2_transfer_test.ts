/**
 * Exchanges v2 and hybrid torrents with libtorrent, in both directions.
 */

import { assertEquals } from "@std/assert";
import { Libtorrent } from "../support/libtorrent.ts";
import { testWith } from "../support/requirements.ts";
import { MadeTree } from "../support/made_tree.ts";
import { Lab } from "../support/session_lab.ts";

/** Files by their paths: several pieces, empty, a part of a block, whole pieces, two blocks, and many pieces. */
const FILES = new MadeTree({
  "a": 200_000,
  "d/b": 0,
  "d/c": 5000,
  "d/\u00e9": 131_072,
  "e": 20_000,
  "f": 3_000_001,
  "g": 32_768,
  "h": 20_007,
});

for (const version of ["v2", "hybrid"] as const) {
  testWith(`a ${version} torrent goes from libtorrent to Shoal, and on to another libtorrent`, [
    "python3-libtorrent",
  ], async () => {
    await using lab = new Lab();
    const { meta, bytes, source } = await FILES.make(lab, version);
    const torrent = `${lab.folder}/top.torrent`;
    Deno.writeFileSync(torrent, bytes);
    const [ours, theirs] = [lab.make("ours"), lab.make("theirs")];
    const { session, events } = await lab.session();
    {
      await using seeder = await Libtorrent.seed({ name: "top", folder: source, files: [], size: meta.size }, {
        torrent,
      });
      const added = await session.add(meta, { folder: ours });
      added.addPeers([{ host: "127.0.0.1", port: seeder.status!.port }]);
      await added.finished;
    }
    FILES.assertIn(ours);
    await using leecher = Libtorrent.leech(theirs, { torrent, ports: [session.port] });
    await leecher.until(({ seeds }) => seeds, "it had everything");
    FILES.assertIn(theirs);
    assertEquals(events.filter(({ event }) => ["hash_failed", "error"].includes(event)), []);
    assertEquals(events.filter((event) => event.event === "peer" && event.action === "banned"), []);
  });
}
