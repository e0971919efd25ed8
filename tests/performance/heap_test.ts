import { assert, assertEquals } from "@std/assert";
import { TEST_FLAGS } from "../support/from_source.ts";

/**
 * A young generation of 256 MiB, so that nothing is collected, and no optimising compiler, which would run at
 * unpredictable times.
 */
const FLAGS = "--expose-gc,--no-opt,--min-semi-space-size=256,--max-semi-space-size=256";
/**
 * Limit of heap bytes per block, about twice the usual figure. A promise, or a closure with the values that it holds,
 * takes a hundred bytes or more.
 */
const PER_BLOCK = 1200;
/** Limit of bytes that stay in use after 320 MiB have been received. */
const LEFT = 4 << 20;

Deno.test("the way of a block takes a handful of small objects from the heap, and leaves none there", async () => {
  const probe = decodeURI(new URL("heap_probe.ts", import.meta.url).pathname);
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", ...TEST_FLAGS, "--quiet", "--no-check", "--no-prompt", `--v8-flags=${FLAGS}`, probe],
  }).output();
  const said = new TextDecoder().decode(stderr);
  assertEquals([success, said], [true, ""]);
  const { perBlock, left, external } = JSON.parse(new TextDecoder().decode(stdout));
  assert(perBlock > 0 && perBlock < PER_BLOCK, `${perBlock} bytes for a block`);
  assert(left < LEFT && external < LEFT, `${left} bytes of heap and ${external} of buffers are left`);
});

Deno.test("nothing stays in memory of a torrent that was removed, while others have files open", async () => {
  const probe = decodeURI(new URL("removed_probe.ts", import.meta.url).pathname);
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", ...TEST_FLAGS, "--quiet", "--no-check", "-A", "--v8-flags=--expose-gc", probe],
  }).output();
  const said = new TextDecoder().decode(stderr);
  assertEquals([success, said], [true, ""]);
  assertEquals(JSON.parse(new TextDecoder().decode(stdout)), [], "these are still there");
});
