/**
 * Torrents that a fuzzer writes.
 *
 * @module
 */

import { utf8 } from "../../../src/base/bytes.ts";
import type { Dice } from "../dice.ts";
import { anyBytes, anyInteger, BENCODE_TOKENS, disturb, Pairs, type Shape } from "./bencode.ts";

/** Parts of names that do harm on some system. */
export const NAME_PARTS: readonly string[] = [
  ...[
    "a",
    "b",
    "A",
    "B",
    "name",
    ".",
    "..",
    "...",
    "/",
    "\\",
    "//",
    "../",
    "..\\",
    "C:",
    ":",
    "\0",
    "\n",
    " ",
    "~",
    "-",
  ],
  ...["CON", "con", "NUL", "AUX.txt", "COM1", "COM\u00b9", "LPT9.", "CLOCK$", "CONIN$", "lost+found", ".part", ".pad"],
  ...[
    ".1",
    ".2",
    ".10",
    ".txt",
    ".tar.gz",
    "_",
    "__",
    "_____padding_file_0_",
    ".git",
    "%2e%2e",
    "%00",
    "*",
    "?",
    "<",
    '"',
  ],
  ...["\u202e", "\u200f", "\u2066", "\u061c", "\u200b", "\ufeff", "\u00ad", "\u0085", "\u2028", "\u007f", "\u001b[2J"],
  ...["\u00e9", "e\u0301", "\u00c9", "\u212b", "\u00c5", "\u00df", "ss", "SS", "\u1e9e", "\u0130", "i", "I", "\u0131"],
  ...[
    "\u03c3",
    "\u03c2",
    "\u03a3",
    "\ufb01",
    "fi",
    "\u01c6",
    "\u01c4",
    "\u212a",
    "K",
    "k",
    "\u017f",
    "\u0345",
    "\u03b9",
  ],
  ...[
    "\ufdfa",
    "\u{1f600}",
    "\u{10ffff}",
    "\ufffd",
    "\uffff",
    "\u65e5\u672c",
    "\uac00",
    "\u1100\u1161",
    "\u0301",
    "\ud7ff",
  ],
];
const ODD_BYTES = [
  Uint8Array.of(0xff),
  Uint8Array.of(0xed, 0xa0, 0x80),
  Uint8Array.of(0xc0, 0xaf),
  Uint8Array.of(0x83, 0x5c),
  Uint8Array.of(0xf4, 0x90, 0x80, 0x80),
  Uint8Array.of(0xe2, 0x80),
];
const CHARSETS = [
  "UTF-8",
  "utf8",
  "GBK",
  "Shift_JIS",
  "UTF-16",
  "utf-16le",
  "latin1",
  "big5",
  "iso-2022-jp",
  "x",
  "",
  "\0",
];
const ATTRIBUTES = ["p", "l", "x", "h", "lx", "pl", "px", "", "plx"];
const PIECE_LENGTHS = [1, 2, 3, 16, 100, 16_384, 16_384, 32_768, 1 << 20, 1 << 24, 1 << 29, (1 << 29) + 1];
const URLS = [
  ...[
    "http://a.example/announce",
    "udp://t.example:80",
    "https://[::1]:443/a?b=c#d",
    "ws://x",
    "http://",
    "ftp://a/b c",
  ],
  ...[
    "http://\u65e5\u672c.example/",
    "http://a%00b/",
    "HTTP://A.EXAMPLE",
    "javascript:alert(1)",
    "file:///etc/passwd",
    "x",
  ],
  ...["http://a.example:99999/", "http://user:pass@host/", " http://a ", "http://xn--a/", "data://,", "http://0x7f.1/"],
];

/** Tokens that mutations insert into torrents. */
export const METAINFO_TOKENS: readonly string[] = [
  ...BENCODE_TOKENS,
  ...[
    "4:infod",
    "5:filesl",
    "6:lengthi",
    "4:pathl",
    "10:path.utf-8l",
    "4:name",
    "6:pieces0:",
    "12:piece lengthi16384e",
  ],
  ...["4:attr1:l", "4:attr1:p", "12:symlink pathl", "8:announce", "13:announce-list", "8:url-list", "5:nodes", "2:.."],
  ...[
    "12:meta versioni2e",
    "9:file treed",
    "8:encoding3:GBK",
    "13:creation datei9007199254740991e",
    "1:/",
    "0:",
    "1:\\",
  ],
];

/** Returns a name of a file, a folder or a torrent, sometimes as bytes that are not text. */
export function anyName(dice: Dice): Uint8Array | string {
  if (dice.oneIn(40)) return anyBytes(dice);
  if (dice.oneIn(40)) return dice.pick(ODD_BYTES);
  if (dice.oneIn(60)) return dice.pick(NAME_PARTS).repeat(1 + dice.below(300));
  let name = dice.pick(NAME_PARTS);
  while (dice.oneIn(3)) name += dice.pick(NAME_PARTS);
  return name;
}

/** Returns the outer dictionary of a torrent that is valid except for something odd. */
export function anyTorrent(dice: Dice): Pairs {
  const torrent = new Pairs({
    announce: dice.oneIn(2) ? anyUrl(dice) : undefined,
    "announce-list": dice.oneIn(3) ? anyList(dice, () => anyList(dice, () => anyUrl(dice))) : undefined,
    comment: dice.oneIn(4) ? anyName(dice) : undefined,
    "created by": dice.oneIn(6) ? anyName(dice) : undefined,
    "creation date": dice.oneIn(4) ? anyInteger(dice) : undefined,
    encoding: dice.oneIn(4) ? dice.pick(CHARSETS) : undefined,
    info: anyInfo(dice),
    nodes: dice.oneIn(5) ? anyList(dice, () => [anyName(dice), anyInteger(dice)]) : undefined,
    "url-list": dice.oneIn(4) ? (dice.oneIn(2) ? anyUrl(dice) : anyList(dice, () => anyUrl(dice))) : undefined,
  });
  disturb(torrent, dice, 60);
  return torrent;
}

function anyInfo(dice: Dice): Pairs {
  const pieceLength = dice.pick(PIECE_LENGTHS);
  const many = dice.oneIn(30) ? 40 : 7;
  const files = dice.oneIn(3) ? null : Array.from({ length: 1 + dice.below(many) }, () => anyFile(dice, pieceLength));
  const length = anyLength(dice, pieceLength);
  const total = files ? files.reduce((sum, file) => sum + file.counted, 0) : length;
  const count = Math.min(Math.max(0, Math.ceil(total / pieceLength)), 200) + (dice.oneIn(50) ? 1 : 0);
  const info = new Pairs({
    attr: !files && dice.oneIn(10) ? dice.pick(ATTRIBUTES) : undefined,
    files: files ? files.map((file) => file.entry) : undefined,
    length: files ? undefined : length,
    "meta version": dice.oneIn(20) ? anyInteger(dice) : undefined,
    name: anyName(dice),
    "name.utf-8": dice.oneIn(20) ? anyName(dice) : undefined,
    "piece length": pieceLength,
    pieces: dice.bytes(20 * count + (dice.oneIn(50) ? 1 : 0)),
    private: dice.oneIn(5) ? anyInteger(dice) : undefined,
    source: dice.oneIn(10) ? anyName(dice) : undefined,
  });
  disturb(info, dice, 80);
  return info;
}

/** Returns a file and the number of bytes that it adds to the torrent. */
function anyFile(dice: Dice, pieceLength: number): { entry: Shape; counted: number } {
  const attr = dice.oneIn(3) ? dice.pick(ATTRIBUTES) : undefined;
  const isLink = attr?.includes("l") && !attr.includes("p");
  const length = anyLength(dice, pieceLength);
  const entry = new Pairs({
    attr,
    length: isLink && dice.oneIn(2) ? undefined : length,
    path: anyPath(dice),
    "path.utf-8": dice.oneIn(20) ? anyPath(dice) : undefined,
    "symlink path": isLink || dice.oneIn(20) ? anyPath(dice) : undefined,
  });
  disturb(entry, dice, 150);
  return { entry, counted: isLink ? 0 : length };
}

function anyPath(dice: Dice): Shape {
  const count = dice.oneIn(100) ? 95 + dice.below(10) : 1 + dice.below(3);
  // There are few different names, so that paths of files collide and links lead to existing files.
  return Array.from(
    { length: count },
    () => dice.oneIn(2) ? dice.pick(["a", "b", "A", "a.1", "\u00e9"]) : anyName(dice),
  );
}

function anyLength(dice: Dice, pieceLength: number): number {
  if (dice.oneIn(60)) return Number(anyInteger(dice)) || 0;
  return dice.oneIn(5) ? 0 : dice.below(3) * pieceLength + dice.below(Math.min(pieceLength, 20_000));
}

function anyUrl(dice: Dice): Shape {
  return dice.oneIn(12) ? utf8(dice.pick(URLS)).subarray(0, dice.below(20)) : dice.pick(URLS);
}

function anyList(dice: Dice, item: () => Shape): Shape {
  return Array.from({ length: dice.below(4) }, item);
}
