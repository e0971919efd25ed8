/**
 * Peer connections: handshakes, state, request pipeline, rate limits. Also re-exports the parts of the wire protocol
 * that the swarm uses.
 *
 * @module
 */

export type { PeerStream, Transport } from "../transport/transport.ts";
export { encodeHandshake, type Handshake } from "../wire/handshake.ts";
export { BLOCK_SIZE } from "../wire/messages.ts";
export { parseDontHave } from "../wire/dont_have.ts";
export { encodeHashes, faultOfRequest, type Hashes, type HashRequest, proofLayersTo } from "../wire/hash_messages.ts";
export * from "../wire/metadata.ts";
export * from "../wire/pex.ts";
export type { Extension } from "./extension_protocol.ts";
export { keyOfHashRequest } from "./hash_requests.ts";
export { handshakeIn, handshakeOut } from "./exchange_handshakes.ts";
export { Peer, type PeerHost } from "./peer.ts";
export type { PeerEvent } from "./peer_event.ts";
export { PeerLink } from "./peer_link.ts";
export { checkedRate, type Limited, type RateLimits, ratesOf, setRates } from "./rate_limit_settings.ts";
export { ReadTurns } from "./read_turns.ts";
export type { ReceivedBlock } from "./requests.ts";
export { type Allowance, BandwidthLimiter, type BandwidthParties, type BandwidthParty } from "./bandwidth_limiter.ts";
export type { Block } from "./uploads.ts";
