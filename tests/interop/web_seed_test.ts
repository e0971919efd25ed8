import { assert, assertGreater, assertLess } from "@std/assert";
import { eventsOf } from "../support/events.ts";
import { testWith } from "../support/requirements.ts";
import { withScratch } from "../support/scratch.ts";
import { Lab, NEEDS } from "./lab.ts";
import { Nginx } from "./nginx.ts";

const NEEDS_NGINX = [...NEEDS, "nginx"] as const;

/** Returns the bytes that Shoal has downloaded, by its own events. */
function downloadedBy(lines: readonly string[]): number {
  return Number(eventsOf(lines, "stopped")[0]!.downloaded ?? eventsOf(lines, "progress").at(-1)!.downloaded);
}

for (const kind of ["file", "tree"] as const) {
  for (const client of ["shoal", "aria2", "libtorrent"] as const) {
    testWith(
      `${client} downloads the ${kind} from nginx alone`,
      NEEDS_NGINX,
      () =>
        withScratch((folder) =>
          Lab.run(kind, async (lab) => {
            const nginx = await Nginx.start(lab, { folder });
            await lab.nameWebSeeds([nginx.url]);
            const leech = await lab.leech(client);
            await leech.completed(90);
            await lab.verify(leech);
            await leech.stop();
            const sent = await nginx.sent();
            assertGreater(sent, 0.99 * lab.payload.size);
            // Shoal must download each byte once. aria2 doesn't.
            if (client === "shoal") assertLess(sent, 1.01 * lab.payload.size);
          })
        ),
    );
  }
}

for (const label of ["gzip", "x-gzip", "deflate", "br"] as const) {
  testWith(
    `shoal downloads a file that nginx labels "Content-Encoding: ${label}" and sends uncompressed`,
    NEEDS_NGINX,
    () =>
      withScratch((folder) =>
        Lab.run("file", async (lab) => {
          const nginx = await Nginx.start(lab, { folder, label });
          await lab.nameWebSeeds([nginx.url]);
          const leech = await lab.leech("shoal");
          await leech.completed(90);
          await lab.verify(leech);
          await leech.stop();
          assertLess(await nginx.sent(), 1.01 * lab.payload.size);
        })
      ),
  );
}

testWith(
  "shoal downloads a single-file torrent from a web seed with the URL of the file",
  NEEDS_NGINX,
  () =>
    withScratch((folder) =>
      Lab.run("file", async (lab) => {
        const nginx = await Nginx.start(lab, { folder });
        await lab.nameWebSeeds([nginx.url + encodeURIComponent(lab.payload.name)]);
        const leech = await lab.leech("shoal");
        await leech.completed(90);
        await lab.verify(leech);
      })
    ),
);

testWith(
  "shoal completes when nginx is killed midway and restarted, and downloads nothing twice",
  NEEDS_NGINX,
  () =>
    withScratch((folder) =>
      Lab.run("file", async (lab) => {
        const nginx = await Nginx.start(lab, { folder, rate: 5_000_000 });
        await lab.nameWebSeeds([nginx.url]);
        const leech = await lab.leech("shoal");
        const midway = (line: string) => {
          const { event, progress } = JSON.parse(line);
          return event === "progress" && progress > 0.2;
        };
        await leech.job.line(midway, { seconds: 60, what: "it had a fifth" });
        await nginx.kill();
        const gone = (line: string) => line.includes('"action":"disconnected"') && line.includes("web seed");
        await leech.job.line(gone, { seconds: 30, what: "it noticed" });
        assert(!leech.job.stdout.some((line) => line.includes('"event":"completed"')), "it was complete too soon");
        await Nginx.start(lab, { folder, host: nginx.host });
        await leech.completed(90);
        await lab.verify(leech);
        await leech.stop();
        assertLess(downloadedBy(leech.job.stdout), 1.02 * lab.payload.size);
      })
    ),
);

testWith(
  "shoal uses nginx and a seeder at the same time",
  NEEDS_NGINX,
  () =>
    withScratch((folder) =>
      Lab.run("file", async (lab) => {
        const nginx = await Nginx.start(lab, { folder, rate: 4_000_000 });
        await lab.seed("libtorrent", { uploadLimit: 6_000_000 });
        await lab.seedersAnnounced(1);
        await lab.nameWebSeeds([nginx.url]);
        const leech = await lab.leech("shoal");
        await leech.completed(90);
        await lab.verify(leech);
        await leech.stop();
        const sent = await nginx.sent();
        const downloaded = downloadedBy(leech.job.stdout);
        const { size } = lab.payload;
        assert(sent > 0.1 * size && sent < 0.9 * size, `${sent} of ${size} bytes came from nginx`);
        assertLess(downloaded, 1.05 * size, "little was fetched twice");
      })
    ),
);
