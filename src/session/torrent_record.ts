/**
 * A torrent of a session as what is kept of it, and back.
 *
 * @module
 */

import type { Bytes } from "../base/bytes.ts";
import { messageOf, ShoalError } from "../base/errors.ts";
import type { InfoHash } from "../base/info_hash.ts";
import { redact } from "../base/secrets.ts";
import {
  formatMagnet,
  type Magnet,
  type Metainfo,
  numberedFiles,
  parseMagnet,
  parseMetainfo,
  torrentFile,
} from "../metainfo/mod.ts";
import type { AddOptions } from "../swarm/add_options.ts";
import { isMagnet } from "../swarm/choice.ts";
import type { TorrentState } from "./types.ts";
import type { KeptTorrent, Traffic } from "./session_store.ts";
import type { StoredTorrent, TorrentRecord } from "./store_schema.ts";

/** What has to be known of a torrent to keep it. */
export interface Recordable {
  /** Which torrent. */
  readonly infoHash: InfoHash;
  /** Its name, safe to print. */
  readonly name: string;
  /** Resolves when it is known what it holds. */
  readonly metadata: Promise<Metainfo>;
  /** Rejects with the error that ended it. */
  readonly finished: Promise<void>;
  /** Whether the user has it wait. */
  readonly paused: boolean;
  /** Indexes of the files that are wanted. */
  readonly wantedFiles: readonly number[];
  /** Payload bytes since its start. */
  readonly traffic: Traffic;
  /** What it looks like now. */
  snapshot(): { readonly state: TorrentState };
}

/** How a torrent came into the session. */
export interface Origin {
  /** What it holds, or a link to that. */
  readonly source: Metainfo | Magnet;
  /** How it was added. */
  readonly add: AddOptions;
  /** Whether it is there for one run. */
  readonly oneOff: boolean;
  /** Told when there is something new to keep, besides what events tell. */
  changed(): void;
}

/**
 * A torrent as the store asks it.
 *
 * @param torrent The torrent.
 * @param origin How it came into the session.
 * @returns What the store keeps.
 */
export function keptTorrent(torrent: Recordable, { source, add, oneOff, changed }: Origin): KeptTorrent {
  let meta = isMagnet(source) ? null : source;
  let error: string | null = null;
  let isDone: true | null = null;
  torrent.metadata.then((found) => {
    meta = found;
    changed();
  }, () => {}); // whatever ended it is told by what comes next
  torrent.finished.then(() => {
    isDone = true;
    changed();
  }, (thrown) => {
    error = thrown instanceof ShoalError ? thrown.message : redact(messageOf(thrown));
    changed();
  });
  return {
    infoHash: torrent.infoHash,
    record() {
      if (add.metadataOnly) return null;
      const { state } = torrent.snapshot();
      if (state === "downloading") isDone = null; // more files are wanted than before
      return {
        name: torrent.name,
        magnet: isMagnet(source) ? formatMagnet(source) : null,
        folder: add.folder,
        seedOnly: add.seedOnly ?? false,
        sequential: add.sequential ?? false,
        files: filesOf(torrent, { meta, add }),
        trackers: null,
        webSeeds: null,
        state: torrent.paused ? "paused" : "running",
        error,
        done: state === "downloading" ? false : isDone,
        oneOff,
      } satisfies TorrentRecord;
    },
    torrentFile: () => meta && torrentFile(meta.info, meta),
    get traffic() {
      return torrent.traffic;
    },
  };
}

function filesOf(
  torrent: Recordable,
  { meta, add }: { readonly meta: Metainfo | null; readonly add: AddOptions },
): readonly number[] | null {
  if (meta === null) return add.files instanceof Set ? [...add.files] : null;
  const wanted = torrent.wantedFiles;
  return wanted.length === numberedFiles(meta.files).length ? null : wanted;
}

/**
 * What a torrent is added with again.
 *
 * @param kept The torrent as it was kept.
 * @param how `file`: its torrent file, unchecked; `null` when there is none. `portable`: see `parseMetainfo()`. `onWarning`: told
 * when the file is of no use.
 * @returns What to add, and how.
 * @throws {ShoalError} Of kind `torrent` if its magnet link makes no sense.
 */
export function restored(
  kept: StoredTorrent,
  how: { readonly file: Bytes | null; readonly portable: boolean; onWarning(error: ShoalError): void },
): { readonly source: Metainfo | Magnet; readonly add: AddOptions } {
  const { folder, seedOnly, sequential, files } = kept;
  const known = parsed(kept, how) ?? linkTo(kept);
  const source = {
    ...known,
    ...(kept.trackers && { trackers: kept.trackers }),
    ...(kept.webSeeds && { webSeeds: kept.webSeeds }),
  };
  return { source, add: { folder, seedOnly, sequential, ...(files && { files: new Set(files) }) } };
}

function parsed(
  { infoHash }: StoredTorrent,
  { file, portable, onWarning }: {
    readonly file: Bytes | null;
    readonly portable: boolean;
    onWarning(error: ShoalError): void;
  },
): Metainfo | null {
  if (file === null) return null;
  const source = `the torrent ${infoHash.hex} of the last run`;
  try {
    const meta = parseMetainfo(file, { portable, source });
    if (meta.infoHash.equals(infoHash)) return meta;
    const why = `its info-hash is ${meta.infoHash.hex}`;
    throw new ShoalError("torrent", { what: "the wrong torrent", where: source, why });
  } catch (error) {
    if (!(error instanceof ShoalError)) throw error;
    onWarning(error);
    return null;
  }
}

/** Peers may still know what it holds. */
function linkTo({ infoHash, name, magnet }: StoredTorrent): Magnet {
  const link = parseMagnet(magnet ?? infoHash.hex);
  return link.infoHash.equals(infoHash) ? link : { ...parseMagnet(infoHash.hex), displayName: name };
}
