/**
 * The tests of Shoal with each other client that knows v2 (BEP 52): v2-only and hybrid torrents, one file and a tree, by
 * torrent file and by magnet link, in both directions.
 *
 * @module
 */

import { makeFile, makeTree, type Payload } from "../support/payload.ts";
import { type Requirement, testWith } from "../support/requirements.ts";
import type { ClientName } from "./clients.ts";
import { type Goods, Lab, NEEDS } from "./lab.ts";

/** Seconds for one transfer. */
const PATIENCE = 90;

/** Clients that know v2, and what each needs. */
const KNOWS_V2 = {
  libtorrent: "python3-libtorrent",
  libtorrent21: "libtorrent21",
  qbittorrent: "qbittorrent-nox",
} as const satisfies Partial<Record<ClientName, Requirement>>;

/** What is transferred. The tree has empty files, files of exactly a piece and a block, and non-ASCII names. */
const PAYLOADS: Readonly<Record<string, (folder: string) => Promise<Payload>>> = {
  file: (folder) => makeFile(folder, { name: "one file.bin", size: (24 << 20) + 12_345, seed: 1 }),
  tree: (folder) => makeTree(folder, { name: "a tree", seed: 1000 }),
};

/** What a leecher is started with. */
const LINKS = { v2: ["torrent", "btmh"], hybrid: ["torrent", "both", "btih", "btmh"] } as const;

/** Returns the payload of a name as a torrent of a version. */
export function v2Goods(kind: string, version: "v2" | "hybrid"): Goods {
  return { makePayload: PAYLOADS[kind]!, pieceLength: 256 * 1024, version };
}

/**
 * Defines the tests of one client.
 *
 * @param other Name of the client.
 */
export function testV2Pairs(other: keyof typeof KNOWS_V2): void {
  for (const kind of Object.keys(PAYLOADS)) {
    for (const version of ["v2", "hybrid"] as const) {
      for (const link of LINKS[version]) {
        for (const [seeder, leecher] of [[other, "shoal"], ["shoal", other]] as const) {
          const by = link === "torrent" ? "" : ` by a magnet link (${link})`;
          testWith(`${seeder} seeds the ${kind} of a ${version} torrent to ${leecher}${by}`, [
            ...NEEDS,
            KNOWS_V2[other],
          ], () =>
            Lab.run(v2Goods(kind, version), async (lab) => {
              await lab.seed(seeder);
              await lab.seedersAnnounced(1, link === "btmh" ? { by: "v2" } : {});
              const given = link === "torrent" ? {} : { link: await lab.magnet({ kind: link }) };
              const leech = await lab.leech(leecher, given);
              await leech.completed(PATIENCE);
              await lab.verify(leech);
            }));
        }
      }
    }
  }
}
