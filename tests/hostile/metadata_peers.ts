/**
 * Peers that give metadata (BEP 9), or promise to: scripted, over real sockets, without the code under test.
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
/** The ids under which these peers take messages. */
const OUR_ID = 7;

/** What a peer does when it is asked for a part. */
export type Answer = (part: number, says: Sayings) => void | Promise<void>;

/** What it can say. */
export interface Sayings {
  /** Sends a part: `as` names another one, `wrong` spoils its bytes, `bytes` sends so many. */
  give(
    part: number,
    how?: { readonly as?: number; readonly wrong?: boolean; readonly bytes?: number },
  ): Promise<boolean>;
  /** Turns the part down. */
  reject(part: number): Promise<boolean>;
  /** Ends the connection. */
  die(): void;
}

/** How a peer behaves. */
export interface MetadataPeerOptions {
  /** Literal address to listen at. */
  readonly host: string;
  /** Of the torrent, 20 bytes. */
  readonly infoHash: Uint8Array;
  /** The info dictionary; absent for one that is made up. */
  readonly info?: Uint8Array;
  /** Bytes that it claims the dictionary has; those of `info` when absent. */
  readonly size?: number;
  /** What it does when it is asked; gives the part at once when absent. */
  readonly answer?: Answer;
}

/** A peer that listens. */
export class MetadataPeer implements Disposable {
  /** `host:port`. */
  readonly address: string;
  /** Where it listens. */
  readonly place: { readonly host: string; readonly port: number };
  /** Parts that it was asked for, in order, and how many milliseconds after the first connection. */
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

  /** Starts one. */
  static async start(options: MetadataPeerOptions): Promise<MetadataPeer> {
    const asked: { part: number; at: number }[] = [];
    const lines = new Set<Line>();
    const { port, server } = await listen(options.host, (line) => {
      lines.add(line);
      void serve(line, options, asked).finally(() => lines.delete(line));
    });
    return new MetadataPeer({ place: { host: options.host, port }, server, asked, lines });
  }

  /** Lets one connect to Shoal instead. @returns what it was asked for; it ends with the connection. */
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

  /** Ends it. */
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

/** An info dictionary of about so many bytes, for a made-up file. */
export function makeInfo(bytes: number, name = "made up"): Bytes {
  const pieces = new Uint8Array(Math.max(1, Math.floor((bytes - 100) / 20)) * 20);
  for (let i = 0; i < pieces.length; i++) pieces[i] = (i * 31 + (i >> 8)) & 255;
  return encode({ length: (pieces.length / 20) * PART, name, "piece length": PART, pieces });
}

/** Keeps answers back for a while; the next one waits, too. */
export function after(milliseconds: number): Answer {
  return async (part, says) => {
    await pause(milliseconds);
    await says.give(part);
  };
}

/** Gives each part after a while, however many are asked for at the same time. */
export function late(milliseconds: number): Answer {
  return (part, says) => void pause(milliseconds).then(() => says.give(part));
}

/** Gives everything at once but some parts. */
export function allBut(...parts: number[]): Answer {
  return (part, says) => parts.includes(part) ? undefined : void says.give(part);
}
