import { assert, assertEquals, assertThrows } from "@std/assert";
import { fromUtf8Lossy, utf8 } from "../../src/base/bytes.ts";
import { InfoHash } from "../../src/base/info_hash.ts";
import { encodeLsdMessage, LsdError, MAX_LSD_HASHES, parseLsdMessage } from "../../src/lsd/lsd_message.ts";
import { fc } from "../support/property.ts";

const hash = fc.uint8Array({ minLength: 20, maxLength: 20 }).map((bytes) => new InfoHash(bytes));
const one = new InfoHash(Uint8Array.from({ length: 20 }, (_, i) => i * 13 & 255));
const hexes = (infoHashes: readonly InfoHash[]) => infoHashes.map(({ hex }) => hex);
const message = (lines: readonly string[]) => utf8(lines.join("\r\n") + "\r\n\r\n\r\n");
const START = "BT-SEARCH * HTTP/1.1";

Deno.test("parseLsdMessage() undoes encodeLsdMessage(), within 1400 bytes", () => {
  const hashes = fc.uniqueArray(hash, { minLength: 1, maxLength: MAX_LSD_HASHES, selector: ({ hex }) => hex });
  fc.assert(
    fc.property(hashes, fc.integer({ min: 1, max: 65535 }), fc.constantFrom(4, 6), (infoHashes, port, family) => {
      const bytes = encodeLsdMessage({ port, infoHashes, cookie: "0123456789abcdef" }, family as 4 | 6);
      assert(bytes.length <= 1400, `${bytes.length} bytes`);
      const read = parseLsdMessage(bytes);
      assertEquals([read.port, read.cookie, hexes(read.infoHashes)], [port, "0123456789abcdef", hexes(infoHashes)]);
    }),
  );
});

Deno.test("encodeLsdMessage() writes what BEP 14 shows", () => {
  const text = (family: 4 | 6) =>
    fromUtf8Lossy(encodeLsdMessage({ port: 6881, infoHashes: [one], cookie: "c" }, family));
  const tail = `Port: 6881\r\nInfohash: ${one.hex}\r\ncookie: c\r\n\r\n\r\n`;
  assertEquals(text(4), `${START}\r\nHost: 239.192.152.143:6771\r\n${tail}`);
  assertEquals(text(6), `${START}\r\nHost: [ff15::efc0:988f]:6771\r\n${tail}`);
  assertThrows(() => encodeLsdMessage({ port: 1, infoHashes: [], cookie: "" }, 4), RangeError, "1 to 24");
});

Deno.test("parseLsdMessage() takes any case, bare line ends, unknown fields, and no cookie", () => {
  const read = parseLsdMessage(
    utf8(`${START}\nX-Any: thing\nPORT:9\nINFOHASH: ${one.hex.toUpperCase()}\nInfohash: 12\n\n`),
  );
  assertEquals([read.port, read.cookie, hexes(read.infoHashes)], [9, "", [one.hex]]);
});

Deno.test("parseLsdMessage() reads nothing behind the empty line", () => {
  const bytes = utf8(`${START}\r\nPort: 1\r\nInfohash: ${one.hex}\r\n\r\nPort: 2\r\n`);
  assertEquals(parseLsdMessage(bytes).port, 1);
});

for (
  const [what, lines] of [
    ["another request", ["GET / HTTP/1.1", "Port: 1", `Infohash: ${one.hex}`]],
    ["no port", [START, `Infohash: ${one.hex}`]],
    ["port 0", [START, "Port: 0", `Infohash: ${one.hex}`]],
    ["port 65536", [START, "Port: 65536", `Infohash: ${one.hex}`]],
    ["no torrent", [START, "Port: 1"]],
    ["a short info-hash", [START, "Port: 1", "Infohash: abcd"]],
    ["nothing", []],
  ] as const
) {
  Deno.test(`parseLsdMessage() refuses ${what}`, () => {
    assertThrows(() => parseLsdMessage(message(lines)), LsdError);
  });
}

Deno.test("parseLsdMessage() throws nothing but its own error, whatever comes", () => {
  const pieces = fc.array(
    fc.constantFrom(START, "\r\n", "Port: ", "6881", "Infohash: ", one.hex, "cookie: ", ":", "\0"),
  );
  fc.assert(fc.property(fc.oneof(pieces.map((parts) => utf8(parts.join(""))), fc.uint8Array()), (bytes) => {
    try {
      const { port, infoHashes } = parseLsdMessage(bytes);
      assert(port > 0 && port < 65536 && infoHashes.length > 0);
    } catch (error) {
      assert(error instanceof LsdError);
    }
  }));
});
