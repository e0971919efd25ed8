/**
 * Small helpers for byte strings.
 *
 * @module
 */

/** Bytes over a buffer that is not shared, which is what sockets, files and hashes take. */
export type Bytes = Uint8Array<ArrayBuffer>;

const HEX = Array.from({ length: 256 }, (_, i) => i.toString(16).padStart(2, "0"));
/** Below this length a loop is faster than a call of the decoder. */
const SHORT = 64;
const encoder = new TextEncoder();
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
  // A decoder that throws at what isn't UTF-8 would do too, but a hundred times as slowly there.
  return shortAscii(bytes) ?? (isUtf8(bytes) ? looseDecoder.decode(bytes) : null);
}

/**
 * UTF-8 as text, with U+FFFD for what is not UTF-8.
 *
 * @param bytes Any bytes.
 * @returns The text.
 */
export function fromUtf8Lossy(bytes: Uint8Array): string {
  return shortAscii(bytes) ?? looseDecoder.decode(bytes);
}

function shortAscii(bytes: Uint8Array): string | null {
  if (bytes.length > SHORT) return null;
  let text = "";
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i]!;
    if (byte > 0x7f) return null;
    text += String.fromCharCode(byte);
  }
  return text;
}

/** The table of well-formed byte sequences of the Unicode standard (chapter 3, "UTF-8") as code. */
function isUtf8(bytes: Uint8Array): boolean {
  for (let at = 0; at < bytes.length;) {
    const byte = bytes[at++]!;
    if (byte < 0x80) continue;
    if (byte < 0xc2 || byte > 0xf4) return false;
    let low = byte === 0xe0 ? 0xa0 : byte === 0xf0 ? 0x90 : 0x80;
    let high = byte === 0xed ? 0x9f : byte === 0xf4 ? 0x8f : 0xbf;
    for (let more = byte < 0xe0 ? 1 : byte < 0xf0 ? 2 : 3; more > 0; more--) {
      const next = bytes[at++];
      if (next === undefined || next < low || next > high) return false;
      low = 0x80;
      high = 0xbf;
    }
  }
  return true;
}
