/**
 * Names from a torrent made safe to write, as libtorrent does it, but that the rules of every system are applied on every
 * system (so that a torrent has the same names everywhere) unless `portable` is switched off, and that a name is cut only
 * when it is longer than file systems take.
 *
 * @module
 */

import { MAX_NAME_BYTES } from "../base/bytes.ts";

/** How careful to be. */
export interface SafePathOptions {
  /**
   * Whether names must be valid on Windows too: none of `<>:"|?*`, no trailing dots and spaces, no device names. Without it they
   * are only safe where `/` and NUL are all that is forbidden. Default: `true`.
   */
  readonly portable?: boolean;
}

/** What is left of a longer name, in bytes without its extension; libtorrent cuts there, too. */
const CUT_LENGTH = 240;
/** Longest extension that survives a cut, dot included, in bytes. */
const CUT_EXTENSION = 9;
/** Room for `.` and a number in a name that had to be made unique. */
const NUMBER_ROOM = 8;
/** Longest extension that a number goes before, in bytes. */
const NUMBER_EXTENSION = 64;

/** Names made of these and no others need only the last checks. */
const PLAIN = /^[A-Za-z0-9 _()[\]{}!@#$%^&+=,;'~`.-]{1,255}$/;
const ASCII = /^[ -~]*$/;
/** Characters that may grow together with the one before; those past U+FFFF are here because they are two in a string. */
const TOUCHY = /[\p{M}\u1100-\u11ff\ud800-\udfff]|[^\0-\uffff]/u;
/** Other characters folded, by their codes, since a torrent can have a million of them. */
const FOLDED: string[] = [];
/** Characters that no name may have, and those that no portable name may have. */
const HARMFUL = /[\p{Cc}\p{Cs}/\\\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/u;
const HARMFUL_PORTABLE = /[\p{Cc}\p{Cs}/\\\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069<>:"|?*]/u;
const DEVICE = /^(?:CON|PRN|AUX|NUL|CLOCK\$|CONIN\$|CONOUT\$|(?:COM|LPT)[0-9\u00b9\u00b2\u00b3]) *(?:\.|$)/i;

/**
 * One name made safe. Separators and characters that change the direction of writing are left out; control characters and
 * what the system forbids become `_`; a name that is too long is cut, its extension kept.
 *
 * @param name Any text.
 * @param options How careful to be.
 * @returns A name, or the empty string when nothing is left, as of `.`, `..` and `///`.
 */
export function safeName(name: string, options: SafePathOptions = {}): string {
  const portable = options.portable ?? true;
  let safe = PLAIN.test(name) ? name : cutName(filterName(name, portable));
  if (portable) safe = withoutTail(safe);
  if (safe === "." || safe === "..") return "";
  return portable && DEVICE.test(safe) ? withoutTail(headOf(`_${safe}`, MAX_NAME_BYTES)) : safe;
}

/**
 * What two names have in common that some file system takes for the same: case and Unicode form do not count.
 *
 * @param name A safe name.
 * @returns Equal strings for such names.
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
  // Some characters become two when their case changes, hence the second time.
  return text.normalize("NFC").toLowerCase().toUpperCase().normalize("NFC");
}

/**
 * Splits a name so that a number can go before its extension.
 *
 * @param name A safe name.
 * @returns The stem, cut so that a number and the extension still fit, and the extension with its dot, or none.
 */
export function splitName(name: string): { readonly stem: string; readonly extension: string } {
  const dot = name.lastIndexOf(".");
  const extension = dot > 0 && byteLength(name.slice(dot)) <= NUMBER_EXTENSION ? name.slice(dot) : "";
  const stem = name.slice(0, name.length - extension.length);
  return { stem: headOf(stem, MAX_NAME_BYTES - NUMBER_ROOM - byteLength(extension)), extension };
}

/**
 * @param text Any text.
 * @returns How many bytes it has as UTF-8.
 */
export function byteLength(text: string): number {
  let length = 0;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code < 0x80) length += 1;
    else if (code < 0x800) length += 2;
    else if (code >= 0xd800 && code < 0xe000) length += 2; // half of a pair, which has 4
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

/** Separators, and the characters that make `exe.txt` of `txt.exe` on the screen. */
function isLeftOut(code: number): boolean {
  return code === 0x2f || code === 0x5c || code === 0x61c || code === 0x200e || code === 0x200f ||
    (code >= 0x202a && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069);
}

/** Control characters, and halves of a surrogate pair, which UTF-8 can't say. */
function isReplaced(code: number): boolean {
  return code < 0x20 || (code >= 0x7f && code <= 0x9f) || (code >= 0xd800 && code <= 0xdfff);
}

function cutName(name: string): string {
  return name.length * 3 <= MAX_NAME_BYTES || byteLength(name) <= MAX_NAME_BYTES ? name : shortName(name);
}

/**
 * A name cut as libtorrent cuts every name from 240 bytes on.
 *
 * @param name A name.
 * @returns At most 250 bytes of it, its extension kept if that is short.
 */
export function shortName(name: string): string {
  if (byteLength(name) <= CUT_LENGTH) return name;
  const dot = name.lastIndexOf(".");
  const tail = dot > 0 ? name.slice(dot) : "";
  const extension = tail.length > 1 && byteLength(tail) <= CUT_EXTENSION ? tail : "";
  // The character that crosses the limit stays, as in libtorrent, where the whole still has room.
  const stem = name.slice(0, name.length - extension.length);
  const head = headOf(stem, CUT_LENGTH);
  const next = stem.slice(head.length).match(/^./su)?.[0] ?? "";
  const crossing = byteLength(head) < CUT_LENGTH && byteLength(head + next + extension) <= CUT_LENGTH + 10 ? next : "";
  return head + crossing + extension;
}

/** As many whole characters as fit in some bytes. */
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
