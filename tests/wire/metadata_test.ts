import { assertEquals, assertThrows } from "@std/assert";
import { utf8 } from "../../src/base/bytes.ts";
import { WireError } from "../../src/wire/messages.ts";
import {
  encodeMetadataData,
  encodeMetadataReject,
  encodeMetadataRequest,
  METADATA_PART,
  metadataPartLength,
  parseMetadataMessage,
} from "../../src/wire/metadata.ts";
import { fc } from "../support/property.ts";

Deno.test("parseMetadataMessage() reads the messages as BEP 9 prints them", () => {
  assertEquals(parseMetadataMessage(utf8("d8:msg_typei0e5:piecei0ee")), { type: "request", part: 0 });
  assertEquals(parseMetadataMessage(utf8("d8:msg_typei2e5:piecei0ee")), { type: "reject", part: 0 });
  assertEquals(parseMetadataMessage(utf8("d8:msg_typei1e5:piecei0e10:total_sizei3425eexxxx")), {
    type: "data",
    part: 0,
    totalSize: 3425,
    data: utf8("xxxx"),
  });
});

Deno.test("parseMetadataMessage() undoes the encoders, part by part", () => {
  fc.assert(fc.property(fc.nat(3 * METADATA_PART), fc.nat(4), (size, number) => {
    const info = new Uint8Array(size + 1).map((_, i) => i >> 7);
    const part = number % Math.ceil(info.length / METADATA_PART);
    assertEquals(parseMetadataMessage(encodeMetadataRequest(part)), { type: "request", part });
    assertEquals(parseMetadataMessage(encodeMetadataReject(part)), { type: "reject", part });
    const message = parseMetadataMessage(encodeMetadataData(part, info));
    const data = info.slice(part * METADATA_PART, part * METADATA_PART + metadataPartLength(info.length, part));
    assertEquals({ ...message }, { type: "data", part, totalSize: info.length, data });
  }));
});

Deno.test("parseMetadataMessage() passes kinds by that it does not know, and refuses what is broken", () => {
  assertEquals(parseMetadataMessage(utf8("d8:msg_typei9ee")), { type: "unknown" });
  for (const broken of ["", "i1e", "de", "d8:msg_typei1ee", "d8:msg_typei0e5:piecei-1ee", "d8:msg_type"]) {
    assertThrows(() => parseMetadataMessage(utf8(broken)), WireError);
  }
});

Deno.test("parseMetadataMessage() throws nothing but WireError", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
    try {
      parseMetadataMessage(bytes);
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
    }
  }));
});
