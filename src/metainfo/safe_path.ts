/**
 * Makes names from a torrent safe to write. Follows libtorrent with two exceptions: the rules of all systems apply on
 * every system, so that a torrent has the same names everywhere (unless `portable` is `false`), and a name is cut only
 * if it is longer than file systems accept.
 *
 * @module
 */

import { MAX_NAME_BYTES } from "../base/bytes.ts";

/** Options for making names safe. */
export interface SafePathOptions {
  /**
   * Whether names must be valid on Windows as well: none of `<>:"|?*`, no trailing dots and spaces, no device names. If
   * `false`, names are safe only on systems that forbid just `/` and NUL. Default: `true`.
   */
  readonly portable?: boolean;
}

/** Length to which a longer name is cut, in bytes without its extension, as in libtorrent. */
const CUT_LENGTH = 240;
/** Maximum length of an extension that is kept when a name is cut, in bytes with the dot. */
const CUT_EXTENSION = 9;
/** Room for `.` and a number in a name that is made unique, in bytes. */
const NUMBER_ROOM = 8;
/** Maximum length of an extension in front of which a number is inserted, in bytes. */
const NUMBER_EXTENSION = 64;

/** Names that consist of these characters skip most checks. */
const PLAIN = /^[A-Za-z0-9 _()[\]{}!@#$%^&+=,;'~`.-]{1,255}$/;
const ASCII = /^[ -~]*$/;
/**
 * Characters that may combine with the preceding character. Characters past U+FFFF match too, since they are two UTF-16
 * code units and cannot be folded one by one.
 */
const TOUCHY = /[\p{M}\u1100-\u11ff\ud800-\udfff]|[^\0-\uffff]/u;
/** Cache of the other characters' folded forms by code, since a torrent can have a million characters to fold. */
const FOLDED: string[] = [];
/** Characters that are never allowed in names, and characters that are not allowed in portable names. */
const HARMFUL = /[\p{Cc}\p{Cs}/\\\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/u;
const HARMFUL_PORTABLE = /[\p{Cc}\p{Cs}/\\\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069<>:"|?*]/u;
const DEVICE = /^(?:CON|PRN|AUX|NUL|CLOCK\$|CONIN\$|CONOUT\$|(?:COM|LPT)[0-9\u00b9\u00b2\u00b3]) *(?:\.|$)/i;

/**
 * Makes a name safe. NUL, path separators and characters that change the writing direction are removed. Control characters
 * and characters that the system forbids become `_`. A name that is too long is cut, and its extension is kept.
 *
 * @returns The safe name; empty if nothing is left, as of `.`, `..` and `///`.
 */
export function safeName(name: string, options: SafePathOptions = {}): string {
  const portable = options.portable ?? true;
  let safe = PLAIN.test(name) ? name : cutName(filterName(name, portable));
  if (portable) safe = withoutTail(safe);
  if (safe === "." || safe === "..") return "";
  return portable && DEVICE.test(safe) ? withoutTail(headOf(`_${safe}`, MAX_NAME_BYTES)) : safe;
}

/**
 * Folds a name: names that any file system treats as equal, because they differ only in case or Unicode normalization,
 * yield the same text.
 *
 * @param name A safe name.
 */
export function foldName(name: string): string {
  if (ASCII.test(name)) return name.toUpperCase();
  const composed = TOUCHY.test(name) ? name.normalize("NFC") : name;
  if (TOUCHY.test(composed)) return foldWhole(composed);
  let folded = "";
  for (let i = 0; i < composed.length; i++) folded += FOLDED[composed.charCodeAt(i)] ??= foldWhole(composed.charAt(i));
  return folded;
}

function foldWhole(text: string): string {
  // Some characters become two when their case changes, so the result is normalized again.
  return text.normalize("NFC").toLowerCase().toUpperCase().normalize("NFC");
}

/**
 * Splits a name so that a number can be inserted before its extension.
 *
 * @param name A safe name.
 * @returns The stem, cut so that a number and the extension fit, and the extension with its dot, or an empty extension.
 */
export function splitName(name: string): { readonly stem: string; readonly extension: string } {
  const dot = name.lastIndexOf(".");
  const extension = dot > 0 && byteLength(name.slice(dot)) <= NUMBER_EXTENSION ? name.slice(dot) : "";
  const stem = name.slice(0, name.length - extension.length);
  return { stem: headOf(stem, MAX_NAME_BYTES - NUMBER_ROOM - byteLength(extension)), extension };
}

/**
 * Returns the length of a text in UTF-8.
 *
 * @returns Length in bytes.
 */
export function byteLength(text: string): number {
  let length = 0;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code < 0x80) length += 1;
    else if (code < 0x800) length += 2;
    else if (code >= 0xd800 && code < 0xe000) length += 2; // half of a surrogate pair, which has 4
    else length += 3;
  }
  return length;
}

function filterName(name: string, portable: boolean): string {
  if (!(portable ? HARMFUL_PORTABLE : HARMFUL).test(name)) return name;
  let safe = "";
  for (const char of name) {
    const code = char.codePointAt(0)!;
    if (isLeftOut(code)) continue;
    safe += isReplaced(code) || (portable && `<>:"|?*`.includes(char)) ? "_" : char;
  }
  return safe;
}

/** NUL, path separators, and characters that reverse the writing direction, so that `txt.exe` is displayed as `exe.txt`. */
function isLeftOut(code: number): boolean {
  return code === 0 || code === 0x2f || code === 0x5c || code === 0x61c || code === 0x200e || code === 0x200f ||
    (code >= 0x202a && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069);
}

/** Control characters, and unpaired surrogates, which UTF-8 cannot encode. */
function isReplaced(code: number): boolean {
  return code < 0x20 || (code >= 0x7f && code <= 0x9f) || (code >= 0xd800 && code <= 0xdfff);
}

function cutName(name: string): string {
  return name.length * 3 <= MAX_NAME_BYTES || byteLength(name) <= MAX_NAME_BYTES ? name : shortName(name);
}

/**
 * Cuts a name as libtorrent does with every name of more than 240 bytes.
 *
 * @returns At most 250 bytes of the name. A short extension is kept.
 */
export function shortName(name: string): string {
  if (byteLength(name) <= CUT_LENGTH) return name;
  const dot = name.lastIndexOf(".");
  const tail = dot > 0 ? name.slice(dot) : "";
  const extension = tail.length > 1 && byteLength(tail) <= CUT_EXTENSION ? tail : "";
  // Like libtorrent, keep the character that crosses the limit if there is room for it.
  const stem = name.slice(0, name.length - extension.length);
  const head = headOf(stem, CUT_LENGTH);
  const next = stem.slice(head.length).match(/^./su)?.[0] ?? "";
  const crossing = byteLength(head) < CUT_LENGTH && byteLength(head + next + extension) <= CUT_LENGTH + 10 ? next : "";
  return head + crossing + extension;
}

/** Returns as many whole characters as fit in a number of bytes. */
function headOf(text: string, limit: number): string {
  if (text.length * 3 <= limit) return text;
  let length = 0;
  let end = 0;
  for (const char of text) {
    length += byteLength(char);
    if (length > limit) break;
    end += char.length;
  }
  return text.slice(0, end);
}

function withoutTail(name: string): string {
  let end = name.length;
  while (end > 0 && (name[end - 1] === " " || name[end - 1] === ".")) end--;
  return name.slice(0, end);
}
