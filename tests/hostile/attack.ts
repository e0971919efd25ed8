/**
 * What every attack has at hand.
 *
 * @module
 */

import { utf8 } from "../../src/base/bytes.ts";
import type { TorrentFacts } from "../support/torrents.ts";
import type { Line, Place } from "./line.ts";
import { dial } from "./line.ts";
import { BLOCK, everything, frame, handshake, ID } from "./words.ts";

/** Which Shoal is attacked: one that downloads, or one that seeds to an honest leecher. */
export type Victim = "leecher" | "seeder";
/** Who makes the connection: the attacker, or Shoal because somebody named the attacker. */
export type Role = "dials" | "listens";

/** A way to be a nuisance. */
export interface Attack {
  /** In a few words, for the table; unique. */
  readonly name: string;
  /** Where it makes sense. */
  readonly victims: readonly Victim[];
  /** Both when absent. */
  readonly roles?: readonly Role[];
  /** Addresses that it comes from, at the same time; 1 when absent. */
  readonly hosts?: number;
  /** Connections at the same time from each address; 1 when absent. */
  readonly lines?: number;
  /**
   * What Shoal says of the attacker: part of the message of a `peer` event that isn't `connected`. `null` when the protocol
   * allows what it does, so that it must be bounded but needn't be dropped; `legal` says why.
   */
  readonly named: RegExp | null;
  readonly legal?: string;
  /** Milliseconds after which it comes back when it is sent away, where it does; 100 when absent. */
  readonly again?: number;
  /** Milliseconds of waiting that the reaction takes; the suite runs such attacks together. */
  readonly patience?: number;
  /** Goes at it with one connection, until that is closed. */
  readonly run: (line: Line, stage: Stage) => Promise<void>;
}

/** Bytes and messages a second that an attacker may send, like somebody behind a line of that speed. */
export class Pace {
  readonly #bytesPerMs: number;
  #free = 0;

  /**
   * @param bytesPerSecond Of all connections together.
   */
  constructor(bytesPerSecond: number) {
    this.#bytesPerMs = bytesPerSecond / 1000;
  }

  /** Waits until so many bytes may go out. */
  async take(bytes: number): Promise<void> {
    const now = performance.now();
    this.#free = Math.max(this.#free, now) + bytes / this.#bytesPerMs;
    // Waits shorter than a timer's tick are put together.
    if (this.#free - now > 5) await pause(this.#free - now);
  }
}

/** The surroundings of an attack. */
export class Stage {
  readonly torrent: TorrentFacts;
  /** Bytes of the torrent. */
  readonly size: number;
  readonly #data: Deno.FsFile;
  readonly #pace: Pace;
  readonly #victim: Place;

  /**
   * @param options `torrent`: what it is about. `data`: its only file. `pace`: speed limit. `victim`: where Shoal listens.
   */
  constructor(
    options: {
      readonly torrent: TorrentFacts;
      readonly data: Deno.FsFile;
      readonly pace: Pace;
      readonly victim: Place;
    },
  ) {
    this.torrent = options.torrent;
    this.#data = options.data;
    this.size = options.data.statSync().size;
    this.#pace = options.pace;
    this.#victim = options.victim;
  }

  /** A fresh peer id. */
  peerId(): Uint8Array {
    return utf8(`-EV0001-${crypto.randomUUID().slice(0, 12)}`);
  }

  /** Waits until so many bytes more may be taken. */
  take(bytes: number): Promise<void> {
    return this.#pace.take(bytes);
  }

  /** Sends at the pace that the attacker's line allows. */
  async send(line: Line, bytes: Uint8Array): Promise<boolean> {
    await this.#pace.take(bytes.length);
    return await line.send(bytes);
  }

  /** Sends the same again and again until the connection is closed; `perSecond`: no faster than this. */
  async flood(line: Line, bytes: Uint8Array, perSecond = Infinity): Promise<void> {
    while (!line.closed) {
      if (!await this.send(line, bytes)) return;
      if (perSecond < Infinity) await pause(1000 / perSecond);
    }
  }

  /** The right bytes of a block. */
  right(index: number, begin: number, length: number): Uint8Array {
    const out = new Uint8Array(length);
    this.#data.seekSync(index * this.torrent.pieceLength + begin, Deno.SeekMode.Start);
    for (let at = 0; at < length;) {
      const count = this.#data.readSync(out.subarray(at));
      if (count === null) break;
      at += count;
    }
    return out;
  }

  /** Bytes of a piece. */
  pieceSize(index: number): number {
    return Math.min(this.torrent.pieceLength, this.size - index * this.torrent.pieceLength);
  }

  /** A block of the torrent, the same for the same number; the last block of a piece is left out when it is short. */
  blockAt(number: number): [index: number, begin: number, length: number] {
    const index = number % Math.max(1, this.torrent.pieces - 1);
    const perPiece = this.torrent.pieceLength / BLOCK;
    return [index, Math.floor(number / Math.max(1, this.torrent.pieces - 1)) % perPiece * BLOCK, BLOCK];
  }

  /**
   * Says the opening and waits for Shoal's.
   *
   * @param options As for {@linkcode handshake}; `have`: what to claim afterwards.
   * @returns Whether the connection stands.
   */
  async greet(
    line: Line,
    options: {
      readonly fast?: boolean;
      readonly extended?: boolean;
      readonly peerId?: Uint8Array;
      readonly have?: "all" | "none";
    } = {},
  ): Promise<boolean> {
    const { peerId = this.peerId(), ...rest } = options;
    await this.send(line, handshake(this.torrent.infoHash, { ...rest, peerId }));
    if (await line.readExactly(68) === null) return false;
    if (options.have === "all") return await this.send(line, frame(ID.bitfield, everything(this.torrent.pieces)));
    if (options.have === "none" && options.fast !== false) return await this.send(line, frame(ID.haveNone));
    return true;
  }

  /** Connects once more from the same address, which an attack that wants to learn something needs. */
  again(from: string): Promise<Line | null> {
    return dial(this.#victim, from);
  }
}

/** A message that Shoal sent. */
export interface Heard {
  readonly id: number;
  readonly view: DataView;
}

/** Reads messages until the connection is over; keep-alives are left out. */
export async function* messages(line: Line): AsyncGenerator<Heard, void, void> {
  for (;;) {
    const prefix = await line.readExactly(4);
    if (prefix === null) return;
    const length = new DataView(prefix.buffer).getUint32(0);
    if (length === 0) continue;
    const body = await line.readExactly(length);
    if (body === null) return;
    yield { id: body[0]!, view: new DataView(body.buffer, body.byteOffset, body.byteLength) };
  }
}

/** Waits. */
export function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
