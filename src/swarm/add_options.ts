/**
 * How a user adds a torrent.
 *
 * @module
 */

import type { PeerAddress } from "../base/address.ts";
import type { Metainfo } from "../metainfo/mod.ts";

/** How a torrent is added. */
export interface AddOptions {
  /** Folder that its files, or its own folder, go into. */
  readonly folder: string;
  /** Peers to try besides those that the tracker names. */
  readonly peers?: readonly PeerAddress[];
  /**
   * Indexes into `meta.files` of those that are wanted, as `selectFiles()` gives them, or what finds them when the metadata
   * of a magnet link is here. When absent what the magnet link says, or all.
   */
  readonly files?: ReadonlySet<number> | ((meta: Metainfo) => ReadonlySet<number>);
  /** Fetch pieces in order instead of the rarest first. */
  readonly sequential?: boolean;
  /** Hash what is there instead of believing the resume state. */
  readonly check?: boolean;
  /** Believe that everything is there. */
  readonly trust?: boolean;
  /** Find out what a magnet link stands for, and no more. */
  readonly metadataOnly?: boolean;
  /** Never write: the data must be there. */
  readonly seedOnly?: boolean;
}
