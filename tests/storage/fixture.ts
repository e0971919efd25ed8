/**
 * A small torrent with data, and the surroundings of a {@linkcode Storage} of it.
 *
 * @module
 */

import { Bitfield } from "../../src/base/bitfield.ts";
import { type Bytes, toHex, utf8 } from "../../src/base/bytes.ts";
import { MemoryBudget } from "../../src/base/memory_budget.ts";
import { InfoHash } from "../../src/base/info_hash.ts";
import type { DigestVerifier } from "../../src/base/piece_verifier.ts";
import { V1Digests } from "../../src/metainfo/v1_verifier.ts";
import type { FileSystem } from "../../src/platform/platform.ts";
import { FileMap, type StorageFile, type StorageLayout } from "../../src/storage/layout.ts";
import { Storage, type StorageOptions } from "../../src/storage/storage.ts";
import { sha1, startDigest } from "../../src/platform/start_digest.ts";
import { noise } from "../support/payload.ts";
import { fc } from "../support/property.ts";
import { VirtualClock } from "../support/virtual_clock.ts";

/** A file in short: path with slashes, and length; or a link and its target. */
export interface FileSketch {
  readonly path: string;
  readonly length?: number;
  readonly pad?: boolean;
  readonly link?: string;
}

/** Files of all sizes, some empty, some padding. */
export const sketches = fc.array(
  fc.record({ length: fc.oneof(fc.nat(20), fc.nat(300), fc.constantFrom(0, 64, 128)), pad: fc.nat(9) }),
  { minLength: 1, maxLength: 12 },
).map((drawn): FileSketch[] =>
  drawn.map(({ length, pad }, i) =>
    pad === 0 ? { path: `t/.pad/${i}`, length, pad: true } : { path: `t/${i % 3}/${i}`, length }
  )
).filter((files) => files.some(({ length, pad }) => length! > 0 && !pad));

/** Returns a layout of sketched files. */
export function layoutOf(pieceLength: number, sketches: readonly FileSketch[]): StorageLayout {
  let offset = 0;
  const files = sketches.map(({ path, length = 0, pad = false, link }): StorageFile => {
    const file = {
      path: path.split("/"),
      length,
      offset,
      pad,
      symlink: link?.split("/") ?? null,
      executable: false,
    };
    offset += length;
    return file;
  });
  return { pieceLength, pieceCount: Math.ceil(offset / pieceLength), totalLength: offset, files };
}

export { sha1 };

/** Returns what the digests of a torrent's pieces are compared with. */
export function verifierOf(torrent: Pick<Torrent, "hashes">): DigestVerifier {
  return new V1Digests({ pieceHash: (index) => torrent.hashes[index]! });
}

/** A torrent with data. */
export class Torrent {
  readonly layout: StorageLayout;
  readonly map: FileMap;
  /** All bytes of the torrent; padding is zeros. */
  readonly data: Bytes;
  readonly hashes: readonly Bytes[];
  readonly infoHash: InfoHash;

  constructor(pieceLength: number, sketches: readonly FileSketch[], seed = 1) {
    this.layout = layoutOf(pieceLength, sketches);
    this.map = new FileMap(this.layout);
    this.data = noise(this.layout.totalLength, seed);
    for (const file of this.layout.files) {
      if (file.pad) this.data.fill(0, file.offset, file.offset + file.length);
    }
    this.hashes = Array.from({ length: this.layout.pieceCount }, (_, index) => sha1(this.piece(index)));
    this.infoHash = new InfoHash(sha1(this.data));
  }

  /** Returns a copy of a piece. */
  piece(index: number): Bytes {
    const offset = index * this.layout.pieceLength;
    return this.data.slice(offset, offset + this.map.pieceSize(index));
  }

  /** Returns a copy of the contents of the file at `path`. */
  file(path: string): Bytes {
    const file = this.layout.files.find((file) => file.path.join("/") === path)!;
    return this.data.slice(file.offset, file.offset + file.length);
  }

  /** Returns every path that is on disk after the download, below `folder`, sorted. */
  finalPaths(folder: string): string[] {
    return this.layout.files.filter((file) => !file.pad).map((file) => `${folder}/${file.path.join("/")}`).sort();
  }
}

/**
 * With pieces of 64 bytes, `a` has pieces 0 to 2, `b` piece 2, `c` pieces 2 to 4, `d` pieces 4 to 6, `e` pieces 6 and
 * 7.
 */
export const FILES_IN_SHARED_PIECES: readonly FileSketch[] = [
  { path: "t/a", length: 150 },
  { path: "t/sub/b", length: 20 },
  { path: "t/c", length: 130 },
  { path: "t/sub/empty", length: 0 },
  { path: "t/sub/d", length: 120 },
  { path: "t/e", length: 60 },
];

/** With pieces of 64 bytes, `d` lies within piece 4, whose other bytes belong to `c` and `e`. */
export const FILES_WITHIN_A_PIECE: readonly FileSketch[] = [
  { path: "t/a", length: 150 },
  { path: "t/sub/b", length: 20 },
  { path: "t/c", length: 130 },
  { path: "t/sub/empty", length: 0 },
  { path: "t/d", length: 10 },
  { path: "t/sub/e", length: 120 },
  { path: "t/f", length: 60 },
];

/** Returns a storage of `torrent` in `/dl`, with resume state in `/state`. */
export function storageOf(
  torrent: Torrent,
  files: FileSystem,
  options: Partial<StorageOptions> & { readonly clock?: VirtualClock } = {},
): Storage {
  const { clock = new VirtualClock(), ...rest } = options;
  return new Storage(torrent.layout, {
    platform: {
      now: () => clock.now(),
      wallClock: () => clock.wallClock(),
      after: (milliseconds, run) => clock.after(milliseconds, run),
      files,
      sha1: (data) => Promise.resolve(sha1(data)),
      digest: startDigest,
    },
    folder: "/dl",
    verifier: verifierOf(torrent),
    infoHash: torrent.infoHash,
    stateFolder: "/state",
    memory: new MemoryBudget(4 * 1024 * 1024),
    ...rest,
  });
}

/** Returns the path of the resume state of `torrent` in `folder`. */
export function statePath(torrent: Torrent, folder = "/dl"): string {
  return `/state/${torrent.infoHash.hex}-${toHex(sha1(utf8(folder))).slice(0, 8)}.resume`;
}

/** Options for {@linkcode Storage.open} that ignore progress. */
export const QUIET = { onProgress(): void {} };

/** Writes the pieces that `have` lacks, in the order of `pieces`. */
export async function writeMissing(torrent: Torrent, storage: Storage, have: Bitfield): Promise<void> {
  const work: Promise<void>[] = [];
  for (let piece = 0; piece < torrent.layout.pieceCount; piece++) {
    if (!have.has(piece)) work.push(storage.writePiece(piece, torrent.piece(piece)));
  }
  const results = await Promise.allSettled(work);
  for (const result of results) if (result.status === "rejected") throw result.reason;
}

/** Reads a whole piece through the read cache. */
export async function readPiece(torrent: Torrent, storage: Storage, index: number): Promise<Bytes> {
  const into = new Uint8Array(torrent.map.pieceSize(index));
  while (!storage.readCached(index, 0, into.length, into, 0)) await storage.load(index, 0, into.length);
  return into;
}
