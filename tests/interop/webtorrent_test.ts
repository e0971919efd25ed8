/** Transfers between WebTorrent and Shoal with torrents of `shoal create` and `shoal tracker` over HTTP and UDP. */

import { assertEquals, assertMatch } from "@std/assert";
import { makeTree } from "../support/payload.ts";
import { run } from "../support/job.ts";
import { testWith } from "../support/requirements.ts";
import { shoalCommand } from "./clients.ts";
import { type Goods, Lab, NEEDS } from "./lab.ts";

const PATIENCE = 60;
const GOODS: Goods = { makePayload: (folder) => makeTree(folder, { name: "a tree", seed: 3 }), pieceLength: 64 * 1024 };

for (const protocol of ["http", "udp"] as const) {
  for (const [seeder, leecher] of [["webtorrent", "shoal"], ["shoal", "webtorrent"]] as const) {
    testWith(
      `${seeder} seeds a torrent of shoal create to ${leecher} with shoal tracker over ${protocol}`,
      [...NEEDS, "webtorrent"],
      () =>
        Lab.run(GOODS, async (lab) => {
          const argv = [...shoalCommand(), "tracker", "-p", "6969", "--interval", "5s", "--json"];
          const { job, address } = await lab.program("shoal tracker", argv);
          await job.line((line) => line.includes('"listening"'), { seconds: 20, what: "it listened" });

          const { folder, name } = lab.payload;
          const torrent = `${folder}/../created.torrent`;
          const tracker = `${protocol}://${address}:6969/announce`;
          const path = `${folder}/${name}`;
          const made = await run([...shoalCommand(), "create", path, "-t", tracker, "-o", torrent, "--json"]);
          assertEquals(made.code, 0, made.stderr.join("\n"));
          const { infohash, size, piece_length, files } = JSON.parse(made.stdout[0]!);

          const seed = await lab.seed(seeder, { link: torrent });
          if (seeder === "webtorrent") await seed.completed(PATIENCE);
          const leech = await lab.leech(leecher, { link: torrent });
          await leech.completed(PATIENCE);
          await lab.verify(leech);
          const told = `METADATA ${infohash} ${size} ${piece_length} ${files.length}`;
          await lab.find("webtorrent").job.line((line) => line === told, {
            seconds: 1,
            what: "it had read the torrent",
          });

          await lab.find("webtorrent").stop();
          job.signal("SIGINT");
          const { stdout } = await job.exit(10);
          const statistics = stdout.map((line) => JSON.parse(line)).findLast(({ event }) => event === "statistics");
          assertEquals(statistics.refused, 0);
          assertEquals(statistics.announces[protocol === "http" ? "udp" : "http"], 0);
          assertMatch(`${statistics.announces[protocol]}`, /^([3-9]|\d\d+)$/);
        }, { meeting: "nobody" }),
    );
  }
}
