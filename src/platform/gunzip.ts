/**
 * What gzip made small, in full again.
 *
 * @module
 */

import { type Bytes, concatBytes, freeBytes } from "../base/bytes.ts";
import { HttpError } from "./platform.ts";
import { readLimited } from "./read_limited.ts";

/** Packed bytes that are unpacked in one go, so that what comes of them, a thousand times as much at most, is counted early. */
const PACKED_PART = 1024;
/** Line ends and spaces behind gzip that are passed over: scripts add them, and the runtime takes nothing behind the end. */
const MOST_BLANK = 16;
/** Packed bytes that may come beyond those that came of them: some have a name and a comment in them, none is made to stand for nothing. */
const PACKED_AHEAD = 128 * 1024;

/**
 * Whether bytes claim to be gzip (RFC 1952).
 *
 * @param bytes Any bytes.
 * @returns Whether they begin as it does.
 */
export function isGzip(bytes: Uint8Array): boolean {
  return bytes[0] === 0x1f && bytes[1] === 0x8b;
}

/**
 * Unpacks gzip.
 *
 * @param packed What was packed.
 * @param maxBytes Most bytes that may come of it: a kilobyte can stand for a megabyte, a hundred megabytes for all memory.
 * @returns All of it, or `null` when there is more than that.
 * @throws {TypeError} If it is not gzip, or broken.
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
 * Unpacks an answer by what it is labelled as, unless it is stored as it is: servers label a file by its name, too.
 *
 * @param read Gives the next bytes, `null` at the end; they are used before the next call.
 * @param label The answer's `Content-Encoding`.
 * @returns The same for what it stands for.
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
    // At once, not when memory is next looked through: a bomb makes a lot of them.
    if (last !== null) freeBytes(last);
    const { done, value } = await reader.read();
    ahead -= done ? 0 : value.length;
    return last = done ? null : value as Bytes;
  };
}

/** Where blanks at the end begin. Gzip itself ends with one only when it stands for more than a hundred megabytes. */
function blankFrom(part: Bytes): number {
  let from = part.length;
  while (from > 0 && part.length - from < MOST_BLANK && [0x0a, 0x0d, 0x20].includes(part[from - 1]!)) from--;
  return from;
}

function formatOf(bytes: Uint8Array): CompressionFormat | null {
  if (isGzip(bytes)) return "gzip";
  const [method = 0, flags = 0] = bytes;
  // RFC 1950: such two bytes begin no torrent and no reply of a tracker
  return (method & 0x0f) === 8 && (method << 8 | flags) % 31 === 0 ? "deflate" : null;
}
