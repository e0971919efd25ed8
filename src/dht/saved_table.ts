/**
 * What is kept of the DHT between two runs: a bencoded dictionary with `version` 1, our ids as `id4` and `id6`, and nodes in
 * their compact form as `nodes` and `nodes6`.
 *
 * @module
 */

import type { Bytes } from "../base/bytes.ts";
import { MAX_DHT_SAVED_NODES } from "../base/defences.ts";
import { type BencodeDict, BencodeError, decodeDict, encode } from "../bencode/mod.ts";
import { encodeNodes, type NodeContact, parseNodes } from "./compact.ts";
import { SavedTableError } from "./errors.ts";
import { factsOf, type Family, familyOf } from "./hosts.ts";
import { ID_LENGTH } from "./node_id.ts";

const VERSION = 1;
/** Bytes of the longest table: nodes of both families, and a little around them. */
export const MAX_SAVED_TABLE = MAX_DHT_SAVED_NODES * (26 + 38) + 512;

/** What is kept of one family. */
export interface SavedFamily {
  /** Our id, or `null` when it was never there. */
  readonly id: Bytes | null;
  /** Nodes that we knew. */
  readonly nodes: readonly NodeContact[];
}

/** What is kept, by family. */
export type SavedTable = Readonly<Record<Family, SavedFamily>>;

/**
 * @param table What is to be kept; nodes past 400 of a family are left out.
 * @returns The file's bytes.
 */
export function encodeSavedTable(table: SavedTable): Bytes {
  return encode({
    version: VERSION,
    id4: table[4].id ?? undefined,
    id6: table[6].id ?? undefined,
    nodes: encodeNodes(table[4].nodes.slice(0, MAX_DHT_SAVED_NODES)),
    nodes6: encodeNodes(table[6].nodes.slice(0, MAX_DHT_SAVED_NODES)),
  });
}

/**
 * @param bytes The file's bytes.
 * @returns What was kept.
 * @throws {SavedTableError} If it is none.
 */
export function decodeSavedTable(bytes: Uint8Array): SavedTable {
  const saved = dictOf(bytes);
  const version = saved.getInt("version");
  if (version !== VERSION) throw new SavedTableError(`version ${version ?? "none"} is not known`);
  return { 4: familyIn(saved, 4), 6: familyIn(saved, 6) };
}

function familyIn(saved: BencodeDict, family: Family): SavedFamily {
  const id = saved.getBytes(family === 4 ? "id4" : "id6");
  const nodes = saved.getBytes(family === 4 ? "nodes" : "nodes6");
  if (id && id.length !== ID_LENGTH) throw new SavedTableError(`an id has 20 bytes, got ${id.length}`);
  const size = family === 4 ? 26 : 38;
  if (!nodes || nodes.length % size !== 0) throw new SavedTableError(`nodes have ${size} bytes each`);
  return {
    id: id ? id.slice() : null,
    nodes: parseNodes(nodes, { family, limit: MAX_DHT_SAVED_NODES }).filter(({ address: { host } }) =>
      familyOf(host) === family && factsOf(host)?.kind !== "unusable"
    ),
  };
}

function dictOf(bytes: Uint8Array): BencodeDict {
  try {
    return decodeDict(bytes, { maxDepth: 2, maxSize: MAX_SAVED_TABLE });
  } catch (error) {
    if (!(error instanceof BencodeError)) throw error;
    throw new SavedTableError(error.why, { cause: error });
  }
}
