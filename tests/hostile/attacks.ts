/**
 * The list of all attacks.
 *
 * @module
 */

import type { Attack } from "./attack.ts";
import { CONNECTION_ATTACKS } from "./connection_attacks.ts";
import { DATA_ATTACKS } from "./data_attacks.ts";
import { FLOOD_ATTACKS, MALFORMED_ATTACKS } from "./malformed_attacks.ts";
import { UPLOAD_ATTACKS } from "./upload_attacks.ts";

/** All attacks, in the order of the table in `bench/HOSTILE.md`. */
export const ATTACKS: readonly Attack[] = [
  ...DATA_ATTACKS,
  ...MALFORMED_ATTACKS,
  ...FLOOD_ATTACKS,
  ...UPLOAD_ATTACKS,
  ...CONNECTION_ATTACKS,
];
