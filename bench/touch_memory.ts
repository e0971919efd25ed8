/**
 * Writes to a number of bytes of memory and exits: `touch_memory.ts BYTES`.
 *
 * On a virtual machine the first access to a page can cost more than all work on it. Pages that this program has used
 * are cheap for the next program.
 *
 * @module
 */

const PAGE = 4096;
const STEP = 256 << 20;

const held: Uint8Array[] = [];
for (let left = Number(Deno.args[0]); left > 0; left -= STEP) {
  const bytes = new Uint8Array(Math.min(left, STEP));
  for (let at = 0; at < bytes.length; at += PAGE) bytes[at] = 1;
  held.push(bytes);
}
