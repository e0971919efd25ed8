/**
 * Names what kind of data a response holds, for messages that mustn't show the data: a URL may lead to a server that
 * the author of the torrent has no access to.
 *
 * @module
 */

import { fromUtf8Lossy } from "./bytes.ts";

/** Bytes that are examined. */
const SNIFFED_BYTES = 256;

/**
 * Names the kind of a response by its first bytes.
 *
 * @param bytes The response.
 * @returns `a web page`, `XML`, `JSON`, `text` or `binary data`.
 */
export function contentKind(bytes: Uint8Array): string {
  const text = fromUtf8Lossy(bytes.subarray(0, SNIFFED_BYTES)).replace(/^\ufeff/, "").trimStart();
  if (/^<\?xml/i.test(text) && !/<html|<!doctype html/i.test(text)) return "XML";
  if (/^<(?:!|\?xml|[a-z])/i.test(text)) return "a web page";
  if (/^(?:\{\s*["}]|\[\s*[[{"\]\d-])/.test(text)) return "JSON";
  // deno-lint-ignore no-control-regex -- control characters are what tells binary data
  return /[\0-\x08\x0e-\x1f\ufffd]/.test(text.slice(0, SNIFFED_BYTES / 2)) ? "binary data" : "text";
}
