/**
 * A map with a limit, for data that peers and servers make us remember.
 *
 * @module
 */

import { LRU } from "npm:tiny-lru@13.1.0";

/**
 * A map that never holds more entries than its limit: a new entry replaces the one that was set least recently. Reading
 * an entry does not count. Every operation takes constant time, unlike `map.delete(map.keys().next().value)`, which
 * walks over all entries that were removed before: 23 microseconds with 65,536 entries.
 */
export interface LruMap<K extends string | number, V> {
  /** Number of entries. */
  readonly size: number;
  /** Returns `true` if there is an entry for the key. */
  has(key: K): boolean;
  /** Returns the value for the key, or `undefined`. */
  peek(key: K): V | undefined;
  /** Sets the value for the key, whose entry becomes the last one to be replaced. */
  set(key: K, value: V): void;
  /** Removes the entry for the key, if there is one. */
  delete(key: K): void;
  /** Returns the keys, the one that was set least recently first. */
  keys(): K[];
  /** Returns the values, in the order of the keys. */
  values(): V[];
}

/** Makes a {@linkcode LruMap} with a limit of at least one entry. */
export const LruMap = LRU as new <K extends string | number, V>(limit: number) => LruMap<K, V>;
