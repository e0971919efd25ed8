/**
 * The name of the protocol that everything here is about.
 *
 * @module
 */

import { utf8 } from "./bytes.ts";

/** What every connection between peers begins with, unless it is encrypted (BEP 3, "peer protocol"). */
export const PROTOCOL = utf8("\x13BitTorrent protocol");
