/**
 * The mainline DHT, which finds peers without trackers (BEP 5, 32, 33, 42, 43, 51).
 *
 * @example
 * ```ts
 * const dht = new Dht({ platform, families: [4], bootstrap, send: (bytes, to) => void socket.send(bytes, to) });
 * dht.start(); // and dht.receive(bytes, from) for every datagram that looksLikeKrpc()
 * await dht.lookup(infoHash, { onPeers: (peers) => console.log(peers) });
 * ```
 *
 * @module
 */

export { Dht, type DhtOptions, type DhtPlatform, type LookupOptions } from "./dht.ts";
export { looksLikeKrpc } from "./krpc_messages.ts";
export { LookupPace } from "./lookup_pace.ts";
export type { Announce, LookupReport } from "./lookup_run.ts";
export { MAX_SAVED_TABLE } from "./saved_table.ts";
export { type DhtStatus, TorrentAnnouncer, type TorrentAnnouncerOptions } from "./torrent_announcer.ts";
