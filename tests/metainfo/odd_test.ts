/**
 * Torrents with defects, each a file of the corpus. A torrent is accepted if libtorrent, aria2 and Transmission all
 * accept it, and refused if they refuse it. The info-hashes are libtorrent's.
 *
 * @module
 */

import { assertEquals, assertThrows } from "@std/assert";
import { sha1 } from "../../src/platform/start_digest.ts";
import { toHex } from "../../src/base/bytes.ts";
import { MetainfoError, parseMetainfo } from "../../src/metainfo/mod.ts";

/** Info-hash and expected warnings by file name. */
const TAKEN: Record<string, readonly [infoHash: string, warnings: readonly string[]]> = {
  newline_behind: ["ffdc8334a33f9992df0525bcc0745a4caf8106f5", [
    "byte 186: expected the end of the input, 1 byte follows",
  ]],
  crlf_behind: ["ffdc8334a33f9992df0525bcc0745a4caf8106f5", [
    "byte 186: expected the end of the input, 2 bytes follow",
  ]],
  spaces_behind: ["ffdc8334a33f9992df0525bcc0745a4caf8106f5", [
    "byte 186: expected the end of the input, 2 bytes follow",
  ]],
  text_behind: ["ffdc8334a33f9992df0525bcc0745a4caf8106f5", [
    "byte 186: expected the end of the input, 4 bytes follow",
  ]],
  another_end_behind: ["ffdc8334a33f9992df0525bcc0745a4caf8106f5", [
    "byte 186: expected the end of the input, 1 byte follows",
  ]],
  another_value_behind: ["ffdc8334a33f9992df0525bcc0745a4caf8106f5", [
    "byte 186: expected the end of the input, 8 bytes follow",
  ]],
  nul_behind: ["ffdc8334a33f9992df0525bcc0745a4caf8106f5", ["byte 186: expected the end of the input, 1 byte follows"]],
  length_beside_files: ["7a6096bfbc107dbdb505b280dd80af4cc51c7fc5", [
    "info.length: a torrent has one length or a list of files, this one has both, and the list counts",
  ]],
  wrong_length_beside_files: ["e7d681a10a741b6993c8617c241046163e1992c7", [
    "info.length: a torrent has one length or a list of files, this one has both, and the list counts",
  ]],
  text_as_length_beside_files: ["b92de88ac95e67b52af3beeb36b1bda8db6d8d58", [
    "info.length: a torrent has one length or a list of files, this one has both, and the list counts",
  ]],
  text_as_files_beside_length: ["080797964c31f08d7bcf230fa11f7d6573b9d85c", [
    'info.files: expected a list, found "x"; the length counts',
  ]],
  dict_as_files_beside_length: ["11eac364877eafeb1064feee7fa8c3368938df0e", [
    "info.files: expected a list, found a dictionary; the length counts",
  ]],
  integer_as_files_beside_length: ["14a95758d97716c7cb0054d70ee8254b70f325b8", [
    "info.files: expected a list, found the integer 0; the length counts",
  ]],
  negative_zero: ["22c02d96da8b3b95a526933b14933a037d78b192", ["byte 188: an integer is a negative zero"]],
  negative_zero_as_length: ["85c7599d29756340b4f9ef5611ab5f62acd273ea", ["byte 80: an integer is a negative zero"]],
  length_with_leading_zero: ["47719b32bd54604df9ecb8150d00db5813593f86", ["byte 71: an integer has a leading zero"]],
  date_with_leading_zero: ["ffdc8334a33f9992df0525bcc0745a4caf8106f5", ["byte 72: an integer has a leading zero"]],
  name_length_with_leading_zero: ["d9f425a5dbeae061d5011f8d8c8b6f8a9e52b301", ["byte 84: a length has a leading zero"]],
  key_length_with_leading_zero: ["ffdc8334a33f9992df0525bcc0745a4caf8106f5", ["byte 1: a length has a leading zero"]],
  text_as_symlink_path: ["04a65a32c0bbd325ac7745c25edfe4b157723cee", [
    'info.files[0].symlink path: expected a list of names, found "a"',
  ]],
  empty_symlink_path: ["808e876c755f3602c3bedd8b1c603c96e6f4bdfa", [
    "info.files[0].symlink path: expected a list of names, found an empty one",
  ]],
  padding_alone: ["94025bd06989d9d91a5ae1f2792505e8c1b7bdb6", [
    "info: there is nothing but padding, which is taken for files",
  ]],
  nothing_but_padding: ["a91fe12a53069fcc23e44ae5ae9297b6ec390039", [
    "info: there is nothing but padding, which is taken for files",
  ]],
  a_hundred_folders: ["40556ef51a7d3c5e0f90d8b4171a6de6835d7bd1", []],
  name_twice: ["dc05c59299e283de00bf536d72bfa63f6f518e08", []],
  text_as_path_utf8: ["d11c117f5470320913e5d6a7fca1d5b2d1dd007c", []],
  integer_as_attr: ["b6cb04ea5a42c5f1c2911bda09d38bbbfb988bb2", []],
  private_2: ["1b56e5a0a3ecbf561dfaf84afaa7291f06d10cd7", []],
  announce_list_flat: ["ffdc8334a33f9992df0525bcc0745a4caf8106f5", []],
  url_list_with_empties: ["ffdc8334a33f9992df0525bcc0745a4caf8106f5", []],
  node_with_text_as_port: ["ffdc8334a33f9992df0525bcc0745a4caf8106f5", []],
  keys_not_sorted: ["96f855d021831aea45c7fd297636ff342a571e5e", []],
  huge_date: ["ffdc8334a33f9992df0525bcc0745a4caf8106f5", []],
  integer_as_comment: ["ffdc8334a33f9992df0525bcc0745a4caf8106f5", []],
  integer_as_encoding: ["ffdc8334a33f9992df0525bcc0745a4caf8106f5", []],
};

/** Error line by file name. */
const REFUSED: Record<string, string> = {
  cut_by_one:
    "not a valid torrent (byte 185): expected a key or the end of the dictionary, found the end of the input; the file is damaged or not complete; fetch it again",
  cut_in_half:
    'not a valid torrent (byte 93): expected ":" after the length of a byte string, found the end of the input; the file is damaged or not complete; fetch it again',
  hash_too_many: "not a valid torrent (info.pieces): 40000 bytes in pieces of 16384 need 3 hashes, found 4",
  hash_too_few: "not a valid torrent (info.pieces): 40000 bytes in pieces of 16384 need 3 hashes, found 2",
  hash_cut: "not a valid torrent (info.pieces): hashes have 20 bytes each, 59 bytes are not a multiple of that",
  empty_files_beside_length: "not a valid torrent (info.files): the list is empty",
  mark_before: "not a torrent (byte 0): expected a dictionary, found byte 0xef",
  newline_before: "not a torrent (byte 0): expected a dictionary, found byte 0x0a",
  web_page:
    'not a torrent (byte 0): expected a dictionary, found "<"; it is a web page: the server may want you to log in, or have no such torrent',
  packed: "not a torrent (byte 0): expected a dictionary, found byte 0x1f; it is packed with gzip; unpack it first",
  text_among_files: 'not a valid torrent (info.files[0]): expected a dictionary, found "x"',
  integer_as_key:
    'not a valid torrent (byte 1): expected a key or the end of the dictionary, found "i"; the file is damaged or not complete; fetch it again',
  list_as_info: "not a valid torrent (info): expected a dictionary, found a list",
  text_as_length: 'not a valid torrent (info.length): expected an integer, found "40000"',
  cut_with_newline_behind:
    "not a valid torrent (byte 185): expected a key or the end of the dictionary, found byte 0x0a; the file is damaged or not complete; fetch it again",
};

function read(name: string): Uint8Array {
  return Deno.readFileSync(new URL(`../corpus/metainfo/${name}.bin`, import.meta.url));
}

for (const [name, [infoHash, warnings]] of Object.entries(TAKEN)) {
  Deno.test(`parseMetainfo() takes the odd torrent ${name}, as other clients do`, () => {
    const meta = parseMetainfo(read(name));
    assertEquals([meta.infoHash.hex, meta.warnings], [infoHash, warnings]);
    assertEquals(toHex(sha1(meta.info)), infoHash, "the info-hash is that of the bytes as they stand there");
    assertEquals(meta.size, 40_000);
  });
}

for (const [name, message] of Object.entries(REFUSED)) {
  Deno.test(`parseMetainfo() refuses the damaged torrent ${name}`, () => {
    const { what, where, why, hint } = assertThrows(() => parseMetainfo(read(name)), MetainfoError);
    assertEquals(`${what} (${where}): ${why}${hint && `; ${hint}`}`, message);
  });
}

Deno.test("parseMetainfo() takes the list of files where a length stands beside it", () => {
  const meta = parseMetainfo(read("wrong_length_beside_files"));
  assertEquals(meta.files.map(({ path, length }) => [path.join("/"), length]), [["top/d/x", 30_000], [
    "top/y",
    10_000,
  ]]);
});

Deno.test("parseMetainfo() takes the length where something stands beside it that is no list", () => {
  const meta = parseMetainfo(read("dict_as_files_beside_length"));
  assertEquals(meta.files.map(({ path, length }) => [path.join("/"), length]), [["a.bin", 40_000]]);
});
