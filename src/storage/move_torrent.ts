/**
 * The course of a move; see `move_files.ts` for what happens to the files, and in which order what is remembered.
 *
 * @module
 */

import { isFileFault } from "../platform/file_errors.ts";
import { cannotMove, leftBehind, type StorageError } from "./errors.ts";
import type { SelectedFiles } from "./selected_files.ts";
import { joinFolders } from "./resume_move.ts";
import { Move } from "./move_files.ts";
import { stagingName } from "./names.ts";
import type { ResumeKeeper } from "./resume_keeper.ts";
import type { FileRecord, ResumeState } from "./resume_state.ts";
import type { StorageOptions } from "./storage_options.ts";
import { TorrentLock } from "./torrent_lock.ts";

/** Settings of `Storage.move()`. */
export interface MoveProgress {
  /** Told how far the copying has come, 0 to 1, ten times a second at most and once at the end. */
  onProgress?(fraction: number): void;
  /** Ends the move while files are being copied; afterwards it is too late. */
  readonly signal?: AbortSignal;
}

/** What {@linkcode moveTorrent} works with. */
export interface MoveHost {
  /** Settings of the storage. */
  readonly options: Pick<StorageOptions, "platform" | "infoHash" | "onWarning">;
  /** The files. */
  readonly files: SelectedFiles;
  /** Keeps others out of the folder in which the files are. */
  readonly claim: TorrentLock;
  /** Where resume state is kept, if it is. */
  readonly keeper: ResumeKeeper | null;
  /** Ends the copying. */
  readonly signal: AbortSignal;
  /** Does something while nothing is being written, and everything that was written is safe. */
  hold(work: () => Promise<void>): Promise<void>;
  /** What is to be remembered now. */
  snapshot(): ResumeState;
  /** Names the other folder in all that is remembered from now on; `null` for none. */
  setOther(folder: string | null): void;
}

/** Milliseconds between two reports. */
const REPORT_INTERVAL = 100;

/**
 * Moves the files of a torrent to another download folder.
 *
 * @param folder Where to; made if it is missing.
 * @param host Whose files.
 * @param onProgress Told how far it has come.
 * @returns What keeps others out of the new folder (both resume states go on naming the other folder), or `null` when it is the one in which the files are.
 * @throws {ShoalError} If that can't be done. All is as before then.
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
    if (isNew) await fs.removeFolder(folder).catch(() => {}); // the first failure is the one to tell
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
    await claim.need(target);
    await host.claim.need(from);
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
    if (!move.isTorn) {
      host.setOther(null);
      await keeper?.save();
      // The old state doesn't name it any more: it counts for nothing. Before, it may be that of another download.
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

/** What {@linkcode endMove} works with. */
export interface EndMoveHost extends Pick<MoveHost, "files" | "keeper"> {
  /** Settings of the storage. */
  readonly options: Pick<StorageOptions, "platform" | "infoHash" | "onWarning" | "pathsOf">;
}

/** What {@linkcode endMove} has found. */
export interface EndOfMove {
  /** The state to go on with. */
  readonly state: ResumeState;
  /** Whether everything is in one folder. */
  readonly isOver: boolean;
  /** The folder whose state isn't needed any more once that of the other one is saved; `null` for none. */
  readonly obsolete: string | null;
}

/**
 * Ends a move that was interrupted: brings everything to the folder in which the torrent is opened.
 *
 * @param state The resume state of that folder, which names another one.
 * @param host Whose files.
 * @returns What to go on with.
 * @throws {ShoalError} If that can't be done.
 */
export async function endMove(
  state: ResumeState,
  host: EndMoveHost,
): Promise<EndOfMove> {
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
    await claim.need(other);
    if (isMutual) {
      const pathsOf = (index: number) => options.pathsOf?.(index) ?? [];
      await joinFolders(map, { fs, infoHash, root, other, states: [state, theirs], pathsOf });
    }
    for (const folder of [root, other]) await fs.remove(`${folder}/${stagingName(infoHash)}`);
  } catch (error) {
    if (isMutual) throw error;
    options.onWarning?.(leftBehind(other, error)); // copies that weren't needed any more
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

/** What the state of the new folder says while files come there. */
function stateAt(
  state: ResumeState,
  { target, from, times }: StateAtOptions,
): ResumeState {
  const moved = (record: FileRecord, index: number) => ({ ...record, modified: times.get(index) ?? record.modified });
  const partFile = state.partFile && moved(state.partFile, state.files.length);
  return { ...state, folder: target, otherFolder: from, files: state.files.map(moved), ...(partFile && { partFile }) };
}

function isIn(path: string, folder: string | null): boolean {
  const [inner, outer] = [path, folder ?? ""].map((text) => `${text.replaceAll("\\", "/")}/`); // as Windows has them
  return folder !== null && inner!.startsWith(outer!);
}

function folderMissing(folder: string): StorageError {
  return cannotMove(folder, "files of the torrent were being moved there or from there, and the folder is gone");
}
