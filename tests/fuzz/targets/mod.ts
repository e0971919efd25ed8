/**
 * Every fuzzing target.
 *
 * @module
 */

import type { Target } from "../target.ts";
import { bencodeTarget } from "./bencode.ts";
import { blocklistTarget } from "./blocklist.ts";
import { krpcTarget, savedTableTarget } from "./dht.ts";
import { keysTarget } from "./keys.ts";
import { pathsTarget, printableTarget, resumeTarget } from "./local.ts";
import { lsdTarget } from "./lsd.ts";
import { fileTreeTarget, magnetTarget, metainfoTarget } from "./metainfo.ts";
import { selectionTarget } from "./selection.ts";
import { gatewayReplyTarget, upnpTarget } from "./nat.ts";
import { pexTarget } from "./pex.ts";
import { addressTarget, compactTarget, queryTarget, replyTarget, udpReplyTarget, udpRequestTarget } from "./tracker.ts";
import { streamRequestTarget } from "./stream.ts";
import {
  dontHaveTarget,
  extensionTarget,
  framesTarget,
  handshakeTarget,
  hashMessageTarget,
  metadataTarget,
} from "./wire.ts";
import { mseTarget } from "./transport.ts";
import { webReplyTarget } from "./web.ts";

/** Every target, in the order of running. */
export const TARGETS: readonly Target[] = [
  bencodeTarget,
  metainfoTarget,
  fileTreeTarget,
  selectionTarget,
  magnetTarget,
  framesTarget,
  handshakeTarget,
  mseTarget,
  extensionTarget,
  metadataTarget,
  dontHaveTarget,
  hashMessageTarget,
  pexTarget,
  replyTarget,
  udpReplyTarget,
  compactTarget,
  addressTarget,
  queryTarget,
  krpcTarget,
  savedTableTarget,
  udpRequestTarget,
  lsdTarget,
  resumeTarget,
  pathsTarget,
  printableTarget,
  gatewayReplyTarget,
  upnpTarget,
  webReplyTarget,
  streamRequestTarget,
  blocklistTarget,
  keysTarget,
];
