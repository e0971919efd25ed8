/**
 * Reads and writes resume state: what was known to be on disk when it was saved, as a bencoded dictionary.
 *
 * @module
 */

import { Bitfield } from "../base/bitfield.ts";
import { type Bytes, fromUtf8, utf8 } from "../base/bytes.ts";
import { InfoHash } from "../base/info_hash.ts";
import { type BencodeDict, BencodeError, decodeDict, encode } from "../bencode/mod.ts";
import { ResumeStateError } from "./errors.ts";

/** Where the data of a file is: nowhere, under its `.part` name, or under its final name. */
export type FilePlace = "absent" | "part" | "final";

/** A file as it was on disk. */
export interface FileRecord {
  /** Where the data is. */
  readonly place: FilePlace;
  /** Size on disk in bytes; 0 when absent. */
  readonly size: number;
  /** Last modification, in milliseconds since 1970; 0 when absent. */
  readonly modified: number;
}

/** Everything that is remembered about one torrent in one folder. */
export interface ResumeState {
  /** Info-hash of the torrent. */
  readonly infoHash: InfoHash;
  /** Absolute path of the download folder. */
  readonly folder: string;
  /** Time of the save, in milliseconds since 1970. */
  readonly saved: number;
  /** Whether the state was saved at the end of a session, with nothing written afterwards. */
  readonly clean: boolean;
  /** Verified pieces that are on the device: written, and synced after that. */
  readonly pieces: Bitfield;
  /** Verified pieces that were written but may be lost when the power fails. None of them is in `pieces`. */
  readonly unsynced: Bitfield;
  /** Files, in the order of the torrent. */
  readonly files: readonly FileRecord[];
  /** The partfile, if it exists. */
  readonly partFile?: FileRecord;
  /**
   * The other folder while files are being moved, which may hold some of them. Its state names this folder meanwhile.
   */
  readonly otherFolder?: string;
}

/** Numbers that the parts of a state must match. */
export interface ResumeShape {
  /** Number of pieces of the torrent. */
  readonly pieceCount: number;
  /** Number of files of the torrent. */
  readonly fileCount: number;
}

const FORMAT = "shoal resume";
const VERSION = 1;
/** Bytes of a file's record: place, then size and time as IEEE 754 doubles. */
const RECORD_BYTES = 17;
const PLACES: readonly FilePlace[] = ["absent", "part", "final"];
const MAX_FOLDER_BYTES = 32768;

/**
 * Returns the largest size in bytes of a resume file that {@linkcode parseResumeState} accepts.
 *
 * @param shape Size of the torrent.
 */
export function maxResumeBytes(shape: ResumeShape): number {
  return Math.ceil(shape.pieceCount / 4) + shape.fileCount * RECORD_BYTES + 2 * MAX_FOLDER_BYTES + 1024;
}

/**
 * Encodes resume state as a bencoded dictionary.
 *
 * @param state State to encode.
 * @returns The content of a resume file.
 */
export function encodeResumeState(state: ResumeState): Bytes {
  return encode({
    "clean": state.clean ? 1 : 0,
    "files": encodeFiles(state.files),
    "folder": utf8(state.folder),
    "format": FORMAT,
    "info-hash": state.infoHash.bytes,
    ...(state.otherFolder !== undefined && { "other-folder": utf8(state.otherFolder) }),
    ...(state.partFile && { "partfile": encodeFiles([state.partFile]) }),
    "pieces": state.pieces.toBytes(),
    "saved": state.saved,
    "unsynced": state.unsynced.toBytes(),
    "version": VERSION,
  });
}

/**
 * Parses resume state.
 *
 * @param bytes Content of a resume file.
 * @param shape Size of the torrent that the state must fit.
 * @returns The state.
 * @throws {ResumeStateError} If the bytes are not resume state, are of another version, or don't fit the torrent.
 */
export function parseResumeState(bytes: Uint8Array, shape: ResumeShape): ResumeState {
  if (bytes.length > maxResumeBytes(shape)) {
    throw new ResumeStateError(`it has ${bytes.length} bytes, which is too many`);
  }
  const dict = decode(bytes);
  if (dict.getText("format") !== FORMAT) throw new ResumeStateError(`"format" is not "${FORMAT}"`);
  const version = dict.getInt("version");
  if (version !== VERSION) throw new ResumeStateError(`version ${version ?? "?"} is not ${VERSION}`);

  const infoHash = need(dict, "info-hash");
  if (infoHash.length !== InfoHash.LENGTH) throw new ResumeStateError(`"info-hash" has ${infoHash.length} bytes`);
  const folder = fromUtf8(need(dict, "folder"));
  if (folder === null) throw new ResumeStateError('"folder" is not UTF-8');
  const saved = dict.getInt("saved");
  if (saved === undefined || saved < 0) throw new ResumeStateError('"saved" is no time');
  const clean = dict.getInt("clean");
  if (clean !== 0 && clean !== 1) throw new ResumeStateError('"clean" is neither 0 nor 1');
  const pieces = needBits(dict, "pieces", shape.pieceCount);
  const unsynced = needBits(dict, "unsynced", shape.pieceCount);
  const both = pieces.firstShared(unsynced);
  if (both >= 0) throw new ResumeStateError(`piece ${both} is both synced and unsynced`);
  const files = parseFiles(need(dict, "files"), shape.fileCount);
  const part = dict.getBytes("partfile");
  const partFile = part === undefined ? {} : { partFile: parseFiles(part, 1)[0]! };
  const other = dict.getBytes("other-folder");
  const otherFolder = other === undefined ? undefined : fromUtf8(other);
  if (otherFolder === null) throw new ResumeStateError('"other-folder" is not UTF-8');
  return {
    infoHash: new InfoHash(infoHash),
    folder,
    saved,
    clean: clean === 1,
    pieces,
    unsynced,
    files,
    ...partFile,
    ...(otherFolder !== undefined && { otherFolder }),
  };
}

function encodeFiles(records: readonly FileRecord[]): Bytes {
  const bytes = new Uint8Array(records.length * RECORD_BYTES);
  const view = new DataView(bytes.buffer);
  for (const [index, file] of records.entries()) {
    const at = index * RECORD_BYTES;
    bytes[at] = PLACES.indexOf(file.place);
    view.setFloat64(at + 1, file.size);
    view.setFloat64(at + 9, file.modified);
  }
  return bytes;
}

function decode(bytes: Uint8Array): BencodeDict {
  try {
    return decodeDict(bytes);
  } catch (error) {
    if (error instanceof BencodeError) throw new ResumeStateError(error.message);
    throw error;
  }
}

function need(dict: BencodeDict, key: string): Bytes {
  const value = dict.getBytes(key);
  if (value === undefined) throw new ResumeStateError(`"${key}" is missing or no byte string`);
  return value;
}

function needBits(dict: BencodeDict, key: string, length: number): Bitfield {
  const bits = Bitfield.fromBytes(need(dict, key), length);
  if (bits === null) throw new ResumeStateError(`"${key}" is no bitfield of ${length} bits`);
  return bits;
}

function parseFiles(bytes: Bytes, count: number): FileRecord[] {
  if (bytes.length !== count * RECORD_BYTES) throw new ResumeStateError(`"files" does not list ${count} files`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  return Array.from({ length: count }, (_, index) => {
    const at = index * RECORD_BYTES;
    const place = PLACES[bytes[at]!];
    const size = view.getFloat64(at + 1);
    const modified = view.getFloat64(at + 9);
    if (place === undefined || !isCount(size) || !isCount(modified)) {
      throw new ResumeStateError(`the record of file ${index} makes no sense`);
    }
    return { place, size, modified };
  });
}

function isCount(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0 && !Object.is(value, -0);
}
