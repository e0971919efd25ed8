import { assertEquals, assertStringIncludes } from "@std/assert";
import { eventsOf } from "../support/events.ts";
import { TEST_FLAGS } from "../support/from_source.ts";
import type { Job } from "../support/job.ts";
import { testWith } from "../support/requirements.ts";
import { PORT, type RunningClient } from "./clients.ts";
import { Lab, NEEDS } from "./lab.ts";

/** Milliseconds after the loss in which requests that libtorrent sent before it may still arrive. */
const UNDER_WAY = 1_000;

/** Starts a seeder that loses pieces, and announces the loss or doesn't, and a libtorrent that downloads from it. */
async function start(lab: Lab, manner: "silent" | "honest"): Promise<{ forgetful: Job; leecher: RunningClient }> {
  const script = decodeURI(new URL("forgetful.ts", import.meta.url).pathname);
  const data = `${lab.payload.folder}/${lab.payload.name}`;
  const argv = [
    Deno.execPath(),
    "run",
    "-A",
    ...TEST_FLAGS,
    script,
    lab.torrent,
    data,
    `${PORT}`,
    lab.announce,
    manner,
  ];
  const { job } = await lab.program("forgetful", argv);
  await lab.seedersAnnounced(1);
  return { forgetful: job, leecher: await lab.leech("libtorrent") };
}

testWith(
  "libtorrent doesn't request pieces that Peer.lost() announced (BEP 54) until Peer.have() announces them again",
  NEEDS,
  () =>
    Lab.run("file", async (lab) => {
      const { forgetful, leecher } = await start(lab, "honest");
      await leecher.completed(60);
      await lab.verify(leecher);
      const lines = forgetful.stdout.map((line) => JSON.parse(line));
      assertEquals(lines.filter(({ what }) => what !== "asked").map(({ what }) => what), ["lost", "found"]);
      assertEquals(lines.filter(({ what, milliseconds }) => what === "asked" && milliseconds > UNDER_WAY), []);
    }),
);

testWith(
  "libtorrent requests lost pieces until the peer disconnects it when the loss isn't announced",
  NEEDS,
  () =>
    Lab.run("file", async (lab) => {
      const { forgetful } = await start(lab, "silent");
      const line = await forgetful.line((line) => line.includes("sent away"), {
        seconds: 60,
        what: "it was sent away",
      });
      assertStringIncludes(line, "request messages");
    }),
);

testWith(
  "libtorrent gets the rest of a file that is truncated while shoal seeds it, and the lost part from another seeder",
  NEEDS,
  () =>
    Lab.run("file", async (lab) => {
      const first = await lab.seed("libtorrent");
      await lab.seedersAnnounced(1);
      const shoal = await lab.leech("shoal");
      await shoal.completed(60);
      await first.stop();
      // The second half of Shoal's file is gone.
      const path = `${shoal.options.folder}/${lab.payload.name}`;
      const { size } = await Deno.stat(path);
      await Deno.truncate(path, Math.floor(size / 2));
      const leecher = await lab.leech("libtorrent");
      const isLoss = (line: string) => line.includes("counts as missing") || line.includes("count as missing");
      await shoal.job.line(isLoss, { seconds: 30, what: "it found out what was lost" });
      await lab.seed("libtorrent");
      await leecher.completed(90);
      await lab.verify(leecher);
      await shoal.job.line(() => eventsOf(shoal.job.stdout, "completed").length > 1, {
        seconds: 60,
        what: "it has all again",
      });
      await lab.verify(shoal);
      assertEquals(eventsOf(shoal.job.stdout, "error"), [], "the torrent goes on");
    }),
);
