import { assertEquals, assertStringIncludes } from "@std/assert";
import { TEST_FLAGS } from "../support/from_source.ts";
import type { Job } from "../support/job.ts";
import { testWith } from "../support/requirements.ts";
import { PORT, type RunningClient } from "./clients.ts";
import { Lab, NEEDS } from "./lab.ts";

/** Milliseconds in which what was asked for before may still arrive. */
const UNDER_WAY = 1_000;

/** libtorrent downloads from somebody who loses pieces, and says so or doesn't. */
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
  "libtorrent doesn't ask us for pieces that it was told are lost (BEP 54), until we have them again",
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
  "libtorrent asks for lost pieces until it is sent away when it isn't told",
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
