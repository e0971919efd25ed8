/**
 * The inputs that cost each decoder most for their length, and what they cost.
 *
 * @module
 */

import { WORST_BENCODE } from "./bencode.ts";
import { WORST_MESSAGES } from "./messages.ts";
import type { WorstShape } from "./shape.ts";
import { WORST_TORRENTS } from "./torrents.ts";

export type { WorstShape } from "./shape.ts";

/** All that are known to cost much. */
export const WORST_SHAPES: readonly WorstShape[] = [...WORST_BENCODE, ...WORST_TORRENTS, ...WORST_MESSAGES];
