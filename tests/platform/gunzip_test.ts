import { assert, assertEquals, assertRejects } from "@std/assert";
import { utf8 } from "../../src/base/bytes.ts";
import { gunzip, isGzip } from "../../src/platform/gunzip.ts";

async function gzip(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
  const stream = new Blob([bytes]).stream().pipeThrough(new CompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

Deno.test("gunzip() gives back what was packed, as long as it is within the limit", async () => {
  const bytes = utf8("1.2.3.4\n".repeat(1000));
  const packed = await gzip(bytes);
  assert(isGzip(packed) && !isGzip(bytes) && packed.length < 100);
  assertEquals(await gunzip(packed, bytes.length), bytes);
  assertEquals(await gunzip(packed, bytes.length - 1), null);
});

Deno.test("gunzip() stops at the limit whatever else a bomb holds", async () => {
  const bomb = await gzip(new Uint8Array(64 << 20));
  assert(bomb.length < 100_000);
  assertEquals(await gunzip(bomb, 1 << 20), null);
});

Deno.test("gunzip() rejects what is cut off or broken", async () => {
  const packed = await gzip(utf8("1.2.3.4\n".repeat(1000)));
  await assertRejects(() => gunzip(packed.slice(0, -10), 1 << 20), TypeError);
  await assertRejects(() => gunzip(utf8("no gzip at all"), 1 << 20), TypeError);
});
