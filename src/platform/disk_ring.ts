/**
 * Layout of the memory through which the main thread and a disk thread talk: a ring of operations, which the disk
 * thread works off in order and answers in place.
 *
 * @module
 */

/** Operations in the ring at one time; a power of two. */
export const RING_SLOTS = 1024;
/** 32-bit words of the header. */
const HEADER_WORDS = 16;
/** 32-bit words of a slot: 64 bytes, one cache line. */
const SLOT_WORDS = 16;
/** Bytes of the whole ring. */
export const RING_BYTES = 4 * (HEADER_WORDS + RING_SLOTS * SLOT_WORDS);

/** Words of the header. Each is a count modulo 2^32, which the other side reads. */
export const Count = {
  /** Operations that the main thread has put into the ring. The disk thread sleeps until it changes. */
  posted: 0,
  /** Operations that the disk thread has done. */
  done: 1,
  /** Operations whose results the main thread has read. */
  read: 2,
} as const;

/** Words of a slot. */
export const Slot = {
  /** One of {@linkcode Operation}. */
  operation: 0,
  /** Number of the arena with the data. */
  arena: 1,
  /** Offset of the data in the arena, unsigned. */
  offset: 2,
  /** Bytes of the data, unsigned. */
  length: 3,
  /** Number of the file. */
  file: 4,
  /** Position in the file: the quotient by 2^32, and the unsigned rest. */
  positionHigh: 5,
  positionLow: 6,
  /** One of {@linkcode Status}, set by the disk thread. */
  status: 7,
  /** Result: the number of bytes written. */
  count: 8,
  /** Result: five words with a SHA-1 digest. */
  digest: 9,
  /** Leaves of the Merkle tree. */
  leaves: 14,
  /** Offset in the arena at which the digests of blocks and the root are written, unsigned. */
  target: 15,
  /**
   * Zeros that a SHA-1 digest of blocks covers behind them; -1 if it isn't wanted. In the place of a position in a
   * file.
   */
  sha1Padding: 5,
} as const;

/** What a disk thread can do. */
export const Operation = {
  /** Computes the SHA-1 digest of data. */
  hash: 1,
  /** Writes data to a file, all of it. */
  write: 2,
  /** Closes a file. */
  close: 3,
  /** Takes one message, for what is rare or has text in it. */
  message: 4,
  /**
   * Computes the SHA-256 digests of the blocks of data, the root of the Merkle tree above them, and if wanted a SHA-1
   * digest.
   */
  hashBlocks: 5,
} as const;

/** How an operation went. */
export const Status = {
  /** It is done. */
  done: 0,
  /** It has failed; a {@linkcode Failure} is on its way. */
  failed: 1,
  /** The file at the path is another one, or can't be opened. */
  declined: 2,
} as const;

/** Message to a disk thread. */
export type ThreadMessage =
  | {
    readonly kind: "start";
    /** The ring. */
    readonly ring: ArrayBufferLike;
  }
  | {
    readonly kind: "arena";
    /** Number of the arena. */
    readonly arena: number;
    /** Its memory, or `null` when it is closed. */
    readonly buffer: ArrayBufferLike | null;
  }
  | {
    readonly kind: "open";
    /** Number for the file. */
    readonly file: number;
    /** Path of the file. */
    readonly path: string;
    /** Device and inode. Any other file at the path is declined. */
    readonly id: string;
  }
  | {
    /** Ends the thread. */
    readonly kind: "end";
  };

/** Message from a disk thread: an operation has failed. */
export interface Failure {
  /** Number of the operation, as it was counted when it was posted. */
  readonly operation: number;
  /** The error's name, message and system error code. */
  readonly name: string;
  readonly message: string;
  readonly code?: string;
}

/** Returns the index of a slot's first word. */
export function slotAt(operation: number): number {
  return HEADER_WORDS + (operation & (RING_SLOTS - 1)) * SLOT_WORDS;
}
