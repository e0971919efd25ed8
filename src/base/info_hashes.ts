/**
 * The info-hashes of one torrent.
 *
 * @module
 */

import { equalBytes } from "./bytes.ts";
import type { InfoHash, InfoHashV2 } from "./info_hash.ts";

/**
 * The info-hashes of one torrent: v1, v2, or both if it is a hybrid (BEP 52). A magnet link may know only one of two.
 */
export class InfoHashes {
  /** SHA-1 info-hash; `null` if the torrent has none, or it isn't known. */
  readonly v1: InfoHash | null;
  /** SHA-256 info-hash; `null` if the torrent has none, or it isn't known. */
  readonly v2: InfoHashV2 | null;
  /**
   * The 20 bytes by which peers, trackers and the DHT know the torrent: the v1 info-hash, and the truncated v2 info-hash.
   * At least one.
   */
  readonly onWire: readonly InfoHash[];

  /**
   * Puts info-hashes together.
   *
   * @param v1 SHA-1 info-hash, or `null`.
   * @param v2 SHA-256 info-hash, or `null`.
   * @throws {RangeError} If there is neither.
   */
  constructor(v1: InfoHash | null, v2: InfoHashV2 | null) {
    if (v1 === null && v2 === null) throw new RangeError("A torrent has an info-hash");
    this.v1 = v1;
    this.v2 = v2;
    this.onWire = [...(v1 === null ? [] : [v1]), ...(v2 === null ? [] : [v2.truncated])];
  }

  /** Returns `true` if peers know the torrent by an info-hash of 20 bytes. */
  has(infoHash: InfoHash): boolean {
    return this.onWire.some((own) => own.equals(infoHash));
  }

  /** Returns `true` if every known info-hash is also one of another torrent's. */
  isPartOf({ v1, v2 }: InfoHashes): boolean {
    return (this.v1 === null || this.v1.hex === v1?.hex) && (this.v2 === null || this.v2.hex === v2?.hex);
  }

  /** Returns `true` if both can be of one torrent: no info-hash that both know differs. */
  agreesWith({ v1, v2 }: InfoHashes): boolean {
    return (this.v1 === null || v1 === null || this.v1.equals(v1)) &&
      (this.v2 === null || v2 === null || this.v2.equals(v2));
  }

  /**
   * Returns `true` if bytes are the info dictionary of the torrent: every known info-hash must agree.
   *
   * @param digestOf Computes a digest of the bytes.
   */
  matches(digestOf: (algorithm: "sha1" | "sha256") => Uint8Array): boolean {
    return (this.v1 === null || equalBytes(digestOf("sha1"), this.v1.bytes)) &&
      (this.v2 === null || equalBytes(digestOf("sha256"), this.v2.bytes));
  }
}

/** Values of torrents by each of their info-hashes. */
export class InfoHashMap<T> {
  readonly #values = new Map<string, T>();
  /** Info-hashes of each value, in the order in which the values were added. */
  readonly #keys = new Map<T, readonly InfoHash[]>();

  /** Number of values. */
  get size(): number {
    return this.#keys.size;
  }

  /** Returns the value of a torrent by any info-hash on the wire; `undefined` if there is none. */
  get(infoHash: InfoHash): T | undefined {
    return this.#values.get(infoHash.hex);
  }

  /** Returns the values that have an info-hash in common with a torrent, which may be two. */
  all({ onWire }: InfoHashes): Set<T> {
    const found = onWire.map(({ hex }) => this.#values.get(hex));
    return new Set(found.filter((value) => value !== undefined));
  }

  /** Returns the first value that has an info-hash in common with a torrent; `undefined` if there is none. */
  find(infoHashes: InfoHashes): T | undefined {
    const [first] = this.all(infoHashes);
    return first;
  }

  /**
   * Adds a value, or adds info-hashes to a value. Info-hashes that another value has stay with that one.
   *
   * @param infoHashes Info-hashes of the torrent.
   * @param value A value that belongs to no other torrent.
   * @returns The info-hashes that are new in the map.
   */
  set({ onWire }: InfoHashes, value: T): InfoHash[] {
    const added = onWire.filter(({ hex }) => !this.#values.has(hex));
    for (const { hex } of added) this.#values.set(hex, value);
    this.#keys.set(value, [...this.#keys.get(value) ?? [], ...added]);
    return added;
  }

  /** Gives an info-hash to a value that has others already, if it is in the map. */
  move(infoHash: InfoHash, value: T): void {
    const owner = this.#values.get(infoHash.hex);
    if (owner === undefined || owner === value) return;
    this.#values.set(infoHash.hex, value);
    this.#keys.set(owner, this.#keys.get(owner)!.filter((key) => !key.equals(infoHash)));
    this.#keys.set(value, [...this.#keys.get(value) ?? [], infoHash]);
  }

  /**
   * Removes a value.
   *
   * @returns The info-hashes that it had.
   */
  delete(value: T): readonly InfoHash[] {
    const keys = this.#keys.get(value) ?? [];
    for (const { hex } of keys) this.#values.delete(hex);
    this.#keys.delete(value);
    return keys;
  }

  /** Returns all values, each once, in the order in which they were added. */
  values(): IterableIterator<T> {
    return this.#keys.keys();
  }
}
