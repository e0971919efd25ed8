/** Transfers of a torrent of which only the info-hash is known, with the DHT as the only source of peers. */

import { assertEquals } from "@std/assert";
import { testWith } from "../support/requirements.ts";
import { OTHERS, PORT, type RunningClient, shoalCommand } from "./clients.ts";
import { inDht } from "./dht_crowd.ts";
import { NEEDS } from "./lab.ts";

/** Seconds for one transfer. Transmission waits a while before its first lookup. */
const PATIENCE = 180;
const WAYS = { finds: ["dht"] } as const;

const nodeOf = ({ options }: RunningClient) => `${options.host.address}:${PORT}`;

for (const client of OTHERS) {
  testWith(
    `shoal bootstraps from the DHT node of ${client} and downloads from ${client} by info-hash alone`,
    NEEDS,
    inDht(async (lab, nodes, hex) => {
      const seeder = await lab.seed(client, { ...WAYS, dhtNode: nodes.address });
      await nodes.announced(hex, seeder.options.host.address);
      const leech = await lab.leech("shoal", { ...WAYS, dhtNode: nodeOf(seeder), link: hex });
      await leech.completed(PATIENCE);
      await lab.verify(leech);
    }),
  );

  testWith(
    `${client} bootstraps from the DHT node of shoal and downloads from shoal by info-hash alone`,
    NEEDS,
    inDht(async (lab, nodes, hex) => {
      const seeder = await lab.seed("shoal", { ...WAYS, dhtNode: nodes.address });
      await nodes.announced(hex, seeder.options.host.address);
      const leech = await lab.leech(client, { ...WAYS, dhtNode: nodeOf(seeder), link: `magnet:?xt=urn:btih:${hex}` });
      await leech.completed(PATIENCE);
      await lab.verify(leech);
    }),
  );
}

testWith(
  "shoal info gets the metadata of an info-hash through the DHT alone",
  NEEDS,
  inDht(async (lab, nodes, hex) => {
    const seeder = await lab.seed("libtorrent", { ...WAYS, dhtNode: nodes.address });
    await nodes.announced(hex, seeder.options.host.address);
    const state = `XDG_STATE_HOME=${lab.torrent}.state`;
    const alone = ["--no-lsd", "--no-pex", "--no-port-map", "--dht-bootstrap", nodeOf(seeder)];
    const argv = [
      "env",
      state,
      `XDG_CONFIG_HOME=${lab.torrent}.config`,
      ...shoalCommand(),
      "info",
      hex,
      "--json",
      ...alone,
    ];
    const { job } = await lab.program("shoal info", argv);
    const { code, stdout } = await job.exit(PATIENCE);
    assertEquals(code, 0);
    const { infohash, files } = JSON.parse(stdout.join("\n"));
    assertEquals(infohash, hex);
    assertEquals(files.length, 1);
  }),
);
