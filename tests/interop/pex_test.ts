/** Peer exchange (BEP 11): A knows only B, B knows C, and there is no tracker. A and C must meet. */

import { assert } from "@std/assert";
import { testWith } from "../support/requirements.ts";
import { PORT, type RunningClient } from "./clients.ts";
import { Lab, NEEDS } from "./lab.ts";

/** Seconds for it all. Transmission tells of peers every 90 s. */
const PATIENCE = 200;
/** Bytes a second that B sends: with it alone a transfer would take eight minutes. */
const TRICKLE = 100_000;
/** Bytes a second that C sends where B can't be held back: the transfer lasts long enough for A to hear of C. */
const SLOW = 2_000_000;
const HOW = { finds: ["pex"] } as const;

const at = (client: RunningClient) => `${client.options.host.address}:${PORT}`;

for (
  const [a, b, c] of [
    ["shoal", "libtorrent", "transmission"],
    ["shoal", "transmission", "libtorrent"],
    ["libtorrent", "shoal", "transmission"],
  ] as const
) {
  testWith(`${a} knows only ${b}, which tells it of ${c}`, NEEDS, () =>
    Lab.run("file", async (lab) => {
      const slowly = b === "shoal" ? {} : { uploadLimit: TRICKLE };
      const far = b === "shoal" ? { ...HOW, uploadLimit: SLOW } : HOW;
      // Transmission can't be told of anybody: then C connects to B.
      const waiting = b === "transmission" ? await lab.leech(b, { ...HOW, ...slowly }) : await lab.seed(c, far);
      const peers = [at(waiting)];
      const calling = b === "transmission"
        ? await lab.seed(c, { ...far, peers })
        : await lab.leech(b, { ...HOW, ...slowly, peers });
      const [middle, hidden] = b === "transmission" ? [waiting, calling] : [calling, waiting];
      const leech = await lab.leech(a, { ...HOW, peers: [at(middle)] });
      await leech.completed(PATIENCE);
      await lab.verify(leech);
      // Whoever hears of the other first connects.
      const met = `${hidden.options.host.address}:`;
      assert(leech.job.stdout.some((line) => line.includes(met)), "A and C never met");
    }, { meeting: "nobody" }));
}
