import { assert, assertEquals, assertLess } from "@std/assert";
import { eventsOf } from "../support/events.ts";
import { TEST_FLAGS } from "../support/from_source.ts";
import { makeFile } from "../support/payload.ts";
import { testWith } from "../support/requirements.ts";
import { PORT } from "./clients.ts";
import { type Goods, Lab, NEEDS } from "./lab.ts";

const MIB = 1 << 20;
/** Bytes a second of each seeder, so slow that both are asked. */
const RATE = 8_000_000;
const SIZE = 64 * MIB;
/** Part of the payload that may be fetched twice. */
const TWICE = 0.02;
/** Pieces in which the liar must be found out. */
const FIRST = 3;

for (const version of ["v2", "hybrid"] as const) {
  const goods: Goods = {
    makePayload: (folder) => makeFile(folder, { name: "one file.bin", size: SIZE, seed: 3 }),
    pieceLength: MIB,
    version,
  };
  for (const honest of ["libtorrent", "shoal"] as const) {
    testWith(
      `a seeder that flips a byte in each piece of a ${version} torrent beside an honest ${honest} is banned within ${FIRST} pieces, and costs blocks`,
      NEEDS,
      () =>
        Lab.run(goods, async (lab) => {
          const seed = await lab.seed(honest, { uploadLimit: RATE, checks: true });
          await lab.seedersAnnounced(1, { by: "v2" });
          const shoal = await lab.leech("shoal");
          await shoal.job.line((text) => text.includes('"action":"connected"'), {
            seconds: 60,
            what: "it met the honest",
          });
          const script = decodeURI(new URL("v2_liar.ts", import.meta.url).pathname);
          const data = `${lab.payload.folder}/${lab.payload.name}`;
          const victim = [shoal.options.host.address, `${PORT}`, `${RATE}`];
          const argv = [Deno.execPath(), "run", "-A", ...TEST_FLAGS, script, lab.torrent, data, ...victim];
          const liar = await lab.program("liar", argv);
          await shoal.completed(90);
          await lab.verify(shoal);
          await shoal.stop();
          await seed.stop();

          const banned = eventsOf(shoal.job.stdout, "peer").filter(({ action }) => action === "banned");
          assertEquals(banned.map(({ address }) => String(address).split(":")[0]), [liar.address]);
          const sent = liar.job.stdout.map((line) => line.split(" ").map(Number));
          const perPiece = Map.groupBy(sent, ([piece]) => piece!);
          const whole = [...perPiece.values()].filter((blocks) => blocks.length >= MIB / 16_384);
          assert(whole.length <= FIRST, `the liar has sent ${whole.length} whole pieces`);
          const failed = eventsOf(shoal.job.stdout, "hash_failed");
          assert(failed.length > 0 && failed.length <= FIRST, `${failed.length} pieces failed`);
          for (const { peers } of failed) assert((peers as string[]).includes(liar.address), `${peers}`);
          const fetched = Number(eventsOf(shoal.job.stdout, "completed")[0]!.bytes);
          assertLess((fetched - SIZE) / SIZE, TWICE, `${fetched} bytes were fetched`);
        }),
    );
  }
}
