/**
 * Torrents at work: the front door of the room.
 *
 * @module
 */

export { type Peer, ReadShare, type Transport } from "../peer/mod.ts";
export { MemoryBudget } from "./buffer_pool.ts";
export type { TorrentEvent } from "./events.ts";
export { Listening } from "./listening.ts";
export { Torrent } from "./torrent.ts";
