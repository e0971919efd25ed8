/** When a block is requested twice. */

import { assert, assertEquals } from "@std/assert";
import { settle } from "../../support/virtual_clock.ts";
import { BLOCKS, Lab } from "./download_lab.ts";

Deno.test("PieceDownload asks a second peer of the same speed only for what it would send in half the time", async () => {
  const lab = new Lab(1);
  const [first, second] = [lab.peer(), lab.peer()];
  lab.download.fill(first);
  lab.download.fill(second);
  // The second peer would send the last two blocks in half the time that the first needs for all four, and the other
  // blocks no sooner.
  assertEquals([first.requests.size, second.requests.size], [BLOCKS, 2]);
  lab.answerAll(second);
  lab.answerAll(first);
  await settle();
  assertEquals(lab.log, ["done 0"]);
});

Deno.test("PieceDownload moves blocks from a slow peer to a fast one long before the end, instead of fetching them twice", () => {
  const lab = new Lab(3);
  const slow = lab.peer({ slow: true, fast: true, pieces: [0] });
  lab.download.fill(slow);
  const quick = lab.peer({ pieces: [0] });
  lab.clock.advance(2_000);
  lab.download.fill(quick);
  assertEquals([slow.requests.size, quick.requests.size], [BLOCKS, 0], "the piece isn't slow yet");
  lab.clock.advance(1_500);
  lab.download.fill(quick);
  assertEquals([slow.requests.size, quick.requests.size], [0, BLOCKS], "moved");
});

Deno.test("PieceDownload doesn't move a block to and fro between those who have nothing else to do", () => {
  const lab = new Lab(3);
  lab.download.fill(lab.peer({ slow: true, pieces: [0] }));
  lab.clock.advance(3_500);
  const idle = [lab.peer({ pieces: [0] }), lab.peer({ pieces: [0] })];
  let requests = 0;
  for (const peer of idle) {
    const request = peer.request.bind(peer);
    peer.request = (...block) => {
      requests++;
      request(...block);
    };
  }
  for (let round = 0; round < 10; round++) for (const peer of idle) lab.download.fill(peer);
  assertEquals(idle.reduce((sum, peer) => sum + peer.requests.size, 0), BLOCKS);
  assert(requests < 2 * BLOCKS, `${requests} requests for ${BLOCKS} blocks`);
});

Deno.test("PieceDownload leaves blocks where they are when they are due soon", () => {
  const lab = new Lab(3);
  const holder = lab.peer({ pieces: [0] });
  // 8 KiB per second: two seconds for a block, eight for the piece.
  for (let i = 0; i < 60; i++) {
    holder.down.add(4096);
    holder.down.tick(0.5);
  }
  lab.download.fill(holder);
  const quick = lab.peer({ pieces: [0] });
  lab.clock.advance(3_500);
  lab.download.fill(quick);
  assertEquals([holder.requests.size, quick.requests.size], [BLOCKS, 0]);
});
