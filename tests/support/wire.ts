/** Records the calls of a frame reader, and builds frames by hand. */

import type { Bytes } from "../../src/base/bytes.ts";
import type { MessageHandler } from "../../src/wire/frame_reader.ts";

export class Recorder implements MessageHandler {
  closed = false;
  readonly log: string[] = [];

  onKeepAlive(): void {
    this.log.push("keep-alive");
  }
  onSignal(id: number): void {
    this.log.push(`signal ${id}`);
  }
  onPieceSignal(id: number, index: number): void {
    this.log.push(`piece-signal ${id} ${index}`);
  }
  onBlockSignal(id: number, index: number, begin: number, length: number): void {
    this.log.push(`block-signal ${id} ${index} ${begin} ${length}`);
  }
  onBitfield(bits: Bytes): void {
    this.log.push(`bitfield ${[...bits].join(",")}`);
  }
  onBlock(index: number, begin: number, source: Bytes, at: number, length: number): void {
    let sum = 0;
    for (let i = at; i < at + length; i++) sum = (sum * 31 + source[i]!) >>> 0;
    this.log.push(`block ${index} ${begin} ${length} ${sum}`);
  }
  onPort(port: number): void {
    this.log.push(`port ${port}`);
  }
  onExtended(id: number, payload: Bytes): void {
    this.log.push(`extended ${id} ${payload.length}`);
  }
  onHashMessage(id: number, payload: Bytes): void {
    let sum = 0;
    for (const byte of payload) sum = (sum * 31 + byte) >>> 0;
    this.log.push(`hash-message ${id} ${payload.length} ${sum}`);
  }
  onUnknown(id: number): void {
    this.log.push(`unknown ${id}`);
  }
}

/** Builds a frame: length, id, payload. */
export function frame(id: number, ...payload: number[]): Bytes {
  const bytes = new Uint8Array(5 + payload.length);
  new DataView(bytes.buffer).setUint32(0, 1 + payload.length);
  bytes[4] = id;
  bytes.set(payload, 5);
  return bytes;
}
