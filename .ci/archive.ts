/**
 * Reproducible archives: no times, no owners, and files in order of their names.
 *
 * @module
 */

import { utf8 } from "../src/base/bytes.ts";

/** A file in an archive. */
export interface ArchivedFile {
  /** Path in the archive, with forward slashes: ASCII, at most 100 characters. */
  readonly name: string;
  /** Content of the file. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** `true` for a program. `false` by default. */
  readonly executable?: boolean;
}

const BLOCK = 512;
/** 1980-01-01, the earliest date of the zip format. */
const ZIP_DATE = 0x21;

/** Makes a `.tar.gz` archive (POSIX ustar). */
export async function tarGz(files: readonly ArchivedFile[]): Promise<Uint8Array<ArrayBuffer>> {
  const parts: Uint8Array<ArrayBuffer>[] = [];
  for (const file of inOrder(files)) {
    parts.push(tarHeader(file), file.bytes, new Uint8Array((BLOCK - file.bytes.length % BLOCK) % BLOCK));
  }
  parts.push(new Uint8Array(2 * BLOCK));
  const packed = await pressed(new Blob(parts), "gzip");
  packed.fill(0, 4, 8); // time
  packed[9] = 255; // operating system: unknown
  return packed;
}

/** Makes a `.zip` archive. */
export async function zip(files: readonly ArchivedFile[]): Promise<Uint8Array<ArrayBuffer>> {
  const parts: Uint8Array<ArrayBuffer>[] = [];
  const index: Uint8Array<ArrayBuffer>[] = [];
  let at = 0;
  for (const { name, bytes } of inOrder(files)) {
    const packed = await pressed(new Blob([bytes]), "deflate-raw");
    const text = utf8(name);
    // Version 2.0, no flags, deflate, time and date, checksum. Then the sizes, and the lengths of name and extra field.
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
  put("        0", 148); // the checksum is computed with spaces in its place; "0" is a regular file
  put("ustar\x0000", 257);
  put(`${header.reduce((sum, byte) => sum + byte, 0).toString(8).padStart(6, "0")}\0 `, 148);
  return header;
}

async function pressed(blob: Blob, format: "gzip" | "deflate-raw"): Promise<Uint8Array<ArrayBuffer>> {
  return new Uint8Array(await new Response(blob.stream().pipeThrough(new CompressionStream(format))).arrayBuffer());
}

/** Encodes numbers in little-endian order. */
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
