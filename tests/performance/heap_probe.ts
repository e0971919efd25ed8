/**
 * Prints the heap bytes that 20,000 blocks take on their way into pieces. `heap_test.ts` starts this program with a
 * young generation so large that nothing is collected meanwhile.
 *
 * @module
 */

import { BlockLab } from "../support/block_lab.ts";

const WARM_UP = 20_000;
const BLOCKS = 20_000;

const { gc } = globalThis as unknown as { readonly gc: () => void };
const lab = new BlockLab({ peers: 1, pieceCount: 1024, pieceLength: 1 << 20, readLength: 1 << 18 });
await lab.run(WARM_UP);
gc();
const before = Deno.memoryUsage();
const { blocks } = lab.counts;
await lab.run(WARM_UP + BLOCKS);
const after = Deno.memoryUsage();
gc();
const count = lab.counts.blocks - blocks;
const left = Deno.memoryUsage().heapUsed - before.heapUsed;
const result = {
  perBlock: (after.heapUsed - before.heapUsed) / count,
  left,
  external: after.external - before.external,
};
Deno.stdout.writeSync(new TextEncoder().encode(JSON.stringify(result)));
