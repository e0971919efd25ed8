import { assert, assertEquals, assertRejects } from "@std/assert";
import { type Bytes, concatBytes, utf8 } from "../../src/base/bytes.ts";
import { gunzip, isGzip, unpacked } from "../../src/platform/gunzip.ts";

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
  const bomb = await gzip(new Uint8Array(8 << 20));
  assert(bomb.length < 100_000);
  assertEquals(await gunzip(bomb, 1 << 20), null);
});

Deno.test("gunzip() rejects what is cut off or broken", async () => {
  const packed = await gzip(utf8("1.2.3.4\n".repeat(1000)));
  await assertRejects(() => gunzip(packed.slice(0, -10), 1 << 20), TypeError);
  await assertRejects(() => gunzip(utf8("no gzip at all"), 1 << 20), TypeError);
});

/** Unpacks an answer that arrives in parts of `size` bytes. */
async function answerOf(packed: Bytes, size: number): Promise<Bytes> {
  let at = 0;
  const read = await unpacked(async () => {
    await Promise.resolve();
    return at < packed.length ? packed.slice(at, at += size) : null;
  }, "gzip");
  const parts: Bytes[] = [];
  for (let part = await read(); part !== null; part = await read()) parts.push(part.slice());
  return concatBytes(parts);
}

Deno.test("unpacked() passes over line ends behind gzip, wherever the parts of the answer end, and over nothing in it", async () => {
  const noise = new Uint8Array(40_000);
  for (let at = 0; at < noise.length; at++) noise[at] = (at * at * 31 + (at >> 3)) & 255;
  const plain = concatBytes([noise, utf8("\n".repeat(40))]);
  const stored = await gzip(plain);
  for (const size of [1, 7, 1024, 1 << 20]) {
    for (const behind of ["", "\n", "\r\n \n"]) {
      assertEquals(await answerOf(concatBytes([stored, utf8(behind)]), size), plain);
    }
  }
  await assertRejects(() => answerOf(concatBytes([stored, utf8("x")]), 1024), TypeError);
  await assertRejects(() => answerOf(stored.slice(0, -9), 1024), TypeError);
});
