/**
 * The most expensive inputs of each decoder for their length.
 *
 * @module
 */

import { WORST_BENCODE } from "./bencode.ts";
import { WORST_MESSAGES } from "./messages.ts";
import type { WorstShape } from "./shape.ts";
import { WORST_TORRENTS } from "./torrents.ts";

export type { WorstShape } from "./shape.ts";

/** Every shape that is known to be expensive. */
export const WORST_SHAPES: readonly WorstShape[] = [...WORST_BENCODE, ...WORST_TORRENTS, ...WORST_MESSAGES];
