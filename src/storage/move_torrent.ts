/**
 * Controls a move of a torrent to another folder, and finishes one that was interrupted. `move_files.ts` describes what
 * happens to the files and resume states, and in which order.
 *
 * @module
 */

import { isFileFault } from "../platform/file_errors.ts";
import { cannotMove, leftBehind, type StorageError } from "./errors.ts";
import type { SelectedFiles } from "./selected_files.ts";
import { joinFolders } from "./resume_move.ts";
import { Move } from "./move_files.ts";
import { stagingName } from "./file_names.ts";
import type { ResumeKeeper } from "./resume_keeper.ts";
import type { FileRecord, ResumeState } from "./resume_state.ts";
import type { StorageOptions } from "./storage_options.ts";
import { TorrentLock } from "./torrent_lock.ts";

/** Options for `Storage.move()`. */
export interface MoveProgress {
  /** Called with the progress of the copying from 0 to 1, at most ten times a second and once at the end. */
  onProgress?(fraction: number): void;
  /** Aborts the move while files are being copied. Later it has no effect. */
  readonly signal?: AbortSignal;
}

/** What {@linkcode moveTorrent} needs of the storage. */
export interface MoveHost {
  /** Options of the storage. */
  readonly options: Pick<StorageOptions, "platform" | "infoHash" | "onWarning">;
  /** Files of the torrent. */
  readonly files: SelectedFiles;
  /** Lock of the torrent in the current folder. */
  readonly claim: TorrentLock;
  /** Keeps the resume state; `null` if none is kept. */
  readonly keeper: ResumeKeeper | null;
  /** Aborts the copying. */
  readonly signal: AbortSignal;
  /** Runs a job while no piece is being written and everything written is durable. */
  hold(work: () => Promise<void>): Promise<void>;
  /** Returns the current resume state. */
  snapshot(): ResumeState;
  /** Names the other folder in every resume state that is saved from now on; none when `null`. */
  setOther(folder: string | null): void;
}

/** Milliseconds between two progress reports. */
const REPORT_INTERVAL = 100;

/**
 * Moves the files of a torrent to another download folder.
 *
 * @param folder Target folder; created if it is missing.
 * @param host See {@linkcode MoveHost}.
 * @param onProgress Called with the progress from 0 to 1.
 * @returns The lock of the torrent in the new folder, or `null` if that is the folder in which the files are already.
 * Both resume states go on naming the other folder.
 * @throws {ShoalError} If the files can't be moved. They are all in the old folder then, unless they could not be moved
 * back.
 * @throws The signal's reason, when it is aborted.
 */
export async function moveTorrent(
  folder: string,
  host: MoveHost,
  onProgress: (fraction: number) => void,
): Promise<TorrentLock | null> {
  const { options, keeper, signal, files: { map, disk } } = host;
  const { platform: { files: fs, now }, infoHash } = options;
  signal.throwIfAborted();
  const from = disk.root;
  const isNew = await fs.stat(folder) === null;
  await fs.makeFolder(folder);
  const unmake = async (): Promise<void> => {
    if (isNew) await fs.removeFolder(folder).catch(() => {}); // the first error is the one to report
  };
  const target = await fs.realPath(folder).then((path) => path.replace(/[/\\]$/, ""), async (error) => {
    await unmake();
    throw error;
  });
  if (target === from) return null;

  const claim = new TorrentLock(options);
  const wasHeld = host.claim.isHeld;
  let [copied, reported] = [0, -Infinity];
  const onCopied = (bytes: number): void => {
    copied += bytes;
    if (now() - reported < REPORT_INTERVAL) return;
    reported = now();
    onProgress(Math.min(copied / move.bytes, 1));
  };
  const move = new Move(map, { disk, fs, infoHash, target, onCopied, signal });
  let isNoted = false;
  const switchOver = async (): Promise<void> => {
    isNoted = true;
    await keeper?.put(stateAt(host.snapshot(), { target, from, times: move.times }));
    await move.switchOver();
    host.setOther(from);
    await keeper?.moveTo(target);
    await keeper?.save();
    await move.removeUnfinished();
  };
  try {
    if (disk.all.some(({ names }) => isIn(target, names.folder && `${from}/${names.folder.path}`))) {
      throw cannotMove(target, "it is in a folder of the torrent itself");
    }
    await claim.takeOrThrow(target);
    await host.claim.takeOrThrow(from);
    await move.check();
    host.setOther(target);
    await keeper?.put(host.snapshot());
    try {
      await host.hold(switchOver);
    } catch (error) {
      if (!isFileFault(error, "other-device")) throw error;
      await move.copy("final");
      await host.hold(async () => {
        await move.copy("all");
        await switchOver();
      });
    }
  } catch (error) {
    await move.discard();
    if (!move.isSplit) {
      host.setOther(null);
      await keeper?.save();
      // The old state no longer names the target, so the target's state is void. If this move has not written that
      // state, it may belong to another download.
      if (isNoted) await keeper?.remove(target).catch(() => {});
    }
    await claim.release();
    if (!wasHeld) await host.claim.release();
    await unmake();
    throw error;
  }

  try {
    await move.removeSources();
  } catch (error) {
    options.onWarning?.(leftBehind(from, error));
  }
  onProgress(1);
  await host.claim.release();
  if (!wasHeld) await claim.release();
  return claim;
}

/** What {@linkcode endMove} needs of the storage. */
export interface EndMoveHost extends Pick<MoveHost, "files" | "keeper"> {
  /** Options of the storage. */
  readonly options: Pick<StorageOptions, "platform" | "infoHash" | "onWarning" | "pathsOf">;
}

/** Result of {@linkcode endMove}. */
export interface EndOfMove {
  /** Resume state to go on with. */
  readonly state: ResumeState;
  /** Whether all files are in one folder. */
  readonly isOver: boolean;
  /** Folder whose state can be removed once the state of the other folder is saved; `null` for none. */
  readonly obsolete: string | null;
}

/**
 * Finishes a move that was interrupted: brings all files to the folder in which the torrent is opened.
 *
 * @param state Resume state of that folder, which names another folder.
 * @param host See {@linkcode EndMoveHost}.
 * @throws {ShoalError} If the files can't be brought together.
 */
export async function endMove(state: ResumeState, host: EndMoveHost): Promise<EndOfMove> {
  const { options, keeper, files: { map } } = host;
  const { platform: { files: fs }, infoHash } = options;
  const { folder: root, otherFolder: other = root } = state;
  const shape = { pieceCount: map.layout.pieceCount, fileCount: map.layout.files.length };
  const theirs = await keeper?.peek(shape, { folder: other }) ?? null;
  const isMutual = theirs !== null && theirs.infoHash.equals(infoHash) && theirs.folder === other &&
    theirs.otherFolder === root;
  const isThere = (await fs.stat(other))?.kind === "folder";
  if (!isThere) {
    if (isMutual) options.onWarning?.(folderMissing(other));
    return { state, isOver: !isMutual, obsolete: null };
  }
  const claim = new TorrentLock(options);
  try {
    await claim.takeOrThrow(other);
    if (isMutual) {
      const pathsOf = (index: number) => options.pathsOf?.(index) ?? [];
      await joinFolders(map, { fs, infoHash, root, other, states: [state, theirs], pathsOf });
    }
    for (const folder of [root, other]) await fs.remove(`${folder}/${stagingName(infoHash)}`);
  } catch (error) {
    if (isMutual) throw error;
    options.onWarning?.(leftBehind(other, error)); // only unneeded copies could not be removed
  } finally {
    await claim.release();
  }
  const later = isMutual && theirs.saved > state.saved ? { ...theirs, folder: root } : state;
  return { state: later, isOver: true, obsolete: isMutual ? other : null };
}

/** Options for {@linkcode stateAt}. */
interface StateAtOptions {
  /** Absolute path of the folder that files are moved to. */
  readonly target: string;
  /** Absolute path of the folder that files are moved from. */
  readonly from: string;
  /** Modification times of copied files by index, in milliseconds since 1970. */
  readonly times: ReadonlyMap<number, number>;
}

/** Returns the resume state of the new folder for the time in which files arrive there. */
function stateAt(
  state: ResumeState,
  { target, from, times }: StateAtOptions,
): ResumeState {
  const moved = (record: FileRecord, index: number) => ({ ...record, modified: times.get(index) ?? record.modified });
  const partFile = state.partFile && moved(state.partFile, state.files.length);
  return { ...state, folder: target, otherFolder: from, files: state.files.map(moved), ...(partFile && { partFile }) };
}

function isIn(path: string, folder: string | null): boolean {
  // Paths of Windows have backslashes.
  const [inner, outer] = [path, folder ?? ""].map((text) => `${text.replaceAll("\\", "/")}/`);
  return folder !== null && inner!.startsWith(outer!);
}

function folderMissing(folder: string): StorageError {
  return cannotMove(folder, "files of the torrent were being moved there or from there, and the folder is gone");
}
