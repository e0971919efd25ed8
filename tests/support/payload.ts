/**
 * Payloads made from a seed, and the comparison of a client's result with a payload.
 *
 * @module
 */

import { type Bytes, equalBytes } from "../../src/base/bytes.ts";

/** Data to seed. */
export interface Payload {
  /** Name of the file or top folder. */
  readonly name: string;
  /** Folder that contains the file or top folder. */
  readonly folder: string;
  /** Total bytes. */
  readonly size: number;
  /** Paths of the files below `folder` with their sizes in bytes, ordered by path. */
  readonly files: readonly { readonly path: string; readonly size: number }[];
}

/** Options for {@linkcode makeTree}. */
export interface PayloadTreeOptions {
  /** Name of the file or top folder. */
  readonly name: string;
  /** Seed of the contents; any integer. */
  readonly seed: number;
}

/** Options for {@linkcode makeFile}. */
export interface PayloadFileOptions extends PayloadTreeOptions {
  /** Total bytes. */
  readonly size: number;
}

/** Options for {@linkcode makeFiles}. */
export interface PayloadFilesOptions extends PayloadFileOptions {
  /** Number of files; `size` has to be at least 1024 bytes for each. */
  readonly count: number;
}

/** Options for {@linkcode assertSame}. */
export interface ComparisonOptions {
  /** `optional` accepts a client that doesn't create empty files. */
  readonly emptyFiles?: "optional";
  /** `optional` accepts a client that writes the padding of a hybrid torrent (BEP 47) as files. */
  readonly padding?: "optional";
}

/**
 * Returns bytes that look random but depend only on the seed.
 *
 * @param length Number of bytes.
 * @param seed Any integer.
 */
export function noise(length: number, seed: number): Bytes {
  const words = new Uint32Array(Math.ceil(length / 4));
  let x = (seed * 2654435761) | 1;
  for (let i = 0; i < words.length; i++) {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    words[i] = x;
  }
  return new Uint8Array(words.buffer, 0, length);
}

/**
 * Writes one file of noise.
 *
 * @param folder Folder of the file, created if necessary.
 */
export async function makeFile(folder: string, options: PayloadFileOptions): Promise<Payload> {
  await Deno.mkdir(folder, { recursive: true });
  const file = await Deno.create(`${folder}/${options.name}`);
  try {
    const step = 16 << 20;
    for (let at = 0; at < options.size; at += step) {
      const bytes = noise(Math.min(step, options.size - at), options.seed + at / step);
      for (let done = 0; done < bytes.length;) done += await file.write(bytes.subarray(done));
    }
  } finally {
    file.close();
  }
  const { name, size } = options;
  return { name, folder, size, files: [{ path: name, size }] };
}

/**
 * Writes a folder of files of roughly equal, odd sizes, 100 files to a subfolder.
 *
 * @param folder Folder of the top folder.
 */
export async function makeFiles(folder: string, options: PayloadFilesOptions): Promise<Payload> {
  const { name, count, size, seed } = options;
  const start = (i: number) =>
    i === 0 || i === count ? size * i / count : Math.floor(size * i / count) + (i * 7919) % 97;
  const files: { path: string; size: number }[] = [];
  for (let i = 0; i < count; i++) {
    const parent = `${name}/${String(Math.floor(i / 100)).padStart(4, "0")}`;
    if (i % 100 === 0) await Deno.mkdir(`${folder}/${parent}`, { recursive: true });
    const file = { path: `${parent}/${String(i).padStart(6, "0")}.bin`, size: start(i + 1) - start(i) };
    await Deno.writeFile(`${folder}/${file.path}`, noise(file.size, seed + i));
    files.push(file);
  }
  return { name, folder, size, files };
}

/** Folders that are hard on clients: spaces, quotes, composed and decomposed accents, other scripts, and depth. */
const FOLDERS = [
  "plain",
  "with two  spaces",
  "quote's & (brackets) [x] #1 100%",
  "compos\u00e9 \u00fcml\u00e4ut",
  "de\u0301compose\u0301",
  "\u65e5\u672c\u8a9e/\u0440\u0443\u0441\u0441\u043a\u0438\u0439",
  "a/b/c/d/e/f/g/h/i/j",
  "\u{1f41f} fish, comma; semicolon",
  ".hidden",
  "UPPER/lower",
];

/**
 * Writes a tree of 200 files with odd sizes and names from {@linkcode FOLDERS}, about 24 MiB. Every tenth file is
 * empty.
 *
 * @param folder Folder of the top folder.
 */
export async function makeTree(folder: string, options: PayloadTreeOptions): Promise<Payload> {
  const files: { path: string; size: number }[] = [];
  for (let i = 0; i < 200; i++) {
    const parent = `${options.name}/${FOLDERS[(i * 7) % FOLDERS.length]}`;
    const path = `${parent}/file ${i}${i % 3 === 0 ? " n\u0303 \u00f1" : ""}.${i % 2 === 0 ? "bin" : "data.tar"}`;
    const size = sizeOf(i);
    await Deno.mkdir(`${folder}/${parent}`, { recursive: true });
    await Deno.writeFile(`${folder}/${path}`, noise(size, options.seed + i));
    files.push({ path, size });
  }
  const size = files.reduce((sum, file) => sum + file.size, 0);
  return { name: options.name, folder, size, files: files.sort((a, b) => (a.path < b.path ? -1 : 1)) };
}

function sizeOf(i: number): number {
  const edges = [0, 1, 16_383, 16_384, 16_385, 262_144, 262_145];
  return edges[i % 10] ?? 100_003 + ((i * 7919) % 400_000);
}

/**
 * Asserts that a client's result equals the payload byte for byte, with no other files.
 *
 * @param payload Seeded payload.
 * @param folder Folder of the client's result.
 * @throws {Error} If a file is missing, different or superfluous; the message names the file and the first wrong byte.
 */
export async function assertSame(payload: Payload, folder: string, options: ComparisonOptions = {}): Promise<void> {
  const faults: string[] = [];
  const found = new Set(await listFiles(folder, payload.name));
  for (const { path, size } of payload.files) {
    if (!found.delete(path)) {
      if (size > 0 || options.emptyFiles !== "optional") faults.push(`${path} is missing`);
      continue;
    }
    const at = await firstDifference(`${payload.folder}/${path}`, `${folder}/${path}`);
    if (at !== null) faults.push(`${path} differs from byte ${at} on`);
  }
  for (const path of found) {
    if (options.padding === "optional" && path.startsWith(`${payload.name}/.pad/`)) continue;
    faults.push(`${path} should not be there`);
  }
  if (faults.length > 0) throw new Error(`${folder} is not the payload:\n  ${faults.slice(0, 20).join("\n  ")}`);
}

/** Returns the offset of the first difference between two files, or `null` if the files are equal. */
async function firstDifference(wanted: string, found: string): Promise<number | null> {
  using left = await Deno.open(wanted);
  using right = await Deno.open(found);
  const a = new Uint8Array(1 << 20);
  const b = new Uint8Array(1 << 20);
  for (let at = 0;; at += a.length) {
    const lengthA = await fill(left, a);
    const lengthB = await fill(right, b);
    const equal = equalBytes(a.subarray(0, lengthA), b.subarray(0, lengthB));
    if (!equal) return at + a.findIndex((byte, i) => i >= lengthA || i >= lengthB || byte !== b[i]);
    if (lengthA < a.length) return null;
  }
}

/** Reads until the array is full or the file ends. */
async function fill(file: Deno.FsFile, into: Bytes): Promise<number> {
  let filled = 0;
  while (filled < into.length) {
    const n = await file.read(into.subarray(filled));
    if (n === null) break;
    filled += n;
  }
  return filled;
}

async function listFiles(folder: string, name: string): Promise<string[]> {
  const info = await Deno.stat(`${folder}/${name}`);
  if (info.isFile) return [name];
  const files: string[] = [];
  for await (const entry of Deno.readDir(`${folder}/${name}`)) {
    const path = `${name}/${entry.name}`;
    if (entry.isDirectory) files.push(...await listFiles(folder, path));
    else files.push(path);
  }
  return files;
}
