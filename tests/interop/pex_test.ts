/** Peer exchange (BEP 11): A knows only B, B knows C, and there is no tracker. A and C must meet. */

import { assert } from "@std/assert";
import { testWith } from "../support/requirements.ts";
import { PORT, type RunningClient } from "./clients.ts";
import { Lab, NEEDS } from "./lab.ts";

/** Seconds for the whole test. Transmission sends peer exchange messages every 90 s. */
const PATIENCE = 200;
/** Upload limit of B in bytes a second. From B alone the transfer would take eight minutes. */
const TRICKLE = 100_000;
/** Upload limit of C in bytes a second where B has no limit. The transfer lasts long enough for A to learn of C. */
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
  testWith(`${a} knows only ${b} and finds ${c} through peer exchange`, NEEDS, () =>
    Lab.run("file", async (lab) => {
      const slowly = b === "shoal" ? {} : { uploadLimit: TRICKLE };
      const far = b === "shoal" ? { ...HOW, uploadLimit: SLOW } : HOW;
      // transmission-cli can't be given a peer. If B is Transmission, C connects to B.
      const waiting = b === "transmission" ? await lab.leech(b, { ...HOW, ...slowly }) : await lab.seed(c, far);
      const peers = [at(waiting)];
      const calling = b === "transmission"
        ? await lab.seed(c, { ...far, peers })
        : await lab.leech(b, { ...HOW, ...slowly, peers });
      // Who calls while Shoal still looks at its files is refused, and libtorrent calls again only after a minute.
      if (b === "shoal") {
        await calling.job.line((line) => line.includes('"connected"'), { seconds: 30, what: "it met C" });
      }
      const [middle, hidden] = b === "transmission" ? [waiting, calling] : [calling, waiting];
      const leech = await lab.leech(a, { ...HOW, peers: [at(middle)] });
      await leech.completed(PATIENCE);
      await lab.verify(leech);
      // A and C both learn of each other, and either of them may connect.
      const met = `${hidden.options.host.address}:`;
      assert(leech.job.stdout.some((line) => line.includes(met)), "A and C never met");
    }, { meeting: "nobody" }));
}
