import { assertEquals } from "@std/assert";
import { utf8 } from "../../src/base/bytes.ts";
import { InfoHash } from "../../src/base/info_hash.ts";
import { type AnnounceRequest, buildAnnounceUrl, percentEncode } from "../../src/tracker/announce_request.ts";
import { parseQuery } from "../../src/tracker_server/query.ts";
import { fc } from "../support/property.ts";

const REQUEST: AnnounceRequest = {
  infoHash: new InfoHash(Uint8Array.from({ length: 20 }, (_, i) => i * 13)),
  peerId: utf8("-SH0100-abcdefghijkl"),
  port: 6881,
  progress: { uploaded: 1, downloaded: 2, left: 3 },
  event: "started",
  numwant: 50,
  key: "0badcafe",
  trackerId: null,
};

Deno.test("buildAnnounceUrl() says everything that a tracker wants to know", () => {
  assertEquals(
    buildAnnounceUrl("http://t.example/announce", REQUEST),
    "http://t.example/announce?info_hash=%00%0D%1A%274AN%5Bhu%82%8F%9C%A9%B6%C3%D0%DD%EA%F7&peer_id=-SH0100-abcdefghijkl" +
      "&port=6881&uploaded=1&downloaded=2&left=3&compact=1&numwant=50&key=0badcafe&event=started",
  );
});

Deno.test("buildAnnounceUrl() leaves out an event that is none, and sends a tracker id back", () => {
  const url = buildAnnounceUrl("http://t/", { ...REQUEST, event: null, trackerId: Uint8Array.of(0, 38, 65) });
  assertEquals(/event/.test(url), false);
  assertEquals(url.endsWith("&trackerid=%00%26A"), true);
});

Deno.test("buildAnnounceUrl() tells what is said of encryption", () => {
  for (const [encryption, end] of [["prefer", "&supportcrypto=1"], ["require", "&requirecrypto=1"]] as const) {
    assertEquals(buildAnnounceUrl("http://t/", { ...REQUEST, event: null, encryption }).endsWith(end), true);
  }
});

for (
  const [announce, start] of [
    ["http://t/a?pass=x%20y", "http://t/a?pass=x%20y&info_hash="],
    ["http://t/a?", "http://t/a?info_hash="],
    ["http://t/a?x&", "http://t/a?x&info_hash="],
    ["http://t/a#here", "http://t/a?info_hash="],
    ["https://t", "https://t?info_hash="],
  ] as const
) {
  Deno.test(`buildAnnounceUrl() keeps what is in ${announce}`, () => {
    assertEquals(buildAnnounceUrl(announce, REQUEST).slice(0, start.length), start);
  });
}

Deno.test("percentEncode() survives the URL parser and our own decoder, whatever the bytes", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
    const { search } = new URL(`http://t/?x=${percentEncode(bytes)}`);
    assertEquals(parseQuery(search.slice(1)).get("x"), [new Uint8Array(bytes)]);
  }));
});
