/**
 * Decompresses gzip and deflate, with limits against decompression bombs.
 *
 * @module
 */

import { type Bytes, concatBytes, freeBytes } from "../base/bytes.ts";
import { HttpError } from "./platform.ts";
import { readLimited } from "./read_limited.ts";

/** Compressed bytes per step, so that the result, at most a thousand times as large, is counted early. */
const PACKED_PART = 1024;
/** Newlines and spaces skipped after gzip data. Scripts add them, and the runtime accepts nothing after the end. */
const MOST_BLANK = 16;
/**
 * Compressed bytes that may exceed the decompressed ones. A gzip header may contain a name and a comment, but no server
 * sends gzip that decompresses to nothing.
 */
const PACKED_AHEAD = 128 * 1024;

/** Returns `true` if bytes begin like gzip (RFC 1952). */
export function isGzip(bytes: Uint8Array): boolean {
  return bytes[0] === 0x1f && bytes[1] === 0x8b;
}

/**
 * Decompresses gzip.
 *
 * @param packed Compressed bytes.
 * @param maxBytes Most bytes of the result. A kilobyte can decompress to a megabyte, and a hundred megabytes to all
 * memory.
 * @returns The decompressed bytes, or `null` if there are more than `maxBytes`.
 * @throws {TypeError} If the data is not valid gzip.
 */
export async function gunzip(packed: Bytes, maxBytes: number): Promise<Bytes | null> {
  let at = 0;
  const source = new ReadableStream<Bytes>({
    pull(controller) {
      if (at >= packed.length) return controller.close();
      controller.enqueue(packed.subarray(at, at += PACKED_PART));
    },
  }, { highWaterMark: 0 });
  return await readLimited(source.pipeThrough(new DecompressionStream("gzip")), maxBytes);
}

/**
 * Decompresses a response by its `Content-Encoding`, unless its body isn't compressed: some servers label a file by its
 * name.
 *
 * @param read Returns the next bytes, or `null` at the end. The bytes are used before the next call.
 * @param label Value of `Content-Encoding`.
 * @returns A function like `read` for the decompressed body.
 */
export async function unpacked(read: () => Promise<Bytes | null>, label: string): Promise<() => Promise<Bytes | null>> {
  if (!/^\s*(?:x-)?(?:gzip|deflate)\s*$/i.test(label)) return read;
  let first = await read();
  if (first?.length === 1) {
    const second = await read();
    first = second === null ? first : Uint8Array.of(first[0]!, ...second.subarray(0));
  }
  const format = first === null ? null : formatOf(first);
  let left: Bytes | null = first;
  const next = async () => {
    const part = left ?? await read();
    left = null;
    return part;
  };
  if (format === null) return next;
  let packed: Bytes | null = null;
  let at = 0;
  let ahead = 0;
  let blank: Bytes = new Uint8Array();
  const source = new ReadableStream<Bytes>({
    async pull(controller) {
      for (;;) {
        if (packed === null || at >= packed.length) {
          packed = await next();
          at = 0;
          ahead += packed?.length ?? 0;
          if (ahead > PACKED_AHEAD + (packed?.length ?? 0)) {
            throw new HttpError("the answer is compressed to more than it stands for");
          }
        }
        if (packed === null) return controller.close();
        const part = concatBytes([blank, packed.subarray(at, at += PACKED_PART)]);
        const end = format === "gzip" ? blankFrom(part) : part.length;
        blank = part.slice(end);
        if (end > 0) return controller.enqueue(part.subarray(0, end));
      }
    },
  }, { highWaterMark: 0 });
  const reader = source.pipeThrough(new DecompressionStream(format)).getReader();
  let last: Bytes | null = null;
  return async () => {
    // Frees the memory at once instead of at the next garbage collection, as a decompression bomb makes many such
    // buffers.
    if (last !== null) freeBytes(last);
    const { done, value } = await reader.read();
    ahead -= done ? 0 : value.length;
    return last = done ? null : value as Bytes;
  };
}

/** Returns the offset of blanks at the end. Gzip itself ends with one only if it unpacks to more than 100 MB. */
function blankFrom(part: Bytes): number {
  let from = part.length;
  while (from > 0 && part.length - from < MOST_BLANK && [0x0a, 0x0d, 0x20].includes(part[from - 1]!)) from--;
  return from;
}

function formatOf(bytes: Uint8Array): CompressionFormat | null {
  if (isGzip(bytes)) return "gzip";
  const [method = 0, flags = 0] = bytes;
  // RFC 1950. No torrent and no tracker reply begins with two such bytes.
  return (method & 0x0f) === 8 && (method << 8 | flags) % 31 === 0 ? "deflate" : null;
}
