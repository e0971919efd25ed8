/** Message stream encryption with other clients: required, preferred, and without support. */

import { assertEquals } from "@std/assert";
import { testWith } from "../support/requirements.ts";
import { type ClientName, OTHERS } from "./clients.ts";
import { Lab, NEEDS } from "./lab.ts";

/** Seconds for one transfer. Transmission unchokes only every 10 s. */
const PATIENCE = 90;

type Mode = "off" | "prefer" | "require";

interface Case {
  readonly seeder: ClientName;
  readonly seeds: Mode;
  readonly leecher: ClientName;
  readonly leeches: Mode;
  /** Unencrypted messages that the network must see, with their senders. See {@linkcode CAPTURE} for the kinds. */
  readonly plain: readonly string[];
}

/** Returns what the network sees of a transfer without encryption of the payload, sorted. */
function allPlain(seeder: ClientName, leecher: ClientName): string[] {
  return [`block of ${seeder}`, `handshake of ${seeder}`, `handshake of ${leecher}`].sort();
}

/** Encryption modes of seeder and leecher. In each case the leecher dials. */
const CASES: readonly Case[] = [
  ...[...OTHERS, "rtorrent" as const].flatMap((other): Case[] => [
    { seeder: other, seeds: "require", leecher: "shoal", leeches: "prefer", plain: [] },
    { seeder: "shoal", seeds: "prefer", leecher: other, leeches: "require", plain: [] },
    { seeder: other, seeds: "prefer", leecher: "shoal", leeches: "require", plain: [] },
    {
      seeder: "shoal",
      seeds: "require",
      leecher: other,
      leeches: "prefer",
      // libtorrent tries a plain handshake first, and encrypts when it is rejected.
      plain: other === "libtorrent" ? ["handshake of libtorrent"] : [],
    },
    { seeder: other, seeds: "require", leecher: "shoal", leeches: "require", plain: [] },
  ]),
  // webtorrent is run with its default settings, which allow both.
  { seeder: "webtorrent", seeds: "prefer", leecher: "shoal", leeches: "require", plain: [] },
  { seeder: "shoal", seeds: "require", leecher: "webtorrent", leeches: "prefer", plain: [] },
  // If both ends allow plain payload, only the encryption handshake is obfuscated. rtorrent selects RC4 if it is offered
  // both, so Shoal offers plain payload first.
  ...(["libtorrent", "aria2", "rtorrent", "webtorrent"] as const).map((seeder): Case => (
    { seeder, seeds: "prefer", leecher: "shoal", leeches: "prefer", plain: allPlain(seeder, "shoal") }
  )),
  // If one end has encryption off, everything is plain.
  ...(["libtorrent", "rtorrent"] as const).map((seeder): Case => (
    { seeder, seeds: "off", leecher: "shoal", leeches: "prefer", plain: allPlain(seeder, "shoal") }
  )),
  {
    seeder: "shoal",
    seeds: "prefer",
    leecher: "libtorrent",
    leeches: "off",
    plain: allPlain("shoal", "libtorrent"),
  },
  { seeder: "aria2", seeds: "prefer", leecher: "shoal", leeches: "off", plain: allPlain("aria2", "shoal") },
];

for (const { seeder, seeds, leecher, leeches, plain } of CASES) {
  const title = `${seeder} (${seeds}) seeds to ${leecher} (${leeches}); plain: ${plain.join(", ") || "nothing"}`;
  const needs = [seeder, leecher].flatMap((name) => name === "rtorrent" || name === "webtorrent" ? [name] : []);
  testWith(title, [...NEEDS, ...needs], () =>
    Lab.run("file", async (lab) => {
      const capture = await lab.capture(["handshake", "block"]);
      const seed = await lab.seed(seeder, { encryption: seeds });
      await lab.seedersAnnounced(1);
      const leech = await lab.leech(leecher, { encryption: leeches });
      await leech.completed(PATIENCE);
      await lab.verify(leech);
      const names = new Map([[seed.options.host.address, seeder], [leech.options.host.address, leecher]]);
      const seen = () => new Set(capture.stdout.slice(1).map((line) => told(line, names)));
      // Captured packets may not have been printed yet.
      if (plain.length > 0) await capture.line(() => seen().size >= plain.length, { seconds: 10, what: "it saw all" });
      assertEquals([...seen()].sort(), plain);
    }));
}

function told(line: string, names: ReadonlyMap<string, ClientName>): string {
  const [what, from = ""] = line.split(" ");
  return `${what} of ${names.get(from)}`;
}

testWith(
  "shoal (prefer) gets the metadata and data of a magnet link from libtorrent (require), all encrypted",
  NEEDS,
  () =>
    Lab.run("file", async (lab) => {
      const capture = await lab.capture(["handshake", "block"]);
      await lab.seed("libtorrent", { encryption: "require" });
      await lab.seedersAnnounced(1);
      const leech = await lab.leech("shoal", { encryption: "prefer", link: await lab.magnet() });
      await leech.completed(PATIENCE);
      await lab.verify(leech);
      assertEquals(capture.stdout, ["READY"]);
    }),
);

testWith(
  "shoal (require) sends nothing plain to libtorrent (off) and exits with code 5",
  NEEDS,
  () =>
    Lab.run("file", async (lab) => {
      const capture = await lab.capture(["handshake"]);
      await lab.seed("libtorrent", { encryption: "off" });
      await lab.seedersAnnounced(1);
      const leech = await lab.leech("shoal", { encryption: "require", giveUp: 5 });
      const { code } = await leech.job.ended;
      assertEquals(code, 5);
      const own = leech.options.host.address;
      assertEquals(capture.stdout.filter((line) => line.endsWith(own)), []);
    }),
);

testWith("shoal (require) rejects a connection from libtorrent (off)", NEEDS, () =>
  Lab.run("file", async (lab) => {
    const seed = await lab.seed("shoal", { encryption: "require" });
    await lab.seedersAnnounced(1);
    await lab.leech("libtorrent", { encryption: "off" });
    const refusal = '"message":"it does not encrypt, which is required here"';
    await seed.job.line((line) => line.includes(refusal), { seconds: 30, what: "it refused" });
  }));
