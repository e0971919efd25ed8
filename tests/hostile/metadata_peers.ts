/**
 * Scripted peers that send metadata (BEP 9), or claim to have it, over real sockets and without the code under test.
 *
 * @module
 */

import type { Server } from "node:net";
import { type Bytes, concatBytes, utf8 } from "../../src/base/bytes.ts";
import { decodeDict, encode } from "../../src/bencode/mod.ts";
import { pause } from "./attack.ts";
import { dial, type Line, listen, type Place } from "./line.ts";
import { extended, frame, handshake, ID } from "./words.ts";

const PART = 16 * 1024;
/** Extension message id under which these peers receive metadata messages. */
const OUR_ID = 7;

/** Called when a part is requested from a peer. */
export type Answer = (part: number, says: Sayings) => void | Promise<void>;

/** Options for {@linkcode Sayings.give}. */
export interface GiveOptions {
  /** Part number to claim, that of the part by default. */
  readonly as?: number;
  /** Sends wrong bytes. Default `false`. */
  readonly wrong?: boolean;
  /** Number of bytes to send, those of the part by default. */
  readonly bytes?: number;
}

/** Answers that a peer can send. */
export interface Sayings {
  /** Sends a part. */
  give(part: number, how?: GiveOptions): Promise<boolean>;
  /** Rejects the request for a part. */
  reject(part: number): Promise<boolean>;
  /** Closes the connection. */
  die(): void;
}

/** Behaviour of a {@linkcode MetadataPeer}. */
export interface MetadataPeerOptions {
  /** Literal address to listen at. */
  readonly host: string;
  /** Info-hash of the torrent, 20 bytes. */
  readonly infoHash: Uint8Array;
  /** The info dictionary. Made-up bytes are sent when absent. */
  readonly info?: Uint8Array;
  /** Size in bytes that the peer claims for the dictionary, that of `info` by default. */
  readonly size?: number;
  /** Answers a request. The part is sent at once by default. */
  readonly answer?: Answer;
}

/** A peer that listens for connections. */
export class MetadataPeer implements Disposable {
  /** Address as `host:port`. */
  readonly address: string;
  /** Host and port. */
  readonly place: { readonly host: string; readonly port: number };
  /** Requested parts in order, with the milliseconds since the handshake began on the connection. */
  readonly asked: { readonly part: number; readonly at: number }[];
  readonly #server: Server;
  readonly #lines: Set<Line>;

  private constructor(
    parts: {
      readonly place: { readonly host: string; readonly port: number };
      readonly server: Server;
      readonly asked: { readonly part: number; readonly at: number }[];
      readonly lines: Set<Line>;
    },
  ) {
    this.place = parts.place;
    this.address = `${parts.place.host}:${parts.place.port}`;
    this.asked = parts.asked;
    this.#server = parts.server;
    this.#lines = parts.lines;
  }

  /** Starts a peer. */
  static async start(options: MetadataPeerOptions): Promise<MetadataPeer> {
    const asked: { part: number; at: number }[] = [];
    const lines = new Set<Line>();
    const { port, server } = await listen(options.host, (line) => {
      lines.add(line);
      void serve(line, options, asked).finally(() => lines.delete(line));
    });
    return new MetadataPeer({ place: { host: options.host, port }, server, asked, lines });
  }

  /**
   * Connects a peer to Shoal.
   *
   * @returns The connection, and the parts that are requested over it.
   */
  static async visit(
    to: Place,
    options: MetadataPeerOptions,
  ): Promise<{ readonly asked: { readonly part: number; readonly at: number }[]; readonly line: Line }> {
    const line = await dial(to, options.host);
    if (line === null) throw new Error(`${options.host} was refused`);
    const asked: { part: number; at: number }[] = [];
    void serve(line, options, asked);
    return { asked, line };
  }

  /** Closes the listener and all connections. */
  [Symbol.dispose](): void {
    this.#server.close();
    for (const line of this.#lines) line.close();
  }
}

async function serve(
  line: Line,
  options: MetadataPeerOptions,
  asked: { part: number; at: number }[],
): Promise<void> {
  const began = performance.now();
  const { infoHash, info, size = info?.length ?? 1, answer = (part, says) => void says.give(part) } = options;
  await line.send(handshake(infoHash, { peerId: utf8(`-EV0001-${crypto.randomUUID().slice(0, 12)}`) }));
  if (await line.readExactly(68) === null) return;
  await line.send(frame(ID.haveNone));
  await line.send(extended(0, encode({ m: { ut_metadata: OUR_ID }, metadata_size: size })));
  let theirs = 0;
  const made = new Uint8Array(PART).fill(1);
  const says: Sayings = {
    give(part, { as = part, wrong = false, bytes } = {}) {
      const length = bytes ?? Math.min(PART, size - part * PART);
      const data = info && !wrong ? info.subarray(part * PART, part * PART + length) : made.subarray(0, length);
      return line.send(extended(theirs, concatBytes([encode({ msg_type: 1, piece: as, total_size: size }), data])));
    },
    reject: (part) => line.send(extended(theirs, encode({ msg_type: 2, piece: part }))),
    die: () => line.close(),
  };
  for (;;) {
    const prefix = await line.readExactly(4);
    if (prefix === null) return;
    const body = await line.readExactly(new DataView(prefix.buffer).getUint32(0));
    if (body === null) return;
    if (body[0] !== ID.extended) continue;
    const dict = decodeDict(body.subarray(2), { allowTrailing: true });
    if (body[1] === 0) theirs = dict.getDict("m")?.getInt("ut_metadata") ?? theirs;
    else if (body[1] === OUR_ID && dict.getInt("msg_type") === 0) {
      const part = dict.getInt("piece")!;
      asked.push({ part, at: performance.now() - began });
      await answer(part, says);
    }
  }
}

/** Returns an info dictionary of about `bytes` bytes for a made-up file. */
export function makeInfo(bytes: number, name = "made up"): Bytes {
  const pieces = new Uint8Array(Math.max(1, Math.floor((bytes - 100) / 20)) * 20);
  for (let i = 0; i < pieces.length; i++) pieces[i] = (i * 31 + (i >> 8)) & 255;
  return encode({ length: (pieces.length / 20) * PART, name, "piece length": PART, pieces });
}

/** Sends each part after a delay. Answers queue up, so each request waits for the answers before it. */
export function after(milliseconds: number): Answer {
  return async (part, says) => {
    await pause(milliseconds);
    await says.give(part);
  };
}

/** Sends each part after a delay, independent of other requests. */
export function late(milliseconds: number): Answer {
  return (part, says) => void pause(milliseconds).then(() => says.give(part));
}

/** Sends every part at once except some, which are never sent. */
export function allBut(...parts: number[]): Answer {
  return (part, says) => parts.includes(part) ? undefined : void says.give(part);
}
