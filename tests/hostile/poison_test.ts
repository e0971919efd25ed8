/** Downloads with peers that send wrong data, no data, or fewer blocks than requested. */

import { assert, assertEquals, assertLess } from "@std/assert";
import { freePort } from "../support/aria2.ts";
import { eventsOf } from "../support/events.ts";
import { withScratch } from "../support/scratch.ts";
import { Arena, freshHosts, makeGoods } from "./arena.ts";
import type { Attack } from "./attack.ts";
import { ATTACKS } from "./attacks.ts";

const MIB = 1 << 20;
/** Rate of an attacker in bytes a second. */
const RATE = 20_000_000;

function attackNamed(name: string): Attack {
  const attack = ATTACKS.find((one) => one.name === name);
  assert(attack, name);
  return attack;
}

/** Downloads from attackers, and from a well-behaved seeder if `honest` is set. Returns duration, failures and bans. */
async function downloadBeside(
  name: string,
  options: { readonly size: number; readonly pieceLength: number; readonly hosts: number; readonly honest: boolean },
) {
  return await withScratch(async (folder) => {
    const goods = await makeGoods(folder, options);
    await using arena = new Arena(folder, goods);
    const [port, other] = [freePort(), freePort()];
    const sortie = { attack: attackNamed(name), role: "listens", hosts: freshHosts(options.hosts) } as const;
    const { listening } = await arena.attack([sortie], { port, again: null, rate: RATE });
    if (options.honest) await arena.seed(other);
    const job = arena.download(port, [...listening, ...(options.honest ? [`127.0.0.1:${other}`] : [])]);
    const seconds = await arena.completed(job, 100);
    await arena.same();
    const failed = eventsOf(job.stdout, "hash_failed").length;
    const banned = eventsOf(job.stdout, "peer").filter(({ action }) => action === "banned").map(({ address }) =>
      address
    );
    return { seconds, failed, banned, listening, honest: `127.0.0.1:${other}` };
  });
}

Deno.test("twenty peers that each send one wrong block and fall silent delay a download by less than 20 s", async () => {
  const { seconds, banned, honest } = await downloadBeside("one wrong block, then silence", {
    size: 4 * MIB,
    pieceLength: 256 * 1024,
    hosts: 20,
    honest: true,
  });
  assertLess(seconds, 20);
  assert(!banned.includes(honest), "the honest one was banned");
});

Deno.test("a peer that sends zeros is banned after at most three failed pieces, and no other peer is", async () => {
  const { failed, banned, listening } = await downloadBeside("zeros", {
    size: 64 * MIB,
    pieceLength: 256 * 1024,
    hosts: 1,
    honest: true,
  });
  assertEquals(banned, listening);
  assert(failed >= 1 && failed <= 3, `${failed} pieces failed`);
});

Deno.test("a peer that queues four requests and drops further ones still delivers at full speed", async () => {
  const { seconds } = await downloadBeside("holds four requests and drops the others", {
    size: 8 * MIB,
    pieceLength: 256 * 1024,
    hosts: 1,
    honest: false,
  });
  // 512 blocks at four in 20 ms take 3 s, plus the time to find the depth of the queue.
  assertLess(seconds, 20);
});
