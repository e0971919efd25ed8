/**
 * A well-behaved seeder that is slow until a test lets it speed up, so that a download lasts as long as the test needs.
 *
 * @module
 */

import { utf8 } from "../../src/base/bytes.ts";
import { readTorrent, type TorrentFacts } from "../support/torrents.ts";
import { messages, pause } from "./attack.ts";
import { type Line, listen } from "./line.ts";
import { block, everything, frame, handshake, ID } from "./words.ts";

/** Milliseconds before each block while the seeder is slow. */
const BLOCK_MS = 20;

/** A seeder that waits before each block. */
export class SlowSeeder implements Disposable {
  /** Address as `host:port`. */
  readonly address: string;
  readonly #torrent: TorrentFacts;
  readonly #data: Deno.FsFile;
  readonly #lines = new Set<Line>();
  #close = () => {};
  #hurry = false;

  private constructor(parts: { torrent: TorrentFacts; data: Deno.FsFile; address: string }) {
    this.#torrent = parts.torrent;
    this.#data = parts.data;
    this.address = parts.address;
  }

  /**
   * Starts a seeder.
   *
   * @param torrent Path of a single-file torrent.
   * @param data Path of the file.
   */
  static async start(torrent: string, data: string): Promise<SlowSeeder> {
    const lines: Line[] = [];
    let take = (line: Line) => void lines.push(line);
    const { port, server } = await listen("127.0.0.1", (line) => take(line));
    const seeder = new SlowSeeder({
      torrent: await readTorrent(torrent),
      data: await Deno.open(data),
      address: `127.0.0.1:${port}`,
    });
    take = (line) => void seeder.#serve(line);
    lines.forEach(take);
    seeder.#close = () => server.close();
    return seeder;
  }

  /** Serves at full speed from now on. */
  hurry(): void {
    this.#hurry = true;
  }

  /** Closes the listener, all connections and the file. */
  [Symbol.dispose](): void {
    this.#close();
    for (const line of this.#lines) line.close();
    this.#data.close();
  }

  async #serve(line: Line): Promise<void> {
    this.#lines.add(line);
    const opening = handshake(this.#torrent.infoHash, { peerId: utf8("-HO0001-honestandslow"), fast: false });
    await line.send(opening.subarray(0, 68));
    if (await line.readExactly(68) === null) return;
    await line.send(frame(ID.bitfield, everything(this.#torrent.pieces)));
    await line.send(frame(ID.unchoke));
    for await (const { id, view } of messages(line)) {
      if (id !== ID.request) continue;
      if (!this.#hurry) await pause(BLOCK_MS);
      if (line.closed) return;
      const [index, begin] = [view.getUint32(1), view.getUint32(5)];
      await line.send(block(index, begin, this.#read(index * this.#torrent.pieceLength + begin, view.getUint32(9))));
    }
  }

  #read(at: number, length: number): Uint8Array {
    const bytes = new Uint8Array(length);
    this.#data.seekSync(at, Deno.SeekMode.Start);
    for (let done = 0; done < length;) done += this.#data.readSync(bytes.subarray(done)) ?? length;
    return bytes;
  }
}
