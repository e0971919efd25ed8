/**
 * Hundreds of peers that cost next to nothing, in a process of their own. They answer at once from memory and keep as
 * little state as possible. `many_peers.ts` starts this program with a {@linkcode Script} as its argument. It prints
 * the port that all peers listen on, each at a separate address, and runs until it is stopped.
 *
 * @module
 */

import { type Bytes, concatBytes, toHex, utf8 } from "../../src/base/bytes.ts";
import { FrameReader, type MessageHandler } from "../../src/wire/frame_reader.ts";
import { FrameWriter } from "../../src/wire/frame_writer.ts";
import { BLOCK_SIZE, MessageId } from "../../src/wire/messages.ts";
import { noise } from "../../tests/support/payload.ts";

/** What the peers do. Every piece of every torrent has the same bytes, so that one piece in memory is enough. */
export interface Script {
  /** Info-hash in hexadecimal and number of pieces of each torrent. */
  readonly torrents: readonly { readonly infoHash: string; readonly pieces: number }[];
  /** Bytes of a piece. */
  readonly pieceLength: number;
  /** Peers to run. */
  readonly peers: readonly Role[];
}

/** A scripted peer. */
export interface Role {
  /** Address that the peer listens on. */
  readonly host: string;
  /**
   * Behaviour of the peer.
   *
   * - `seeder`: has every piece and unchokes.
   * - `giver`: has half of the pieces, unchokes, and downloads.
   * - `taker`: like `giver`, but never unchokes.
   */
  readonly kind: "seeder" | "giver" | "taker";
}

/** Milliseconds between two turns of the leechers. */
const TURN_MS = 50;
/** In each turn, one leecher in this many gets a piece from elsewhere and announces it: two a second for each. */
const NEWS_EVERY = 10;
/** Blocks that a leecher requests at a time when it is unchoked. */
const ASK = 2;
/** Bytes of one write. */
const BATCH = 256 * 1024;
const HANDSHAKE_BYTES = 68;
const PROTOCOL = utf8("\x13BitTorrent protocol");

/**
 * Returns the bytes of every piece, which are the same for the same length.
 *
 * @param length Length in bytes.
 */
export function pieceOf(length: number): Bytes {
  return noise(length, 29);
}

/** One connection of a scripted peer. */
class ScriptedPeer implements MessageHandler {
  closed = false;
  readonly #connection: Deno.TcpConn;
  readonly #writer = new FrameWriter();
  readonly #piece: Bytes;
  readonly #pieces: number;
  readonly #role: Role;
  /** Requests in the order of arrival, three numbers each. Those before `#next` are answered. */
  #asked: number[] = [];
  #next = 0;
  #writing = false;
  #choked = true;
  #outstanding = 0;
  /** Pieces that the other end has announced. */
  readonly #theirs: number[] = [];
  /** Next piece to get from elsewhere. The pieces below the middle are there from the beginning. */
  #missing: number;

  constructor(
    connection: Deno.TcpConn,
    parts: { readonly piece: Bytes; readonly pieces: number; readonly role: Role },
  ) {
    this.#connection = connection;
    this.#piece = parts.piece;
    this.#pieces = parts.pieces;
    this.#role = parts.role;
    this.#missing = parts.pieces >> 1;
  }

  async run(handshake: Bytes): Promise<void> {
    const { kind } = this.#role;
    this.#writer.raw(handshake);
    if (kind === "seeder") this.#writer.signal(MessageId.haveAll);
    else {
      const bits = new Uint8Array(Math.ceil(this.#pieces / 8));
      for (let i = 0; i < this.#missing; i++) bits[i >> 3]! |= 128 >> (i & 7);
      this.#writer.bitfield(bits);
      this.#writer.signal(MessageId.interested);
    }
    if (kind !== "taker") this.#writer.signal(MessageId.unchoke);
    const reader = new FrameReader(this, { pieceCount: this.#pieces });
    this.#flush();
    for (;;) {
      const count = await this.#connection.read(reader.space);
      if (count === null) return;
      reader.received(count);
      this.#flush();
    }
  }

  /** Makes a leecher's turn: gets a piece from elsewhere, or requests blocks. */
  turn(lucky: boolean): void {
    if (this.#role.kind === "seeder") return;
    if (lucky && this.#missing < this.#pieces - 1) this.#writer.pieceSignal(MessageId.have, this.#missing++);
    if (!this.#choked && this.#theirs.length > 0 && this.#outstanding === 0) {
      const index = this.#theirs[Math.floor(Math.random() * this.#theirs.length)]!;
      for (let i = 0; i < ASK; i++) {
        const block = Math.floor(Math.random() * (this.#piece.length / BLOCK_SIZE));
        this.#writer.blockSignal(MessageId.request, index, block * BLOCK_SIZE, BLOCK_SIZE);
        this.#outstanding++;
      }
    }
    this.#flush();
  }

  onSignal(id: number): void {
    if (id === MessageId.choke || id === MessageId.unchoke) {
      this.#choked = id === MessageId.choke;
      this.#outstanding = 0;
    }
  }
  onPieceSignal(id: number, index: number): void {
    if (id === MessageId.have) this.#theirs.push(index);
  }
  onBlockSignal(id: number, index: number, begin: number, length: number): void {
    if (id === MessageId.request) this.#asked.push(index, begin, length);
    else if (id === MessageId.cancel) this.#cancel(index, begin);
    else if (this.#outstanding > 0) this.#outstanding--;
  }
  onBlock(): void {
    if (this.#outstanding > 0) this.#outstanding--;
  }
  onBitfield(): void {}
  onKeepAlive(): void {}
  onPort(): void {}
  onExtended(): void {}
  onUnknown(): void {}

  /** Rejects a cancelled request, as BEP 6 requires, unless its block is already being sent. */
  #cancel(index: number, begin: number): void {
    for (let i = this.#next; i < this.#asked.length; i += 3) {
      if (this.#asked[i] !== index || this.#asked[i + 1] !== begin) continue;
      const [, , length] = this.#asked.splice(i, 3);
      return this.#writer.blockSignal(MessageId.reject, index, begin, length!);
    }
  }

  #flush(): void {
    if (!this.#writing && !this.closed) this.#write().catch(() => this.close());
  }

  async #write(): Promise<void> {
    this.#writing = true;
    for (;;) {
      this.#answer();
      if (this.#writer.length === 0) break;
      const bytes = this.#writer.take();
      for (let at = 0; at < bytes.length;) at += await this.#connection.write(bytes.subarray(at));
    }
    this.#writing = false;
  }

  #answer(): void {
    const asked = this.#asked;
    while (this.#next < asked.length && this.#writer.length < BATCH) {
      const begin = asked[this.#next + 1]!;
      const length = asked[this.#next + 2]!;
      const at = this.#writer.reserveBlock(asked[this.#next]!, begin, length);
      this.#writer.buffer.set(this.#piece.subarray(begin, begin + length), at);
      this.#next += 3;
    }
    if (this.#next < asked.length) return;
    asked.length = 0;
    this.#next = 0;
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.#connection.close();
  }
}

/** Accepts connections for one peer. */
async function play(listener: Deno.TcpListener, role: Role, stage: Stage): Promise<void> {
  for await (const connection of listener) {
    meet(connection, role, stage).catch((error) => {
      // The downloading client closes its connections in any way when it is complete.
      if (!(error instanceof Error)) throw error;
    });
  }
}

interface Stage {
  readonly script: Script;
  readonly piece: Bytes;
  readonly connected: Set<ScriptedPeer>;
}

async function meet(connection: Deno.TcpConn, role: Role, { script, piece, connected }: Stage): Promise<void> {
  connection.setNoDelay(true);
  const theirs = new Uint8Array(HANDSHAKE_BYTES);
  for (let at = 0; at < theirs.length;) {
    const count = await connection.read(theirs.subarray(at));
    if (count === null) return connection.close();
    at += count;
  }
  const infoHash = theirs.slice(28, 48);
  const hex = toHex(infoHash);
  const torrent = script.torrents.find((one) => one.infoHash === hex);
  if (torrent === undefined) return connection.close();
  const peer = new ScriptedPeer(connection, { piece, pieces: torrent.pieces, role });
  connected.add(peer);
  const fast = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 4);
  const id = utf8(`-XX0000-${role.host.padStart(12, "x").slice(-12)}`);
  try {
    await peer.run(concatBytes([PROTOCOL, fast, infoHash, id]));
  } finally {
    connected.delete(peer);
    peer.close();
  }
}

if (import.meta.main) {
  const script: Script = JSON.parse(Deno.args[0]!);
  const stage: Stage = { script, piece: pieceOf(script.pieceLength), connected: new Set() };
  let port = 0;
  for (const role of script.peers) {
    const listener = Deno.listen({ hostname: role.host, port });
    ({ port } = listener.addr);
    void play(listener, role, stage);
  }
  let turns = 0;
  setInterval(() => {
    turns++;
    let number = turns;
    for (const peer of stage.connected) peer.turn(number++ % NEWS_EVERY === 0);
  }, TURN_MS);
  Deno.stdout.writeSync(utf8(`${port}\n`));
}
