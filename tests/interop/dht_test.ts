/** Nodes of Shoal's DHT and those of other clients find what the other announces. */

import { assert, assertGreater } from "@std/assert";
import { testWith } from "../support/requirements.ts";
import { OTHERS, PORT } from "./clients.ts";
import { DhtNodes, inDht } from "./dht_crowd.ts";
import { NEEDS } from "./lab.ts";

/** Info-hash that is announced although no peer has the torrent. */
const ANNOUNCED = "5ac3e0f1b2d4968778695a4b3c2d1e0f00112233";
const ANNOUNCED_PORT = 7000;
const WAYS = { finds: ["dht"] } as const;

for (const client of OTHERS) {
  testWith(
    `a DHT node of ours bootstraps from ${client} and finds its torrent, and ${client} finds what our node announces`,
    NEEDS,
    inDht(async (lab, nodes, hex) => {
      const seeder = await lab.seed(client, { ...WAYS, dhtNode: nodes.address });
      const { address } = seeder.options.host;
      await nodes.announced(hex, address);
      const ours = await DhtNodes.start(lab, {
        count: 1,
        bootstrap: [{ host: address, port: PORT }],
        find: hex,
        announce: { infoHash: ANNOUNCED, port: ANNOUNCED_PORT },
      });
      const found = await ours.event("we looked it up", ({ event }) => event === "found");
      assert((found.peers as string[]).includes(`${address}:${PORT}`), `found ${found.peers}`);
      const told = await ours.event("we announced", ({ event }) => event === "announced");
      assertGreater(told.nodes as number, 0);

      const leecher = await lab.leech(client, {
        ...WAYS,
        dhtNode: `${address}:${PORT}`,
        link: `magnet:?xt=urn:btih:${ANNOUNCED}`,
      });
      await ours.event(`${client} found us and came`, (it) => {
        return it.event === "connection" && it.from === leecher.options.host.address;
      });
    }),
  );
}
