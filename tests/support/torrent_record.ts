/**
 * The plainest stored record of a torrent.
 *
 * @module
 */

import type { TorrentRecord } from "../../src/session/session_store.ts";

/** A running torrent with default settings. */
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
