/** Metadata downloads from peers that stay silent, send slowly, send wrong data or fill memory, and one good peer. */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import type { Bytes } from "../../src/base/bytes.ts";
import { toHex } from "../../src/base/bytes.ts";
import { environment, OFFLINE } from "../support/binary.ts";
import { Job } from "../support/job.ts";
import { withScratch } from "../support/scratch.ts";
import { freshHosts, SHOAL, usage } from "./arena.ts";
import { allBut, type Answer, late, makeInfo, MetadataPeer, type MetadataPeerOptions } from "./metadata_peers.ts";

/** Seconds that the start of Shoal may take on a busy machine. */
const START = 10;

type Actor = Omit<MetadataPeerOptions, "host" | "infoHash" | "info"> & { readonly liar?: true };

async function sha1(bytes: Bytes): Promise<Bytes> {
  return new Uint8Array(await crypto.subtle.digest("SHA-1", bytes));
}

async function peersOf(info: Bytes, actors: readonly Actor[]): Promise<{ link: string; peers: MetadataPeer[] }> {
  const infoHash = await sha1(info);
  const hosts = freshHosts(actors.length);
  const peers = await Promise.all(
    actors.map(({ liar, ...actor }, i) =>
      MetadataPeer.start({ host: hosts[i]!, infoHash, ...(!liar && { info }), ...actor })
    ),
  );
  return { link: `magnet:?xt=urn:btih:${toHex(infoHash)}`, peers };
}

/** Runs `shoal info`. Returns its exit code, its output and its duration in seconds. */
async function info(link: string, peers: readonly MetadataPeer[], seconds: number) {
  return await withScratch(async (folder) => {
    const named = peers.flatMap(({ address }) => ["--peer", address]);
    const argv = [...SHOAL, "info", link, "--json", "--timeout", `${seconds}s`, ...named, ...OFFLINE];
    await using job = new Job(argv, { name: "shoal info", env: environment(folder) });
    const { code, stdout, stderr } = await job.ended;
    return { code, stdout, stderr, seconds: (performance.now() - job.startedAt) / 1000 };
  });
}

const silent: Answer = () => {};
const otherNumber: Answer = (part, says) => void says.give(part, { as: part + 1, bytes: 16384 });
const many = (count: number, actor: Actor): Actor[] => Array.from({ length: count }, () => actor);

const SCENES: readonly { readonly name: string; readonly size: number; readonly actors: readonly Actor[] }[] = [
  { name: "never answer", size: 40_000, actors: many(8, { answer: silent }) },
  { name: "disconnect on a request", size: 40_000, actors: many(5, { answer: (_, says) => says.die() }) },
  { name: "answer with the number of another part", size: 700_000, actors: many(5, { answer: otherNumber }) },
  { name: "reject every request", size: 40_000, actors: many(5, { answer: (part, says) => void says.reject(part) }) },
  { name: "withhold one part of many", size: 700_000, actors: many(3, { answer: allBut(20) }) },
  {
    name: "send wrong parts",
    size: 700_000,
    actors: many(6, { answer: (part, says) => void says.give(part, { wrong: true }) }),
  },
  {
    name: "claim huge sizes and answer slowly",
    size: 40_000,
    actors: [1, 2, 3, 4, 5, 6].map((i) => ({ liar: true, size: (32 << 20) - i * 100, answer: late(6_500) })),
  },
  { name: "claim the right size and answer slowly", size: 700_000, actors: many(6, { answer: late(6_500) }) },
];

for (const { name, size, actors } of SCENES) {
  Deno.test(`shoal info gets the metadata of a magnet link despite peers that ${name}`, async () => {
    const { link, peers } = await peersOf(makeInfo(size), [...actors, {}]);
    const { code, stderr, seconds } = await info(link, peers, 30);
    for (const peer of peers) peer[Symbol.dispose]();
    assertEquals(code, 0, stderr.join("\n"));
    assert(seconds < START + 5, `it took ${seconds} s`);
    assert(peers.slice(0, -1).some(({ asked }) => asked.length > 0), "nobody was asked but the honest one");
  });
}

Deno.test("a peer that never answers metadata requests is replaced by a waiting peer when --max-peers is reached", async () => {
  await withScratch(async (folder) => {
    const { link, peers } = await peersOf(makeInfo(40_000), [...many(14, { answer: silent }), {}]);
    const named = peers.flatMap(({ address }) => ["--peer", address]);
    const argv = [
      ...SHOAL,
      "download",
      link,
      "-o",
      `${folder}/out`,
      "--json",
      "--max-peers",
      "8",
      ...named,
      ...OFFLINE,
    ];
    await using job = new Job(argv, { name: "shoal download", env: environment(folder) });
    await job.line((line) => line.includes('"metadata"'), { seconds: START + 20, what: "the metadata is there" });
    await job.stop();
    for (const peer of peers) peer[Symbol.dispose]();
  });
});

Deno.test("metadata downloads that can't complete stay within the memory limit and don't starve another torrent", async () => {
  await withScratch(async (folder) => {
    const size = 32 << 20;
    const honest = await peersOf(makeInfo(size - 1000), [{}]);
    const torrents = await Promise.all(
      Array.from({ length: 6 }, (_, i) =>
        peersOf(
          makeInfo(1000, `liars ${i}`),
          [1, 2, 3, 4].map((n) => {
            const claimed = size - n * 16384;
            return { liar: true, size: claimed, answer: allBut(claimed / 16384 - 1) };
          }),
        )),
    );
    const peers = [...torrents.flatMap((one) => one.peers), ...honest.peers];
    const named = [...torrents, honest].map(({ link, peers }) =>
      link + peers.map(({ address }) => `&x.pe=${address}`).join("")
    );
    const argv = [...SHOAL, "download", ...named, "-o", `${folder}/out`, "--json", ...OFFLINE];
    await using job = new Job(argv, { name: "shoal download", env: environment(folder) });
    const found = await job.line((line) => line.includes('"metadata"'), { seconds: 90, what: "the metadata is there" });
    assertStringIncludes(found, honest.link.slice(-40));
    const { peak } = usage(job.pid);
    await job.stop();
    for (const peer of peers) peer[Symbol.dispose]();
    assert(peak < 500 << 20, `${peak >> 20} MiB`);
  });
});

Deno.test("shoal info reports the failed exact source (xs) of a magnet link when no peer sends the metadata", async () => {
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, () => new Response("", { status: 410 }));
  const url = `http://127.0.0.1:${server.addr.port}/file.torrent`;
  const { link, peers } = await peersOf(makeInfo(1000), [{ answer: silent }]);
  const { code, stderr } = await info(`${link}&xs=${encodeURIComponent(url)}`, peers, 3);
  for (const peer of peers) peer[Symbol.dispose]();
  await server.shutdown();
  assertEquals(code, 5);
  const reasons =
    `no peer sent the metadata within 3s; asking 1 peer for the metadata; ${url}: cannot fetch the torrent: `;
  assertStringIncludes(stderr.join("\n"), reasons);
});
