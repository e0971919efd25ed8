/**
 * Streams from outside, read whole but never past a limit.
 *
 * @module
 */

import { LimitedBytesTransformStream, toBytes } from "npm:deno-std@1.4.0/streams/mod.js";
import type { Bytes } from "../base/bytes.ts";

/**
 * Reads a stream to its end.
 *
 * @param stream Any bytes.
 * @param maxBytes Most bytes that are taken; no more than that is ever held.
 * @returns All of them, or `null` when there are more.
 */
export async function readLimited(stream: ReadableStream<Uint8Array>, maxBytes: number): Promise<Bytes | null> {
  try {
    return await toBytes(stream.pipeThrough(new LimitedBytesTransformStream(maxBytes, { error: true })));
  } catch (error) {
    if (error instanceof RangeError) return null; // what the limiter throws; a stream's own failures are others
    throw error;
  }
}
