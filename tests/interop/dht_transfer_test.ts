/** Whole transfers from a bare info-hash: no tracker, no local discovery, no peer exchange, only the DHT. */

import { assertEquals } from "@std/assert";
import { testWith } from "../support/requirements.ts";
import { OTHERS, PORT, type RunningClient, shoalCommand } from "./clients.ts";
import { inDht } from "./dht_crowd.ts";
import { NEEDS } from "./lab.ts";

/** Seconds for one transfer. Transmission takes its time before it first asks anybody. */
const PATIENCE = 180;
const WAYS = { finds: ["dht"] } as const;

const nodeOf = ({ options }: RunningClient) => `${options.host.address}:${PORT}`;

for (const client of OTHERS) {
  testWith(
    `shoal begins with the node of ${client} and downloads from it by info-hash alone`,
    NEEDS,
    inDht(async (lab, crowd, hex) => {
      const seeder = await lab.seed(client, { ...WAYS, dhtNode: crowd.address });
      await crowd.announced(hex, seeder.options.host.address);
      const leech = await lab.leech("shoal", { ...WAYS, dhtNode: nodeOf(seeder), link: hex });
      await leech.completed(PATIENCE);
      await lab.verify(leech);
    }),
  );

  testWith(
    `${client} begins with the node of shoal and downloads from it by info-hash alone`,
    NEEDS,
    inDht(async (lab, crowd, hex) => {
      const seeder = await lab.seed("shoal", { ...WAYS, dhtNode: crowd.address });
      await crowd.announced(hex, seeder.options.host.address);
      const leech = await lab.leech(client, { ...WAYS, dhtNode: nodeOf(seeder), link: `magnet:?xt=urn:btih:${hex}` });
      await leech.completed(PATIENCE);
      await lab.verify(leech);
    }),
  );
}

testWith(
  "shoal info shows what an info-hash stands for, by the DHT alone",
  NEEDS,
  inDht(async (lab, crowd, hex) => {
    const seeder = await lab.seed("libtorrent", { ...WAYS, dhtNode: crowd.address });
    await crowd.announced(hex, seeder.options.host.address);
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
