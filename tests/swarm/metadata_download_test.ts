import { assert, assertEquals } from "@std/assert";
import { MAX_METADATA_ATTEMPTS, METADATA_PART_MS, METADATA_REFUSAL_MS } from "../../src/base/limits.ts";
import { METADATA_PART } from "../../src/peer/mod.ts";
import { MetadataDownload, type MetadataProgress } from "../../src/swarm/metadata_download.ts";
import { seededRandom } from "../support/random.ts";

/** A peer that gives what it has, or something else. */
class Helper {
  readonly address: { readonly host: string };
  constructor(host: string, readonly info: Uint8Array<ArrayBuffer>) {
    this.address = { host };
  }

  part(part: number): { data: Uint8Array; totalSize: number } {
    return { data: this.info.slice(part * METADATA_PART, (part + 1) * METADATA_PART), totalSize: this.info.length };
  }
}

function payload(size: number): Uint8Array<ArrayBuffer> {
  const random = seededRandom(size);
  return new Uint8Array(size).map(() => Math.floor(random() * 256));
}

function downloadOf(info: Uint8Array): MetadataDownload<Helper> {
  return new MetadataDownload((found) => found.length === info.length && found.every((byte, i) => byte === info[i]));
}

/** Rounds of asking everybody and answering at once. @returns what came of it in the end. */
function run(
  download: MetadataDownload<Helper>,
  helpers: Helper[],
  { rounds = 50, now = 0 }: { rounds?: number; now?: number } = {},
): { info: Uint8Array | null; liars: string[] } {
  const liars: string[] = [];
  for (let round = 0; round < rounds; round++) {
    const orders = helpers.flatMap((peer) => download.ask(peer, now).map((part) => ({ peer, part })));
    for (const { peer, part } of orders) {
      const progress: MetadataProgress<Helper> = download.received(peer, part, peer.part(part));
      if (progress.kind === "done") return { info: progress.info, liars };
      if (progress.kind !== "lie") continue;
      liars.push(progress.liar.address.host);
      for (const helper of helpers.filter(({ address }) => address.host === progress.liar.address.host)) {
        download.left(helper);
      }
    }
  }
  return { info: null, liars };
}

Deno.test("MetadataDownload asks several peers for different parts at the same time", () => {
  const info = payload(10 * METADATA_PART + 5);
  const download = downloadOf(info);
  const helpers = ["a", "b", "c"].map((host) => new Helper(host, info));
  for (const helper of helpers) download.offered(helper, info.length);
  const asked = helpers.map((helper) => download.ask(helper, 0));
  assertEquals(asked, [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10]]);
  assertEquals(download.ask(helpers[0]!, 0), []);
  for (const [i, parts] of asked.entries()) {
    for (const part of parts) {
      const progress = download.received(helpers[i]!, part, helpers[i]!.part(part));
      assertEquals(progress.kind, part === 10 ? "done" : "more");
      if (progress.kind === "done") assertEquals(progress.info, info);
    }
  }
});

Deno.test("MetadataDownload asks others for what a peer keeps back, turns down or takes with it", () => {
  const info = payload(METADATA_PART);
  const download = downloadOf(info);
  const [slow, mean, gone, good] = ["a", "b", "c", "d"].map((host) => new Helper(host, info)) as [
    Helper,
    Helper,
    Helper,
    Helper,
  ];
  for (const helper of [slow, mean, gone, good]) download.offered(helper, info.length);
  assertEquals(download.ask(slow, 0), [0]);
  assertEquals(download.ask(mean, METADATA_PART_MS - 1), []);
  assertEquals(download.ask(mean, METADATA_PART_MS), [0]);
  download.rejected(mean, 0, METADATA_PART_MS);
  assertEquals(download.ask(mean, METADATA_PART_MS + METADATA_REFUSAL_MS - 1), []);
  assertEquals(download.ask(gone, METADATA_PART_MS), [0]);
  download.left(gone);
  assertEquals(download.ask(good, METADATA_PART_MS), [0]);
  assertEquals(download.received(good, 0, good.part(0)).kind, "done");
});

Deno.test("MetadataDownload takes nothing that it did not ask for, and parts of the wrong size for lies", () => {
  const info = payload(METADATA_PART + 1);
  const download = downloadOf(info);
  const helper = new Helper("a", info);
  download.offered(helper, info.length);
  assertEquals(download.received(helper, 0, helper.part(0)).kind, "unwanted");
  assertEquals(download.ask(helper, 0), [0, 1]);
  assertEquals(download.received(helper, 1, { data: new Uint8Array(2), totalSize: null }).kind, "lie");
  assertEquals(download.received(helper, 0, { ...helper.part(0), totalSize: 7 }).kind, "lie");
});

Deno.test("MetadataDownload finds the liar among those who helped, whatever the order", () => {
  const info = payload(6 * METADATA_PART);
  const wrong = info.slice();
  wrong[3 * METADATA_PART] = wrong[3 * METADATA_PART]! ^ 1;
  for (let seed = 1; seed <= 50; seed++) {
    const random = seededRandom(seed);
    const helpers = Array.from({ length: 6 }, (_, i) => new Helper(`h${i}`, i < 3 ? wrong : info));
    helpers.sort(() => random() - 0.5);
    const download = downloadOf(info);
    for (const helper of helpers) download.offered(helper, info.length);
    const { info: found, liars } = run(download, helpers);
    assert(found, `seed ${seed}`);
    assertEquals(found, info);
    for (const liar of liars) assert(["h0", "h1", "h2"].includes(liar), `seed ${seed}: ${liar} is honest`);
  }
});

Deno.test("MetadataDownload is not held up by peers that lie about the size", () => {
  const info = payload(3 * METADATA_PART);
  const liars = Array.from({ length: 12 }, (_, i) => new Helper(`liar${i}`, payload((i + 5) * METADATA_PART)));
  const honest = new Helper("honest", info);
  const download = downloadOf(info);
  for (const helper of [...liars, honest]) download.offered(helper, helper.info.length);
  const asked = [...liars, honest].filter((helper) => download.ask(helper, 0).length > 0);
  assert(asked.length <= MAX_METADATA_ATTEMPTS, `${asked.length} sizes take memory`);
  const { info: found } = run(download, [...liars, honest], { now: METADATA_PART_MS });
  assertEquals(found, info);
});

Deno.test("MetadataDownload goes on to the next when the one who has to deliver all is silent", () => {
  const info = payload(2 * METADATA_PART);
  const wrong = payload(2 * METADATA_PART + 1).slice(1);
  const [one, two, three] = [new Helper("a", wrong), new Helper("b", info), new Helper("c", info)];
  const download = downloadOf(info);
  download.offered(one!, info.length);
  download.offered(two!, info.length);
  assertEquals(download.ask(one!, 0), [0, 1]);
  // both have a hand in what turns out wrong
  download.received(one!, 0, one!.part(0));
  download.rejected(one!, 1, 0);
  assertEquals(download.ask(two!, 0), [1]);
  assertEquals(download.received(two!, 1, two!.part(1)).kind, "more");
  download.offered(three!, info.length);
  const chosen = [two!, three!].find((helper) => download.ask(helper, 1).length === 2)!;
  const other = chosen === two ? three! : two!;
  assertEquals(download.ask(other, 1), []);
  download.ask(chosen, METADATA_PART_MS + 1);
  const next = [one!, two!, three!].filter((helper) => download.ask(helper, METADATA_PART_MS + 1).length > 0);
  assertEquals(next.length, 1);
  assert(next[0] !== chosen);
});

Deno.test("MetadataDownload gives everybody a turn when strangers name sizes and send nothing", () => {
  const info = payload(2 * METADATA_PART);
  const liars = Array.from(
    { length: MAX_METADATA_ATTEMPTS },
    (_, i) => new Helper("liar", payload((i + 5) * METADATA_PART)),
  );
  const honest = new Helper("honest", info);
  const download = downloadOf(info);
  for (const helper of [...liars, honest]) download.offered(helper, helper.info.length);
  let asked: number[] = [];
  for (let now = 0; now <= 3 * METADATA_PART_MS && asked.length === 0; now += METADATA_PART_MS) {
    for (const liar of liars) download.ask(liar, now);
    asked = download.ask(honest, now);
  }
  assertEquals(asked, [0, 1]);
});
