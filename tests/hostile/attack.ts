/**
 * The type of an attack, and what attacks use: rate limit, torrent data and connections.
 *
 * @module
 */

import { utf8 } from "../../src/base/bytes.ts";
import type { TorrentFacts } from "../support/torrents.ts";
import type { Line, Place } from "./line.ts";
import { dial } from "./line.ts";
import { BLOCK, everything, frame, handshake, ID } from "./words.ts";

/** The attacked Shoal: one that downloads, or one that seeds to a well-behaved leecher. */
export type Victim = "leecher" | "seeder";
/** `dials`: the attacker connects to Shoal. `listens`: Shoal connects to the attacker, as `--peer` tells it to. */
export type Role = "dials" | "listens";

/** A way in which a peer misbehaves. */
export interface Attack {
  /** Unique name, a few words for the table in `bench/HOSTILE.md`. */
  readonly name: string;
  /** Victims that the attack applies to. */
  readonly victims: readonly Victim[];
  /** Roles that the attack applies to, both by default. */
  readonly roles?: readonly Role[];
  /** Number of addresses that the attack comes from at the same time, 1 by default. */
  readonly hosts?: number;
  /** Number of simultaneous connections from each address, 1 by default. */
  readonly lines?: number;
  /**
   * Matches the message of a `peer` event, other than `connected`, that Shoal must report about the attacker. `null` if
   * the protocol allows the behaviour: its cost must be bounded, but the peer needn't be disconnected.
   */
  readonly named: RegExp | null;
  /** Reason why `named` is `null`. */
  readonly legal?: string;
  /** Milliseconds after which the attacker reconnects where reconnecting is on, 100 by default. */
  readonly again?: number;
  /** Milliseconds until Shoal reacts, for slow attacks. The suite runs slow attacks together. */
  readonly patience?: number;
  /** Attacks over one connection, until the connection is closed. */
  readonly run: (line: Line, stage: Stage) => Promise<void>;
}

/** Limits the rate of an attacker to that of a line with some speed. */
export class Pace {
  readonly #bytesPerMs: number;
  #free = 0;

  /** @param bytesPerSecond Rate of all connections together. */
  constructor(bytesPerSecond: number) {
    this.#bytesPerMs = bytesPerSecond / 1000;
  }

  /** Waits until a number of bytes may be sent. */
  async take(bytes: number): Promise<void> {
    const now = performance.now();
    this.#free = Math.max(this.#free, now) + bytes / this.#bytesPerMs;
    // Waits shorter than the resolution of a timer are accumulated.
    if (this.#free - now > 5) await pause(this.#free - now);
  }
}

/** Options for {@linkcode Stage}. */
export interface AttackStageOptions {
  /** Torrent that the victim downloads or seeds. */
  readonly torrent: TorrentFacts;
  /** The torrent's only file. */
  readonly data: Deno.FsFile;
  /** Rate limit of the attacker. */
  readonly pace: Pace;
  /** Address that the victim listens at. */
  readonly victim: Place;
}

/** Options for {@linkcode Stage.greet}. */
export interface GreetOptions {
  /** Claims support of the Fast extension (BEP 6). Default `true`. */
  readonly fast?: boolean;
  /** Claims support of the extension protocol (BEP 10). Default `true`. */
  readonly extended?: boolean;
  /** Peer id, 20 bytes. A fresh peer id by default. */
  readonly peerId?: Uint8Array;
  /** Pieces to announce after the handshake. Nothing is announced by default. */
  readonly have?: "all" | "none";
}

/** What an attack uses: the torrent, its data, the rate limit, and the victim. */
export class Stage {
  readonly torrent: TorrentFacts;
  /** Size of the torrent in bytes. */
  readonly size: number;
  readonly #data: Deno.FsFile;
  readonly #pace: Pace;
  readonly #victim: Place;

  constructor(options: AttackStageOptions) {
    this.torrent = options.torrent;
    this.#data = options.data;
    this.size = options.data.statSync().size;
    this.#pace = options.pace;
    this.#victim = options.victim;
  }

  /** Returns a fresh peer id. */
  peerId(): Uint8Array {
    return utf8(`-EV0001-${crypto.randomUUID().slice(0, 12)}`);
  }

  /** Waits until a number of bytes may be sent or received. */
  take(bytes: number): Promise<void> {
    return this.#pace.take(bytes);
  }

  /** Sends bytes at the attacker's rate. Returns `true` if the connection is still open afterwards. */
  async send(line: Line, bytes: Uint8Array): Promise<boolean> {
    await this.#pace.take(bytes.length);
    return await line.send(bytes);
  }

  /** Sends the same bytes repeatedly until the connection is closed, at most `perSecond` times a second. */
  async flood(line: Line, bytes: Uint8Array, perSecond = Infinity): Promise<void> {
    while (!line.closed) {
      if (!await this.send(line, bytes)) return;
      if (perSecond < Infinity) await pause(1000 / perSecond);
    }
  }

  /** Returns the correct bytes of a block. */
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

  /** Returns the size of a piece in bytes. */
  pieceSize(index: number): number {
    return Math.min(this.torrent.pieceLength, this.size - index * this.torrent.pieceLength);
  }

  /** Returns the block with a number, counted through all pieces but the last. Higher numbers start again at 0. */
  blockAt(number: number): [index: number, begin: number, length: number] {
    const index = number % Math.max(1, this.torrent.pieces - 1);
    const perPiece = this.torrent.pieceLength / BLOCK;
    return [index, Math.floor(number / Math.max(1, this.torrent.pieces - 1)) % perPiece * BLOCK, BLOCK];
  }

  /**
   * Sends a handshake, waits for Shoal's handshake, and announces pieces.
   *
   * @param options See {@linkcode GreetOptions}.
   * @returns `true` if the connection is open afterwards.
   */
  async greet(line: Line, options: GreetOptions = {}): Promise<boolean> {
    const { peerId = this.peerId(), ...rest } = options;
    const v2 = this.torrent.version !== "v1";
    await this.send(line, handshake(this.torrent.infoHash, { v2, ...rest, peerId }));
    if (await line.readExactly(68) === null) return false;
    if (options.have === "all") return await this.send(line, frame(ID.bitfield, everything(this.torrent.pieces)));
    if (options.have === "none" && options.fast !== false) return await this.send(line, frame(ID.haveNone));
    return true;
  }

  /** Opens a further connection from an address. */
  again(from: string): Promise<Line | null> {
    return dial(this.#victim, from);
  }
}

/** A message that Shoal sent. */
export interface Heard {
  readonly id: number;
  readonly view: DataView;
}

/** Yields messages until the connection is over. Skips keep-alives. */
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

/** Resolves after a number of milliseconds. */
export function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
