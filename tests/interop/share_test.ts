/** Other clients download from `shoal share` with the printed link, and Shoal with the printed command. */

import { assertEquals, assertMatch } from "@std/assert";
import { Job } from "../support/job.ts";
import { assertSame, makeTree } from "../support/payload.ts";
import { type Requirement, testWith } from "../support/requirements.ts";
import { shoalCommand } from "./clients.ts";
import { type Goods, Lab, NEEDS } from "./lab.ts";

const PATIENCE = 90;
const GOODS: Goods = {
  makePayload: (folder) => makeTree(folder, { name: "a tree", seed: 77 }),
  pieceLength: 64 * 1024,
};
/** Turns off every way of finding peers besides the link. */
const ALONE = ["--no-dht", "--no-lsd", "--no-pex", "--no-port-map"];

/** Event `share` of `shoal share --json`. */
interface Told {
  readonly infohash: string;
  readonly magnet: string;
  readonly command: string;
  readonly trackers: readonly string[];
}

async function share(lab: Lab, ...options: string[]): Promise<{ readonly job: Job; readonly told: Told }> {
  const { folder, name } = lab.payload;
  const argv = [...shoalCommand(), "share", `${folder}/${name}`, "--json", ...ALONE, ...options];
  const { job } = await lab.program("shoal share", argv);
  const line = await job.line((line) => line.includes('"event":"share"'), { seconds: 30, what: "it said its link" });
  return { job, told: JSON.parse(line) };
}

const CLIENTS: readonly (readonly [client: "aria2" | "libtorrent" | "transmission" | "webtorrent", Requirement[]])[] = [
  ["aria2", [...NEEDS]],
  ["libtorrent", [...NEEDS]],
  ["transmission", [...NEEDS]],
  ["webtorrent", [...NEEDS, "webtorrent"]],
];

for (const [client, needs] of CLIENTS) {
  testWith(
    `${client} downloads from shoal share with the printed link alone`,
    needs,
    () =>
      Lab.run(GOODS, async (lab) => {
        const { told } = await share(lab);
        const leech = await lab.leech(client, { link: told.magnet });
        await leech.completed(PATIENCE);
        await lab.verify(leech);
      }, { meeting: "nobody" }),
  );
}

// aria2 1.36 and Transmission 3.00 can't read a hybrid, whoever has made it.
for (const version of ["--v2", "--hybrid"]) {
  testWith(
    `libtorrent downloads from shoal share ${version} with the printed link alone`,
    [...NEEDS],
    () =>
      Lab.run(GOODS, async (lab) => {
        const { told } = await share(lab, version);
        const leech = await lab.leech("libtorrent", { link: told.magnet });
        await leech.completed(PATIENCE);
        await lab.verify(leech);
      }, { meeting: "nobody" }),
  );
}

testWith(
  "libtorrent finds shoal share through each printed tracker alone: HTTP and UDP, IPv4 and IPv6",
  [...NEEDS],
  () =>
    Lab.run(GOODS, async (lab) => {
      const { told } = await share(lab);
      const bare = `magnet:?xt=urn:btih:${told.infohash}`;
      for (const url of told.trackers) {
        const leech = await lab.leech("libtorrent", {
          link: `${bare}&tr=${encodeURIComponent(url)}`,
          families: [4, 6],
        });
        await leech.completed(PATIENCE);
        await lab.verify(leech);
      }
    }, { meeting: "nobody" }),
);

testWith(
  "the command that shoal share prints downloads the shared torrent when it is pasted into a shell",
  [...NEEDS],
  () =>
    Lab.run(GOODS, async (lab) => {
      const { job: sharing, told } = await share(lab, "--name", 'it\'s "new" $HOME `x` & more!');
      const folder = await Deno.makeTempDir();
      try {
        // The command expects `shoal` on the PATH.
        const words = shoalCommand().map((word) => `'${word}'`).join(" ");
        await Deno.writeTextFile(`${folder}/shoal`, `#!/bin/sh\nexec ${words} "$@"\n`);
        await Deno.chmod(`${folder}/shoal`, 0o755);
        const script = `PATH='${folder}':$PATH; mkdir '${folder}/x'; cd '${folder}/x'; ${told.command}`;
        const { job } = await lab.program("bash", ["bash", "-c", script]);
        const { code } = await job.exit(PATIENCE);
        assertEquals(code, 0, job.report);
        const [name = ""] = await Array.fromAsync(Deno.readDir(`${folder}/x`), ({ name }) => name);
        assertMatch(name, /^it's _?"?new/);
        await Deno.rename(`${folder}/x/${name}`, `${folder}/x/${lab.payload.name}`);
        await assertSame(lab.payload, `${folder}/x`);
      } finally {
        await Deno.remove(folder, { recursive: true });
      }
      const left = performance.now();
      sharing.signal("SIGINT");
      assertEquals((await sharing.exit(10)).code, 130);
      assertEquals(performance.now() - left < 3_500, true);
    }, { meeting: "nobody" }),
);
