/** Clients find each other through one tracker alone, over UDP or HTTP. */

import { testWith } from "../support/requirements.ts";
import { NEEDS } from "./lab.ts";
import { OTHERS } from "./clients.ts";
import { playUdpScene, type UdpScene } from "./udp_tracker_lab.ts";

const SCENES: readonly UdpScene[] = [
  ...OTHERS.flatMap((other) => [
    { tracker: "opentracker", seeder: other, leecher: "shoal", family: 4 } as const,
    { tracker: "opentracker", seeder: "shoal", leecher: other, family: 4 } as const,
  ]),
  { tracker: "bittorrent-tracker", seeder: "libtorrent", leecher: "shoal", family: 4 },
  { tracker: "bittorrent-tracker", seeder: "shoal", leecher: "libtorrent", family: 4 },
  // Debian's opentracker is built without IPv6, and npm's tracker returns no IPv6 peers over UDP.
  { tracker: "shoal", seeder: "libtorrent", leecher: "libtorrent", family: 6 },
  { tracker: "shoal", seeder: "libtorrent", leecher: "shoal", family: 6 },
  ...OTHERS.flatMap((other) => [
    { tracker: "shoal", seeder: other, leecher: "shoal", family: 4 } as const,
    { tracker: "shoal", seeder: "shoal", leecher: other, family: 4, scheme: "http" } as const,
  ]),
];

for (const scene of SCENES) {
  const { tracker, seeder, leecher, family, scheme = "udp" } = scene;
  testWith(
    `${leecher} finds ${seeder} through ${tracker} over ${scheme.toUpperCase()} and IPv${family}`,
    NEEDS,
    async () => {
      await playUdpScene(scene);
    },
  );
}
