/**
 * Rate limits with aria2 at the other end, both ways. A busy machine can make a transfer slower but not faster, so the
 * tests only check that a transfer takes a minimum time. `deno task bench:limits` measures how exact the limits are.
 */

import { assert } from "@std/assert";
import { eventsOf } from "../support/events.ts";
import { assertSame, noise, type Payload } from "../support/payload.ts";
import { testWith } from "../support/requirements.ts";
import { shoalCommand } from "./clients.ts";
import { type Goods, Lab, NEEDS } from "./lab.ts";

const KIB = 1024;
/** Seconds that a transfer takes at the limit. */
const SECONDS = 3;
/** Seconds of unused rate that a limit saves up, plus as much for clocks that don't start at the same time. */
const BURST_SECONDS = 0.5;
const NAME = "limited.bin";

function goods(size: number): Goods {
  return {
    pieceLength: 64 * KIB,
    async makePayload(folder): Promise<Payload> {
      await Deno.mkdir(folder, { recursive: true });
      await Deno.writeFile(`${folder}/${NAME}`, noise(size, 1));
      return { name: NAME, folder, size, files: [{ path: NAME, size }] };
    },
  };
}

for (const [asked, rate] of [["500K", 500 * KIB], ["2M", 2048 * KIB], ["10M", 10_240 * KIB]] as const) {
  const least = SECONDS - BURST_SECONDS;

  testWith(
    `shoal downloads from aria2 no faster than --max-down ${asked}`,
    NEEDS,
    () =>
      Lab.run(goods(SECONDS * rate), async (lab) => {
        await lab.seed("aria2");
        await lab.seedersAnnounced(1);
        const folder = `${lab.payload.folder}-out`;
        const where = ["-o", folder, "-p", "6881", "--no-dht", "--no-lsd", "--no-port-map"];
        const options = [...where, "--json", "--max-down", asked];
        const state = `XDG_STATE_HOME=${folder}-state`;
        const { job } = await lab.program("shoal", [
          "env",
          state,
          ...shoalCommand(),
          "download",
          lab.torrent,
          ...options,
        ]);
        const { code, stdout } = await job.exit(60);
        assert(code === 0, `it left with ${code}`);
        const [completed] = eventsOf(stdout, "completed");
        const { seconds, bytes } = completed as unknown as { seconds: number; bytes: number };
        assert(seconds >= least, `${bytes} bytes in ${seconds} s`);
        await assertSame(lab.payload, folder);
      }),
  );

  testWith(
    `shoal seeds to aria2 no faster than --max-up ${asked}`,
    NEEDS,
    () =>
      Lab.run(goods(SECONDS * rate), async (lab) => {
        const options = ["-p", "6881", "--no-dht", "--no-lsd", "--no-port-map", "--json", "--max-up", asked];
        const state = `XDG_STATE_HOME=${lab.payload.folder}-state`;
        const argv = ["env", state, ...shoalCommand(), "seed", lab.torrent, lab.payload.folder, ...options];
        await lab.program("shoal", argv);
        await lab.seedersAnnounced(1);
        const began = performance.now();
        const leecher = await lab.leech("aria2");
        await leecher.completed(60);
        const seconds = (performance.now() - began) / 1000;
        assert(seconds >= least, `${SECONDS * rate} bytes in ${seconds} s`);
      }),
  );
}
