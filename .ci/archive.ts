/**
 * Archives that come out the same, byte for byte, whoever makes them and when: no times, no owners, names in order.
 *
 * @module
 */

import { utf8 } from "../src/base/bytes.ts";

/** A file of an archive. */
export interface ArchivedFile {
  /** Path in the archive, with forward slashes; ASCII, 100 characters at most. */
  readonly name: string;
  /** What it holds. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Whether it is a program. */
  readonly executable?: boolean;
}

const BLOCK = 512;
/** 1980-01-01, the first day that a zip knows. */
const ZIP_DATE = 0x21;

/**
 * Makes a `.tar.gz` (POSIX ustar).
 *
 * @param files What goes into it.
 * @returns The archive.
 */
export async function tarGz(files: readonly ArchivedFile[]): Promise<Uint8Array<ArrayBuffer>> {
  const parts: Uint8Array<ArrayBuffer>[] = [];
  for (const file of inOrder(files)) {
    parts.push(tarHeader(file), file.bytes, new Uint8Array((BLOCK - file.bytes.length % BLOCK) % BLOCK));
  }
  parts.push(new Uint8Array(2 * BLOCK));
  const packed = await pressed(new Blob(parts), "gzip");
  packed.fill(0, 4, 8); // the time
  packed[9] = 255; // the system that it was made on
  return packed;
}

/**
 * Makes a `.zip`.
 *
 * @param files What goes into it.
 * @returns The archive.
 */
export async function zip(files: readonly ArchivedFile[]): Promise<Uint8Array<ArrayBuffer>> {
  const parts: Uint8Array<ArrayBuffer>[] = [];
  const index: Uint8Array<ArrayBuffer>[] = [];
  let at = 0;
  for (const { name, bytes } of inOrder(files)) {
    const packed = await pressed(new Blob([bytes]), "deflate-raw");
    const text = utf8(name);
    // Version 2.0, no flags, deflate, time and date; checksum, sizes; lengths of the name and of nothing more.
    const common = fields([[2, 20], [2, 0], [2, 8], [2, 0], [2, ZIP_DATE], [4, crc32(bytes)]]);
    const sizes = fields([[4, packed.length], [4, bytes.length], [2, text.length], [2, 0]]);
    const local = [fields([[4, 0x04034b50]]), common, sizes, text, packed];
    index.push(fields([[4, 0x02014b50], [2, 20]]), common, sizes);
    index.push(fields([[2, 0], [2, 0], [2, 0], [4, 0], [4, at]]), text);
    parts.push(...local);
    at += lengthOf(local);
  }
  const count = files.length;
  const end = fields([[4, 0x06054b50], [2, 0], [2, 0], [2, count], [2, count], [4, lengthOf(index)], [4, at], [2, 0]]);
  return new Uint8Array(await new Blob([...parts, ...index, end]).arrayBuffer());
}

function inOrder(files: readonly ArchivedFile[]): ArchivedFile[] {
  return files.toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

function tarHeader({ name, bytes, executable }: ArchivedFile): Uint8Array<ArrayBuffer> {
  if (!/^[\x20-\x7e]{1,100}$/.test(name)) throw new Error(`${name} can't be in an archive`);
  const header = new Uint8Array(BLOCK);
  const put = (text: string, position: number) => void new TextEncoder().encodeInto(text, header.subarray(position));
  const octal = (value: number, digits: number) => `${value.toString(8).padStart(digits, "0")}\0`;
  put(name, 0);
  put(octal(executable ? 0o755 : 0o644, 7) + octal(0, 7) + octal(0, 7) + octal(bytes.length, 11) + octal(0, 11), 100);
  put("        0", 148); // the checksum counts as spaces; a regular file
  put("ustar\x0000", 257);
  put(`${header.reduce((sum, byte) => sum + byte, 0).toString(8).padStart(6, "0")}\0 `, 148);
  return header;
}

async function pressed(blob: Blob, format: "gzip" | "deflate-raw"): Promise<Uint8Array<ArrayBuffer>> {
  return new Uint8Array(await new Response(blob.stream().pipeThrough(new CompressionStream(format))).arrayBuffer());
}

/** Numbers in little-endian order, each with how many bytes it has. */
function fields(values: readonly (readonly [bytes: 2 | 4, value: number])[]): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(values.reduce((sum, [bytes]) => sum + bytes, 0));
  const view = new DataView(out.buffer);
  let at = 0;
  for (const [bytes, value] of values) {
    if (bytes === 2) view.setUint16(at, value, true);
    else view.setUint32(at, value, true);
    at += bytes;
  }
  return out;
}

function lengthOf(parts: readonly Uint8Array[]): number {
  return parts.reduce((sum, part) => sum + part.length, 0);
}

const CRC = Uint32Array.from({ length: 256 }, (_, byte) => {
  for (let bit = 0; bit < 8; bit++) byte = byte & 1 ? 0xedb88320 ^ (byte >>> 1) : byte >>> 1;
  return byte;
});

function crc32(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = CRC[(crc ^ byte) & 0xff]! ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}
