/**
 * The saved routing tables: a bencoded dictionary with `version` 1, our node ids as `id4` and `id6`, and compact node
 * info as `nodes` and `nodes6`.
 *
 * @module
 */

import { type AddressFamily, familyOf } from "../base/address.ts";
import type { Bytes } from "../base/bytes.ts";
import { MAX_DHT_SAVED_NODES } from "../base/defences.ts";
import { type BencodeDict, BencodeError, decodeDict, encode } from "../bencode/mod.ts";
import { encodeNodes, type NodeContact, parseNodes } from "./compact.ts";
import { SavedTableError } from "./errors.ts";
import { factsOf } from "./hosts.ts";
import { ID_LENGTH } from "./node_id.ts";

const VERSION = 1;
/** Maximum length of a saved table in bytes: the nodes of both families, and some room for everything else. */
export const MAX_SAVED_TABLE = MAX_DHT_SAVED_NODES * (26 + 38) + 512;

/** Saved state of one address family. */
export interface SavedFamily {
  /** Our node id, or `null` if the family was never used. */
  readonly id: Bytes | null;
  /** Nodes of the routing table. */
  readonly nodes: readonly NodeContact[];
}

/** Saved state by address family. */
export type SavedTable = Readonly<Record<AddressFamily, SavedFamily>>;

/**
 * Encodes the saved state.
 *
 * @param table The state. Only the first 400 nodes per family are encoded.
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
 * Decodes the saved state.
 *
 * @throws {SavedTableError} If the file is not a saved table of a known version.
 */
export function decodeSavedTable(bytes: Uint8Array): SavedTable {
  const saved = dictOf(bytes);
  const version = saved.getInt("version");
  if (version !== VERSION) throw new SavedTableError(`version ${version ?? "none"} is not known`);
  return { 4: familyIn(saved, 4), 6: familyIn(saved, 6) };
}

function familyIn(saved: BencodeDict, family: AddressFamily): SavedFamily {
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
