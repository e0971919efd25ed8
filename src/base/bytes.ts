/**
 * Small helpers for byte strings.
 *
 * @module
 */

/** Bytes over a buffer that is not shared, which is what sockets, files and hashes take. */
export type Bytes = Uint8Array<ArrayBuffer>;

const HEX = Array.from({ length: 256 }, (_, i) => i.toString(16).padStart(2, "0"));
const encoder = new TextEncoder();
const strictDecoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const looseDecoder = new TextDecoder("utf-8", { ignoreBOM: true });

/**
 * Bytes as lower-case hexadecimal.
 *
 * @param bytes Any bytes.
 * @returns Two digits a byte.
 */
export function toHex(bytes: Uint8Array): string {
  let out = "";
  for (const byte of bytes) out += HEX[byte];
  return out;
}

/**
 * Hexadecimal digits, of either case, as bytes.
 *
 * @param text An even number of hexadecimal digits.
 * @returns The bytes, or `null` when `text` is anything else.
 */
export function fromHex(text: string): Bytes | null {
  if (text.length % 2 !== 0 || !/^[0-9a-fA-F]*$/.test(text)) return null;
  const out = new Uint8Array(text.length / 2);
  for (let i = 0; i < out.length; i++) out[i] = parseInt(text.slice(i * 2, i * 2 + 2), 16);
  return out;
}

/**
 * Whether two byte strings are the same.
 *
 * @param a One byte string.
 * @param b The other.
 * @returns `true` when lengths and bytes agree.
 */
export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/**
 * One byte string from several.
 *
 * @param parts In order.
 * @returns A new array with all of them.
 */
export function concatBytes(parts: readonly Uint8Array[]): Bytes {
  let length = 0;
  for (const part of parts) length += part.length;
  const out = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

/**
 * Text as UTF-8.
 *
 * @param text Any string.
 * @returns Its bytes.
 */
export function utf8(text: string): Bytes {
  return encoder.encode(text) as Bytes; // a plain buffer, though the types of TypeScript before 5.9 do not say so
}

/**
 * UTF-8 as text, refusing what is not UTF-8.
 *
 * @param bytes Any bytes.
 * @returns The text, or `null` when `bytes` is not valid UTF-8.
 */
export function fromUtf8(bytes: Uint8Array): string | null {
  try {
    return strictDecoder.decode(bytes);
  } catch {
    return null; // the only thing that a fatal decoder throws is "not UTF-8", which the caller asked about
  }
}

/**
 * UTF-8 as text, with U+FFFD for what is not UTF-8.
 *
 * @param bytes Any bytes.
 * @returns The text.
 */
export function fromUtf8Lossy(bytes: Uint8Array): string {
  return looseDecoder.decode(bytes);
}
