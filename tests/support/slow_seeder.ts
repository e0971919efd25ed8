/**
 * A peer that has every piece and serves every peer at the same slow pace, so that a download lasts as long as a test
 * needs, however many downloads run at the same time.
 *
 * @module
 */

import { type Bytes, concatBytes, utf8 } from "../../src/base/bytes.ts";
import type { Payload } from "./payload.ts";
import { readTorrent } from "./torrents.ts";

const PROTOCOL = utf8("\x13BitTorrent protocol");
const HANDSHAKE_BYTES = 68;
const UNCHOKE = 1;
const BITFIELD = 5;
const REQUEST = 6;
const PIECE = 7;

/** Options for {@linkcode SlowSeeder.start}. */
export interface SlowSeederOptions {
  /** Path of the torrent file. */
  readonly torrent: string;
  /** Milliseconds per block of 16 KiB. */
  readonly blockMs: number;
  /** Blocks to send before waiting for {@linkcode SlowSeeder.allow}; no limit when absent. */
  readonly blocks?: number;
}

/** A seeder of a single file. */
export class SlowSeeder implements AsyncDisposable {
  /** `host:port` for `--peer`. */
  readonly address: string;
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  readonly #parts: SeederParts;
  readonly #connections = new Map<Deno.TcpConn, Promise<void>>();
  readonly #accepting: Promise<void>;

  private constructor(parts: SeederParts) {
    this.#parts = parts;
    this.address = `127.0.0.1:${this.#listener.addr.port}`;
    this.#accepting = this.#accept();
  }

  /**
   * Starts seeding.
   *
   * @param payload A payload of one file.
   * @returns The seeder; dispose of it.
   */
  static async start(payload: Payload, options: SlowSeederOptions): Promise<SlowSeeder> {
    const { infoHash, pieces, pieceLength } = await readTorrent(options.torrent);
    const data = await Deno.readFile(`${payload.folder}/${payload.name}`);
    const credit = new Credit(options.blocks ?? Infinity);
    return new SlowSeeder({ infoHash, pieces, pieceLength, data, blockMs: options.blockMs, credit });
  }

  /** Allows the seeder to send more blocks. */
  allow(blocks: number): void {
    this.#parts.credit.add(blocks);
  }

  /** Stops listening and ends every connection. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    this.#parts.credit.add(Infinity); // ends every wait for a block
    for (const connection of this.#connections.keys()) close(connection);
    await Promise.all([this.#accepting, ...this.#connections.values()]);
  }

  async #accept(): Promise<void> {
    try {
      for await (const connection of this.#listener) {
        const serving = serve(connection, this.#parts).finally(() => {
          close(connection);
          this.#connections.delete(connection);
        });
        this.#connections.set(connection, serving);
      }
    } catch (error) {
      // A listener that is closed while it waits throws one of these errors.
      if (!(error instanceof Deno.errors.BadResource || error instanceof Deno.errors.Interrupted)) throw error;
    }
  }
}

interface SeederParts {
  readonly infoHash: Bytes;
  readonly pieces: number;
  readonly pieceLength: number;
  readonly data: Bytes;
  readonly blockMs: number;
  readonly credit: Credit;
}

/** Number of blocks that may be sent. */
class Credit {
  #left: number;
  #more = Promise.withResolvers<void>();

  constructor(blocks: number) {
    this.#left = blocks;
  }

  add(blocks: number): void {
    this.#left += blocks;
    this.#more.resolve();
    this.#more = Promise.withResolvers();
  }

  /** Waits until a block may be sent. */
  async take(): Promise<void> {
    while (this.#left <= 0) await this.#more.promise;
    this.#left--;
  }
}

/** Serves a peer until the peer disconnects. */
async function serve(connection: Deno.TcpConn, parts: SeederParts): Promise<void> {
  const { infoHash, pieces, pieceLength, data, blockMs, credit } = parts;
  const input = new Input(connection);
  try {
    if (await input.take(HANDSHAKE_BYTES) === null) return;
    await write(connection, concatBytes([PROTOCOL, new Uint8Array(8), infoHash, utf8("-SLOW00-slowslowslow")]));
    await write(connection, concatBytes([frame(BITFIELD, fullBitfield(pieces)), frame(UNCHOKE)]));
    for (let head = await input.take(4); head !== null; head = await input.take(4)) {
      const body = await input.take(viewOf(head).getUint32(0));
      if (body === null) return;
      if (body[0] !== REQUEST) continue;
      const request = viewOf(body);
      const [index, begin, length] = [request.getUint32(1), request.getUint32(5), request.getUint32(9)];
      await credit.take();
      await new Promise((resolve) => setTimeout(resolve, blockMs)); // the pace of the seeder
      const at = index * pieceLength + begin;
      await write(connection, frame(PIECE, concatBytes([body.subarray(1, 9), data.subarray(at, at + length)])));
    }
  } catch (error) {
    if (!(error instanceof Error)) throw error; // a peer may disconnect at any time, with any error
  }
}

function fullBitfield(pieces: number): Bytes {
  const bits = new Uint8Array(Math.ceil(pieces / 8)).fill(255);
  if (pieces % 8 !== 0) bits[bits.length - 1] = 255 << (8 - pieces % 8);
  return bits;
}

function frame(id: number, payload: Uint8Array = new Uint8Array()): Bytes {
  const bytes = new Uint8Array(5 + payload.length);
  viewOf(bytes).setUint32(0, 1 + payload.length);
  bytes[4] = id;
  bytes.set(payload, 5);
  return bytes;
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

async function write(connection: Deno.TcpConn, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) at += await connection.write(bytes.subarray(at));
}

function close(connection: Deno.TcpConn): void {
  try {
    connection.close();
  } catch (error) {
    if (!(error instanceof Deno.errors.BadResource)) throw error; // it is closed already
  }
}

/** Reads exact numbers of bytes from a connection. */
class Input {
  #rest: Bytes = new Uint8Array();

  constructor(readonly connection: Deno.TcpConn) {}

  /** Returns the next `count` bytes, or `null` at the end of the stream. */
  async take(count: number): Promise<Bytes | null> {
    const buffer = new Uint8Array(65536);
    while (this.#rest.length < count) {
      const read = await this.connection.read(buffer);
      if (read === null) return null;
      this.#rest = concatBytes([this.#rest, buffer.subarray(0, read)]);
    }
    const taken = this.#rest.slice(0, count);
    this.#rest = this.#rest.slice(count);
    return taken;
  }
}
