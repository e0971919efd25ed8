/**
 * What is kept of a torrent, as plain as it can be.
 *
 * @module
 */

import type { TorrentRecord } from "../../src/session/session_store.ts";

/** A torrent that runs, with nothing out of the ordinary. */
export const RECORD: TorrentRecord = {
  name: "a.bin",
  magnet: null,
  folder: "/dl",
  seedOnly: false,
  sequential: false,
  files: null,
  maxDown: null,
  maxUp: null,
  priorities: [],
  trackers: [],
  state: "running",
  error: null,
  done: null,
  oneOff: false,
};
