import { assertEquals, assertInstanceOf, assertThrows } from "@std/assert";
import { Bitfield } from "../../src/base/bitfield.ts";
import { utf8 } from "../../src/base/bytes.ts";
import { InfoHash } from "../../src/base/info_hash.ts";
import { decodeDict, encode } from "../../src/bencode/mod.ts";
import { ResumeStateError } from "../../src/storage/errors.ts";
import {
  encodeResumeState,
  type FilePlace,
  type FileRecord,
  maxResumeBytes,
  parseResumeState,
  type ResumeState,
} from "../../src/storage/resume_state.ts";
import { fc } from "../support/property.ts";

const SHAPE = { pieceCount: 11, fileCount: 3 };

const states: fc.Arbitrary<ResumeState> = fc.record({
  infoHash: fc.uint8Array({ minLength: 20, maxLength: 20 }).map((bytes) => new InfoHash(bytes)),
  folder: fc.string({ unit: "grapheme", maxLength: 50 }),
  saved: fc.maxSafeNat(),
  clean: fc.boolean(),
  marks: fc.array(fc.integer({ min: 0, max: 2 }), { minLength: SHAPE.pieceCount, maxLength: SHAPE.pieceCount }),
  files: fc.array(
    fc.record({
      place: fc.constantFrom<FilePlace>("absent", "part", "final"),
      size: fc.maxSafeNat(),
      modified: fc.maxSafeNat(),
    }),
    { minLength: SHAPE.fileCount, maxLength: SHAPE.fileCount },
  ),
}).map(({ marks, ...rest }) => {
  const pieces = new Bitfield(SHAPE.pieceCount);
  const unsynced = new Bitfield(SHAPE.pieceCount);
  for (const [piece, mark] of marks.entries()) {
    if (mark === 1) pieces.set(piece);
    if (mark === 2) unsynced.set(piece);
  }
  return { ...rest, pieces, unsynced };
});

const plain = (state: ResumeState) => ({
  ...state,
  infoHash: state.infoHash.hex,
  pieces: [...state.pieces],
  unsynced: [...state.unsynced],
});

function sample(): ResumeState {
  const pieces = new Bitfield(SHAPE.pieceCount);
  pieces.set(3);
  const file: FileRecord = { place: "part", size: 5, modified: 1 };
  return {
    infoHash: new InfoHash(new Uint8Array(20)),
    folder: "/x",
    saved: 1,
    clean: true,
    pieces,
    unsynced: new Bitfield(SHAPE.pieceCount),
    files: [file, file, file],
  };
}

Deno.test("parseResumeState() gives back what encodeResumeState() was given", () => {
  fc.assert(fc.property(states, (state) => {
    const bytes = encodeResumeState(state);
    assertEquals(plain(parseResumeState(bytes, SHAPE)), plain(state));
    assertEquals(bytes.length <= maxResumeBytes(SHAPE), true);
  }));
});

Deno.test("parseResumeState() throws nothing but ResumeStateError, whatever the bytes", () => {
  const good = encodeResumeState(sample());
  const damaged = fc.tuple(fc.nat(good.length - 1), fc.nat(255), fc.nat(good.length)).map(([at, byte, length]) => {
    const bytes = good.slice();
    bytes[at] = byte;
    return bytes.slice(0, length === 0 ? bytes.length : length);
  });
  fc.assert(fc.property(fc.oneof(damaged, fc.uint8Array({ maxLength: 200 })), (bytes) => {
    try {
      parseResumeState(bytes, SHAPE);
    } catch (error) {
      assertInstanceOf(error, ResumeStateError);
    }
  }));
});

Deno.test("parseResumeState() says what is wrong", () => {
  const entries = Object.fromEntries(decodeDict(encodeResumeState(sample())));
  const files = (place: number, size: number): Uint8Array => {
    const bytes = new Uint8Array(51);
    bytes[17] = place;
    new DataView(bytes.buffer).setFloat64(18, size);
    return bytes;
  };
  const cases: [why: string, change: Record<string, Uint8Array<ArrayBuffer> | number | undefined>][] = [
    ['"format"', { format: utf8("something else") }],
    ["version 2", { version: 2 }],
    ["version ?", { version: undefined }],
    ['"info-hash" has 19 bytes', { "info-hash": new Uint8Array(19) }],
    ['"info-hash" is missing', { "info-hash": undefined }],
    ['"folder" is not UTF-8', { folder: Uint8Array.of(0xff) }],
    ['"saved"', { saved: -1 }],
    ['"clean"', { clean: 2 }],
    ['"pieces" is no bitfield of 11 bits', { pieces: new Uint8Array(3) }],
    ['"unsynced" is no bitfield of 11 bits', { unsynced: Uint8Array.of(0, 1) }],
    ["piece 3 is both", { unsynced: Uint8Array.of(16, 0) }],
    ["does not list 3 files", { files: new Uint8Array(50) }],
    ["file 1 makes no sense", { files: files(3, 0) as Uint8Array<ArrayBuffer> }],
    ["file 1 makes no sense", { files: files(1, NaN) as Uint8Array<ArrayBuffer> }],
    ["file 1 makes no sense", { files: files(1, -1) as Uint8Array<ArrayBuffer> }],
  ];
  for (const [why, change] of cases) {
    assertThrows(() => parseResumeState(encode({ ...entries, ...change }), SHAPE), ResumeStateError, why);
  }
  assertThrows(() => parseResumeState(utf8("<html>"), SHAPE), ResumeStateError);
  const huge = new Uint8Array(maxResumeBytes(SHAPE) + 1);
  assertThrows(() => parseResumeState(huge, SHAPE), ResumeStateError, "too many");
});
