/**
 * The errors of storage. Failures of the file system are reported as `FileError`.
 *
 * @module
 */

import { type ErrorParts, messageOf, ShoalError } from "../base/errors.ts";

/** The files on disk and the torrent do not fit together. */
export class StorageError extends ShoalError {
  override name = "StorageError";

  /** @param parts Parts of the error message. */
  constructor(parts: ErrorParts) {
    super("storage", parts);
  }
}

/** Resume state is unusable. */
export class ResumeStateError extends StorageError {
  override name = "ResumeStateError";

  /** @param why What is wrong with the state, in a plain sentence. */
  constructor(why: string) {
    super({ what: "not resume state", why });
  }
}

/**
 * Returns an error for a file that another program has changed during the download.
 *
 * @param path Path of the file.
 */
export function changedByOthers(path: string): StorageError {
  return new StorageError({
    what: "cannot go on",
    where: path,
    why: "the file was changed by another program",
    hint: "start again: what is there is checked",
  });
}

/**
 * Returns an error for a file of the user's in the place of one of the torrent's files.
 *
 * @param path Path of the conflict.
 * @param why Description of the obstacle.
 */
export function pathConflict(path: string, why: string): StorageError {
  return new StorageError({
    what: "path conflict",
    where: path,
    why,
    hint: "move it away or choose another folder with -o",
  });
}

/**
 * Returns an error for a file that turned out to differ from the torrent's file in whose place it is.
 *
 * @param path Path of the file.
 * @param part Path under which the torrent's file is kept.
 */
export function otherFile(path: string, part: string): StorageError {
  return new StorageError({
    what: "path conflict",
    where: path,
    why: `the file there is another one than that of the torrent, which is kept as ${part}`,
    hint: "move one of them away, then start again",
  });
}

/**
 * Returns an error for a file in the place of one of the torrent's files in which no data of the torrent was found.
 *
 * @param path Path of the file.
 */
export function notOurs(path: string): StorageError {
  return new StorageError({
    what: "path conflict",
    where: path,
    why: "nothing of the torrent was found in the file there",
    hint: "move it away if it is to be downloaded again, or choose another folder with -o",
  });
}

/**
 * Returns an error for a file that ends before bytes that it had earlier.
 *
 * @param path Path of the file.
 * @param size Size of the file in bytes.
 */
export function endsEarly(path: string, size: number): StorageError {
  return new StorageError({ what: "cannot read", where: path, why: `it ends at byte ${size}, but has had more` });
}

/**
 * Returns an error for a torrent that another torrent or process is downloading to the same folder.
 *
 * @param folder Download folder.
 */
export function inUse(folder: string): StorageError {
  return new StorageError({
    what: "cannot download",
    where: folder,
    why: "this torrent is being downloaded to that folder already, perhaps by another process",
    hint: "wait until that has ended, or choose another folder with -o",
  });
}

/**
 * Returns a warning that the torrent could not be locked, so that nothing keeps another process from downloading it to
 * the same folder.
 *
 * @param folder Download folder.
 * @param cause Error of the lock.
 */
export function noClaim(folder: string, cause: unknown): StorageError {
  return new StorageError({
    what: "cannot lock",
    where: folder,
    why: whyOf(cause),
    hint: "see to it that nobody else downloads this torrent to that folder meanwhile",
    cause,
  });
}

/**
 * Returns an error for files that can't be moved.
 *
 * @param folder Target folder.
 * @param why Reason why not.
 * @param cause Error behind it, if there is one.
 */
export function cannotMove(folder: string, why: string, cause?: unknown): StorageError {
  return new StorageError({ what: "cannot move", where: folder, why, ...(cause !== undefined && { cause }) });
}

/**
 * Returns a warning that something could not be removed after a move. All of the torrent's files are in the new folder.
 *
 * @param folder Old folder.
 * @param cause Error of the removal.
 */
export function leftBehind(folder: string, cause: unknown): StorageError {
  return new StorageError({
    what: "cannot tidy up",
    where: folder,
    why: whyOf(cause),
    hint: "what is left there is not needed any more",
    cause,
  });
}

/**
 * Returns an error for a call that came after the files were closed.
 *
 * @param folder Download folder.
 */
export function closedError(folder: string): StorageError {
  return new StorageError({ what: "cannot use the files", where: folder, why: "they were closed" });
}

/** Returns the error of reading a piece that is missing, though it was there a moment ago. */
export function missingPieceError(piece: number): StorageError {
  return new StorageError({ what: "cannot read", where: `piece ${piece}`, why: "it is missing" });
}

/** A piece can't be stored any more, because it belongs only to files that are no longer wanted. */
export class NotWantedError extends StorageError {
  override name = "NotWantedError";

  constructor(piece: number) {
    super({ what: "cannot write", where: `piece ${piece}`, why: "it belongs to files that are not wanted any more" });
  }
}

/**
 * Returns a warning that resume state can't be read or written. Nothing is lost but the time of a check at the next
 * start.
 *
 * @param path Path of the resume file.
 * @param cause Error behind it.
 */
export function noResumeState(path: string, cause: unknown): StorageError {
  return new StorageError({
    what: "cannot keep resume state",
    where: path,
    why: whyOf(cause),
    hint: "nothing is lost, but the next start may have to check all data",
    cause,
  });
}

/**
 * Returns an error for a file that changed while a torrent was being made of it.
 *
 * @param path Path of the file.
 */
export function changedMeanwhile(path: string): StorageError {
  return new StorageError({
    what: "cannot make the torrent",
    where: path,
    why: "the file changed while it was being hashed",
    hint: "start again when nobody writes to it any more",
  });
}

/**
 * Returns a thrown value if it is an error, else an error with the value as its message.
 *
 * @param thrown Thrown value.
 */
export function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown));
}

/** Returns why a call failed, without what and where, which the new error names itself. */
function whyOf(cause: unknown): string {
  return cause instanceof ShoalError ? cause.why : messageOf(cause);
}
