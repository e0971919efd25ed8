/**
 * What storage itself has to complain about. Failures of the file system come as `FileError`.
 *
 * @module
 */

import { type ErrorParts, messageOf, ShoalError } from "../base/errors.ts";

/** The files on disk and the torrent do not go together. */
export class StorageError extends ShoalError {
  override name = "StorageError";

  /** @param parts The words of the error line. */
  constructor(parts: ErrorParts) {
    super("storage", parts);
  }
}

/** Resume state that can't be used. */
export class ResumeStateError extends StorageError {
  override name = "ResumeStateError";

  /** @param why What is wrong with it, in a plain sentence. */
  constructor(why: string) {
    super({ what: "not resume state", why });
  }
}

/**
 * A file that is being downloaded isn't any more what was written to it.
 *
 * @param path The file.
 * @returns The error to throw.
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
 * Something of the user's is in the place of one of the torrent's files.
 *
 * @param path The place.
 * @param why What is there.
 * @returns The error to throw.
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
 * A file in the place of one of the torrent's turned out to be another one.
 *
 * @param path The file.
 * @param part Where the torrent's is.
 * @returns The error to throw.
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
 * A file in the place of one of the torrent's holds none of its data, as far as can be told.
 *
 * @param path The file.
 * @returns The error to throw.
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
 * A file has become shorter than what was read from it before.
 *
 * @param path The file.
 * @param size Its size in bytes.
 * @returns The error to throw.
 */
export function endsEarly(path: string, size: number): StorageError {
  return new StorageError({ what: "cannot read", where: path, why: `it ends at byte ${size}, but has had more` });
}

/**
 * Somebody else downloads the same torrent to the same folder.
 *
 * @param folder The folder.
 * @returns The error to throw.
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
 * Nothing keeps others from downloading the same torrent to the same folder.
 *
 * @param folder The folder.
 * @param cause What failed.
 * @returns A warning.
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
 * The files of a torrent can't be moved.
 *
 * @param folder Where to.
 * @param why What is against it.
 * @param cause What failed, if anything did.
 * @returns The error to throw.
 */
export function cannotMove(folder: string, why: string, cause?: unknown): StorageError {
  return new StorageError({ what: "cannot move", where: folder, why, ...(cause !== undefined && { cause }) });
}

/**
 * What was left behind by a move stays.
 *
 * @param folder Where it is.
 * @param cause What failed.
 * @returns A warning: all that belongs to the torrent is in the other folder.
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
 * Somebody came too late.
 *
 * @param folder The download folder.
 * @returns The error to throw.
 */
export function closedError(folder: string): StorageError {
  return new StorageError({ what: "cannot use the files", where: folder, why: "they were closed" });
}

/** A piece has no place any more: it belongs to files that aren't wanted. */
export class NotWantedError extends StorageError {
  override name = "NotWantedError";

  /** @param piece Its index. */
  constructor(piece: number) {
    super({ what: "cannot write", where: `piece ${piece}`, why: "it belongs to files that are not wanted any more" });
  }
}

/**
 * Resume state can't be kept.
 *
 * @param path Its file.
 * @param cause What failed.
 * @returns A warning: nothing depends on it but the time that the next start takes.
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
 * A file isn't any more what it was when a torrent began to be made of it.
 *
 * @param path The file.
 * @returns The error to throw.
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
 * @param thrown What was thrown.
 * @returns What was thrown if it is an error, else an error that says it.
 */
export function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown));
}

/** Why something failed, without what and where: whoever says it names them. */
function whyOf(cause: unknown): string {
  return cause instanceof ShoalError ? cause.why : messageOf(cause);
}
