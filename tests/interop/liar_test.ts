import { assert, assertEquals } from "@std/assert";
import { testWith } from "../support/requirements.ts";
import { PORT } from "./clients.ts";
import { eventsOf } from "../support/events.ts";
import { Lab, NEEDS } from "./lab.ts";
import { TEST_FLAGS } from "../support/from_source.ts";

/** Bytes a second: slow enough that Shoal uses the corrupting seeder, too, and fast enough to finish without it. */
const HONEST = 6_000_000;

testWith(
  "shoal reports and bans a seeder that corrupts one block in fifty, and its download is correct",
  NEEDS,
  () =>
    Lab.run("file", async (lab) => {
      await lab.seed("libtorrent", { uploadLimit: HONEST });
      const script = decodeURI(new URL("liar.ts", import.meta.url).pathname);
      const data = `${lab.payload.folder}/${lab.payload.name}`;
      const argv = [Deno.execPath(), "run", "-A", ...TEST_FLAGS, script, lab.torrent, data, `${PORT}`, lab.announce];
      const liar = await lab.program("liar", argv);
      await lab.seedersAnnounced(2);
      const shoal = await lab.leech("shoal");
      await shoal.completed(90);
      await lab.verify(shoal);
      await shoal.stop();

      const failed = eventsOf(shoal.job.stdout, "hash_failed");
      assert(failed.length > 0, "no piece failed its hash, so nobody was lied to");
      const named = failed.flatMap(({ peers }) => peers as string[]).some((peer) => peer.startsWith(liar.address));
      assert(named, `no failed piece names ${liar.address}`);
      const banned = eventsOf(shoal.job.stdout, "peer").filter(({ action }) => action === "banned");
      assertEquals(banned.map((event) => event.address), [`${liar.address}:${PORT}`]);
    }),
);
