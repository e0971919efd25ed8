/**
 * All that is fuzzed.
 *
 * @module
 */

import type { Target } from "../target.ts";
import { bencodeTarget } from "./bencode.ts";
import { pathsTarget, printableTarget, resumeTarget } from "./local.ts";
import { metainfoTarget } from "./metainfo.ts";
import { addressTarget, compactTarget, queryTarget, replyTarget } from "./tracker.ts";
import { extensionTarget, framesTarget, handshakeTarget } from "./wire.ts";

/** Every target, in the order in which they are run. */
export const TARGETS: readonly Target[] = [
  bencodeTarget,
  metainfoTarget,
  framesTarget,
  handshakeTarget,
  extensionTarget,
  replyTarget,
  compactTarget,
  addressTarget,
  queryTarget,
  resumeTarget,
  pathsTarget,
  printableTarget,
];
