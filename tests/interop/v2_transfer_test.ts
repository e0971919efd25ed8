/**
 * Exchanges v2 and hybrid torrents with libtorrent, in both directions.
 */

import { assertEquals } from "@std/assert";
import { denoPlatform as platform } from "../../src/platform/deno_platform.ts";
import { createTorrent } from "../../src/session/create_torrent.ts";
import { Libtorrent } from "../support/libtorrent.ts";
import { noise } from "../support/payload.ts";
import { testWith } from "../support/requirements.ts";
import { Lab } from "../support/session_lab.ts";

/** Files by their paths: several pieces, empty, a part of a block, whole pieces, two blocks, and many pieces. */
const LENGTHS = {
  "a": 200_000,
  "d/b": 0,
  "d/c": 5000,
  "d/\u00e9": 131_072,
  "e": 20_000,
  "f": 3_000_001,
  "g": 32_768,
  "h": 20_007,
} as const;

function assertFiles(folder: string): void {
  for (const [path, length] of Object.entries(LENGTHS)) {
    assertEquals(Deno.readFileSync(`${folder}/top/${path}`), noise(length, length + 1), path);
  }
}

for (const version of ["v2", "hybrid"] as const) {
  testWith(`a ${version} torrent goes from libtorrent to Shoal, and on to another libtorrent`, [
    "python3-libtorrent",
  ], async () => {
    await using lab = new Lab();
    const source = lab.make("source");
    lab.make("source/top/d");
    for (const [path, length] of Object.entries(LENGTHS)) {
      Deno.writeFileSync(`${source}/top/${path}`, noise(length, length + 1));
    }
    const { meta, bytes } = await createTorrent(`${source}/top`, { platform, version, pieceLength: 32_768 });
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
    assertFiles(ours);
    await using leecher = Libtorrent.leech(theirs, { torrent, ports: [session.port] });
    await leecher.until(({ seeds }) => seeds, "it had everything");
    assertFiles(theirs);
    assertEquals(events.filter(({ event }) => ["hash_failed", "error"].includes(event)), []);
    assertEquals(events.filter((event) => event.event === "peer" && event.action === "banned"), []);
  });
}
