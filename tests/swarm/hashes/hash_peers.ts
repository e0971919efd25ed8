/**
 * Peers that answer requests for hashes by a script, on a virtual clock.
 *
 * @module
 */

import { type Bytes, concatBytes, toHex } from "../../../src/base/bytes.ts";
import { merkle, MERKLE_BLOCK, rootLayer } from "../../../src/base/merkle.ts";
import { Bitfield } from "../../../src/base/bitfield.ts";
import { keyOfHashRequest } from "../../../src/peer/mod.ts";
import { HashFetch } from "../../../src/swarm/hashes/hash_fetch.ts";
import type { PiecePeer } from "../../../src/swarm/hashes/block_hash_fetch.ts";
import { encodeHashes, type HashRequest, parseHashes } from "../../../src/wire/hash_messages.ts";
import { VirtualClock } from "../../support/virtual_clock.ts";

/** What a peer does with a request: answers after some milliseconds, rejects it, sends wrong hashes, or is silent. */
export type Reaction = number | "reject" | "lie" | "silence";

/** A file and the hashes of its blocks. */
export interface HashedFile {
  readonly length: number;
  readonly blocks: Bytes;
  readonly root: Bytes;
}

/** Makes a file of random hashes, as if its blocks had them. */
export function fileOf(length: number, hashes: Bytes): HashedFile {
  const blocks = hashes.subarray(0, Math.ceil(length / MERKLE_BLOCK) * 32);
  return { length, blocks, root: merkle.root(blocks, { from: 0, to: rootLayer(length) }) };
}

/** A peer. */
export class FakePeer implements PiecePeer {
  v2 = true;
  onParole = false;
  proven = false;
  readonly pieces = new Bitfield(4096);
  readonly address: { readonly host: string };
  readonly asked: HashRequest[] = [];
  react: (request: HashRequest) => Reaction;
  readonly #open = new Set<string>();
  readonly hashRequests;
  readonly output = { flush: () => void this.flushes++ };
  flushes = 0;

  constructor(readonly lab: HashLab, host: string, react: (request: HashRequest) => Reaction) {
    this.address = { host };
    this.react = react;
    this.pieces.setAll();
    const open = this.#open;
    this.hashRequests = {
      get size() {
        return open.size;
      },
      has: (request: HashRequest) => open.has(keyOfHashRequest(request)),
      ask: (request: HashRequest) => this.#hear(request),
    };
  }

  #hear(request: HashRequest): void {
    if (this.hashRequests.has(request)) throw new Error("It is asked twice for the same");
    this.asked.push(request);
    this.#open.add(keyOfHashRequest(request));
    const reaction = this.react(request);
    if (reaction === "silence") return;
    const since = this.lab.clock.now();
    this.lab.clock.after(typeof reaction === "number" ? reaction : 10, () => {
      if (!this.lab.connected.has(this)) return;
      this.#open.delete(keyOfHashRequest(request));
      if (reaction === "reject") return this.lab.fetch.rejected(this, request);
      const hashes = parseHashes(encodeHashes(request, this.lab.prove(request)));
      if (reaction === "lie") hashes.hashes[3]! ^= 1;
      this.lab.fetch.received(this, hashes, this.lab.clock.now() - since);
    });
  }
}

/** Peers, files and the fetch under test. */
export class HashLab {
  readonly clock = new VirtualClock();
  readonly banned: string[] = [];
  readonly connected = new Set<FakePeer>();
  readonly files = new Map<string, HashedFile>();
  readonly fetch = new HashFetch<FakePeer>({
    now: () => this.clock.now(),
    ban: (host, reason) => {
      this.banned.push(`${host} ${reason}`);
      for (const peer of [...this.connected]) if (peer.address.host === host) this.leave(peer);
    },
  });

  add(...files: HashedFile[]): void {
    for (const file of files) this.files.set(toHex(file.root), file);
  }

  join(host: string, react: Reaction | ((request: HashRequest) => Reaction) = 50): FakePeer {
    const peer = new FakePeer(this, host, typeof react === "function" ? react : () => react);
    this.connected.add(peer);
    this.fetch.joined(peer);
    return peer;
  }

  leave(peer: FakePeer): void {
    this.connected.delete(peer);
    this.fetch.left(peer);
  }

  prove(request: HashRequest): Bytes {
    const { blocks } = this.files.get(toHex(request.root))!;
    return merkle.prove(merkle.above(blocks, { from: 0, to: request.layer }), request);
  }

  /** Lets time pass, with regular work four times a second. */
  async pass(milliseconds: number): Promise<void> {
    for (let at = 0; at < milliseconds; at += 250) {
      this.clock.advance(250);
      await Promise.resolve();
      this.fetch.tick(this.clock.now());
    }
  }
}

/** Returns the layer of a file. */
export function layerOf({ blocks }: HashedFile, layer: number): Bytes {
  return merkle.above(blocks, { from: 0, to: layer });
}

/** Returns hashes that differ from each other, without computing any. */
export function someHashes(count: number, seed = 0): Bytes {
  const parts: Bytes[] = [];
  for (let i = 0; i < count; i++) {
    const hash = new Uint8Array(32).fill(1);
    new DataView(hash.buffer).setUint32(0, i + 1);
    new DataView(hash.buffer).setUint32(4, seed);
    parts.push(hash);
  }
  return concatBytes(parts);
}
