import { assertEquals, assertThrows } from "@std/assert";
import { utf8 } from "../../src/base/bytes.ts";
import { InfoHash } from "../../src/base/info_hash.ts";
import { encode } from "../../src/bencode/mod.ts";
import { allowedFastSet } from "../../src/swarm/choking/allowed_fast.ts";
import { MAX_METADATA } from "../../src/base/defences.ts";
import { encodeExtensionHandshake, parseExtensionHandshake } from "../../src/wire/extension.ts";
import { encodeHandshake, parseHandshake, V2_BIT } from "../../src/wire/handshake.ts";
import { WireError } from "../../src/wire/messages.ts";
import { fc } from "../support/property.ts";

const infoHash = new InfoHash(new Uint8Array(20).fill(0xaa));

Deno.test("parseHandshake() gives back what encodeHandshake() was given", () => {
  const bytes = fc.uint8Array({ minLength: 20, maxLength: 20 });
  const bits = fc.record({ fast: fc.boolean(), extended: fc.boolean(), dht: fc.boolean(), v2: fc.boolean() });
  fc.assert(fc.property(bytes, bytes, bits, (hash, id, bits) => {
    const handshake = { infoHash: new InfoHash(hash), peerId: new Uint8Array(id), ...bits };
    assertEquals(parseHandshake(encodeHandshake(handshake)), handshake);
  }));
});

Deno.test("encodeHandshake() puts every field where BEP 3 wants it", () => {
  const bytes = encodeHandshake({ infoHash, peerId: utf8("-SH0100-abcdefghijkl"), fast: true, extended: true });
  assertEquals(bytes.length, 68);
  assertEquals(String.fromCharCode(...bytes.subarray(0, 20)), "\x13BitTorrent protocol");
  assertEquals([...bytes.subarray(20, 28)], [0, 0, 0, 0, 0, 0x10, 0, 0x04]);
  assertEquals(bytes.subarray(28, 48), infoHash.bytes);
  const v2 = encodeHandshake({ infoHash, peerId: new Uint8Array(20), fast: false, extended: false, v2: true });
  assertEquals([...v2.subarray(20, 28)], [0, 0, 0, 0, 0, 0, 0, V2_BIT]);
});

Deno.test("parseHandshake() refuses another protocol", () => {
  assertThrows(() => parseHandshake(utf8("GET / HTTP/1.1\r\n".padEnd(68))), WireError, "does not name the BitTorrent");
  assertThrows(() => parseHandshake(new Uint8Array(67)), WireError, "67 bytes");
});

Deno.test("parseExtensionHandshake() gives back what encodeExtensionHandshake() was given", () => {
  const said = {
    version: "Shoal 1.2",
    requestQueue: 512,
    port: 6881,
    uploadOnly: true,
    metadataSize: 31_235,
    ids: { ut_metadata: 7, upload_only: 0 },
  };
  assertEquals(parseExtensionHandshake(encodeExtensionHandshake(said, { remoteHost: "1.2.3.4" })), {
    ...said,
    yourIp: "1.2.3.4",
  });
  const encrypts = encodeExtensionHandshake({ encrypts: true }, { remoteHost: "" });
  assertEquals(encrypts, encode({ e: 1, m: {} }));
});

Deno.test("parseExtensionHandshake() takes fields of the wrong type for absent", () => {
  assertEquals(parseExtensionHandshake(encode({ m: 3, v: 4, reqq: "many", p: -1, upload_only: "yes" })), {});
  assertEquals(parseExtensionHandshake(encode({ m: { upload_only: 300 }, p: 70000, reqq: 0 })), {});
  assertEquals(parseExtensionHandshake(encode({ metadata_size: MAX_METADATA + 1 })), {});
  assertEquals(parseExtensionHandshake(encode({ metadata_size: -1, m: { ut_pex: -1, ut_metadata: 1 } })), {
    ids: { ut_metadata: 1 },
  });
});

Deno.test("parseExtensionHandshake() refuses what is no dictionary, and deep nesting", () => {
  assertThrows(() => parseExtensionHandshake(utf8("i1e")), WireError, "extension handshake is broken");
  assertThrows(() => parseExtensionHandshake(utf8("d1:a" + "l".repeat(100_000))), WireError);
});

Deno.test("allowedFastSet() gives the sets that BEP 6 lists", async () => {
  const sha1 = async (data: Uint8Array<ArrayBuffer>) => new Uint8Array(await crypto.subtle.digest("SHA-1", data));
  const options = { pieceCount: 1313, sha1 };
  const seven = [1059, 431, 808, 1217, 287, 376, 1188];
  assertEquals(await allowedFastSet("80.4.4.200", infoHash, { ...options, size: 7 }), seven);
  assertEquals(await allowedFastSet("80.4.4.200", infoHash, { ...options, size: 9 }), [...seven, 353, 508]);
  assertEquals(await allowedFastSet("::1", infoHash, { ...options, size: 7 }), []);
  assertEquals((await allowedFastSet("80.4.4.200", infoHash, { pieceCount: 3, sha1, size: 7 })).sort(), [0, 1, 2]);
});

Deno.test("parseExtensionHandshake() reads how the other end sees us, and skips what is no address", () => {
  for (const host of ["9.8.7.6", "2001:4860::8"]) {
    assertEquals(parseExtensionHandshake(encodeExtensionHandshake({}, { remoteHost: host })).yourIp, host);
  }
  for (const bad of ["d6:yourip3:abce", "d6:youripi4ee", "de"]) {
    assertEquals(parseExtensionHandshake(utf8(bad)), {});
  }
});
