/**
 * The protocol identifier of the peer handshake.
 *
 * @module
 */

import { utf8 } from "./bytes.ts";

/** First bytes of every unencrypted connection between peers (BEP 3, "peer protocol"). */
export const PROTOCOL = utf8("\x13BitTorrent protocol");
