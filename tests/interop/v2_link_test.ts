/**
 * The swarm of a hybrid torrent (BEP 52) in which one client knows only v1 and another only v2. They can't reach each
 * other, so that all data goes through Shoal. Transmission 3.00 reads no hybrids, and aria2 1.36 computes another info-hash
 * for them.
 */

import { assert } from "@std/assert";
import { eventsOf } from "../support/events.ts";
import { testWith } from "../support/requirements.ts";
import { PORT } from "./clients.ts";
import { Lab, NEEDS } from "./lab.ts";
import { v2Goods } from "./v2_pairs.ts";

/** Seconds for the whole swarm. */
const PATIENCE = 120;

/** Waits until Shoal listens, and returns its address. */
async function started(lab: Lab): Promise<string> {
  const { job, options } = lab.find("shoal");
  await job.line((line) => line.includes('"tracker"'), { seconds: 30, what: "it has announced" });
  return `${options.host.address}:${PORT}`;
}

/** Writes the padding of the torrent as files, which clients that know only v1 want to read. */
async function writePadding({ payload: { folder, name, files } }: Lab, pieceLength: number): Promise<void> {
  await Deno.mkdir(`${folder}/${name}/.pad`);
  for (const { size } of files) {
    const gap = (pieceLength - size % pieceLength) % pieceLength;
    if (gap > 0) await Deno.writeFile(`${folder}/${name}/.pad/${gap}`, new Uint8Array(gap));
  }
}

for (const kind of ["file", "tree"] as const) {
  const goods = v2Goods(kind, "hybrid");
  for (const first of ["rtorrent", "webtorrent"] as const) {
    // rtorrent takes no torrent in which several files, as padding, have the same path.
    if (first === "rtorrent" && kind === "tree") continue;
    testWith(
      `shoal passes the ${kind} of a hybrid from ${first}, which knows only v1, to a client that knows only v2`,
      [...NEEDS, "rtorrent", "webtorrent"],
      () =>
        Lab.run(goods, async (lab) => {
          if (kind === "tree") await writePadding(lab, goods.pieceLength);
          const seed = await lab.seed(first, { apart: true });
          await lab.seedersAnnounced(1);
          const shoal = await lab.leech("shoal");
          const peers = [await started(lab)];
          const link = await lab.magnet({ kind: "btmh", hasTracker: false });
          const last = await lab.leech("libtorrent", { apart: true, link, peers });
          await Promise.all([shoal, last].map((client) => client.completed(PATIENCE)));
          if (kind === "tree") await Deno.remove(`${lab.payload.folder}/${lab.payload.name}/.pad`, { recursive: true });
          await lab.verify(shoal);
          await lab.verify(last);
          assertMet(lab, [seed.options.host.address, last.options.host.address]);
        }),
    );

    testWith(
      `shoal passes the ${kind} of a hybrid from a client that knows only v2 to ${first}, which knows only v1`,
      [...NEEDS, "rtorrent", "webtorrent"],
      () =>
        Lab.run(goods, async (lab) => {
          const shoal = await lab.leech("shoal");
          const peers = [await started(lab)];
          const link = await lab.magnet({ kind: "btmh", hasTracker: false });
          const seed = await lab.seed("libtorrent", { apart: true, link, peers });
          const last = await lab.leech(first, { apart: true });
          await Promise.all([shoal, last].map((client) => client.completed(PATIENCE)));
          await lab.verify(shoal);
          await lab.verify(last);
          assertMet(lab, [seed.options.host.address, last.options.host.address]);
        }),
    );
  }
}

/** Asserts that Shoal was connected to clients at both addresses. */
function assertMet(lab: Lab, addresses: readonly string[]): void {
  const met = eventsOf(lab.find("shoal").job.stdout, "peer").filter(({ action }) => action === "connected");
  for (const address of addresses) {
    assert(met.some((event) => String(event.address).startsWith(`${address}:`)), `shoal didn't meet ${address}`);
  }
}
