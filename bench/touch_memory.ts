/**
 * Writes to so many bytes of memory and ends: `touch_memory.ts BYTES`.
 *
 * On a virtual machine the first touch of a page can cost more than everything that is done with it. Pages that this
 * program has had are cheap for whoever comes next.
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
