import { assertEquals, assertThrows } from "@std/assert";
import { ShoalError } from "../../src/base/errors.ts";
import {
  formatMagnet,
  magnetOf,
  type Metainfo,
  parseMagnet,
  parseMetainfo,
  torrentFile,
} from "../../src/metainfo/mod.ts";
import { fc, unicodeText } from "../support/property.ts";

const HEX = "c12fe1c06bba254a9dc9f519b335aa7c1367a88a";
const BASE32 = "YEX6DQDLXISUVHOJ6UM3GNNKPQJWPKEK";

/** 32 bytes 0xab. */
const V2_BASE32 = "VOV2XK5LVOV2XK5LVOV2XK5LVOV2XK5LVOV2XK5LVOV2XK5LVOVQ";

const NOTHING = {
  infoHashV2: null,
  displayName: null,
  trackers: [],
  webSeeds: [],
  exactSources: [],
  peers: [],
  selectOnly: null,
};

Deno.test("parseMagnet() reads every parameter that says where to look", () => {
  const link = `magnet:?xt=urn:btih:${HEX}&dn=A+b%26c&tr=http%3A%2F%2Fa.example%2Fannounce&tr=udp://b.example:80` +
    "&ws=https://w.example/f&xs=http://x.example/t.torrent&x.pe=10.0.0.1:5&x.pe=[::1]:6&x.pe=p.example:7&so=0,2,4-6";
  const { infoHash, infoHashV1: _, ...rest } = parseMagnet(link);
  assertEquals(infoHash.hex, HEX);
  assertEquals(rest, {
    infoHashV2: null,
    displayName: "A b&c",
    trackers: [["http://a.example/announce"], ["udp://b.example:80"]],
    webSeeds: ["https://w.example/f"],
    exactSources: ["http://x.example/t.torrent"],
    peers: [{ host: "10.0.0.1", port: 5 }, { host: "::1", port: 6 }, { host: "p.example", port: 7 }],
    selectOnly: "0,2,4-6",
  });
});

Deno.test("parseMagnet() takes base32, bare info-hashes, any case, and numbered parameters", () => {
  for (const text of [HEX, HEX.toUpperCase(), BASE32, BASE32.toLowerCase(), `MAGNET:?XT=URN:BTIH:${BASE32}`]) {
    const { infoHash, infoHashV1: _, ...rest } = parseMagnet(text);
    assertEquals(infoHash.hex, HEX, text);
    assertEquals(rest, NOTHING);
  }
  const numbered = parseMagnet(
    `magnet:?xt.1=urn:btih:${HEX}&xt.2=urn:btmh:1220${"0".repeat(64)}&tr.1=udp://a:1&tr.2=udp://b:2`,
  );
  assertEquals(numbered.infoHash.hex, HEX);
  assertEquals(numbered.trackers, [["udp://a:1"], ["udp://b:2"]]);
});

Deno.test("parseMagnet() takes v2 info-hashes alone and beside a v1 info-hash, and formatMagnet() writes them", () => {
  const v2 = "ab".repeat(32);
  const cases: [link: string, v1: string | null, v2: string | null, infoHash: string][] = [
    [`magnet:?xt=urn:btmh:1220${v2}`, null, v2, v2.slice(0, 40)],
    [`magnet:?xt=urn:btih:${HEX}&xt=urn:btmh:1220${v2}`, HEX, v2, HEX],
    [`magnet:?xt=urn:BTMH:1220${v2.toUpperCase()}&xt=urn:btih:${BASE32}`, HEX, v2, HEX],
    [`magnet:?xt=urn:btih:${HEX}&xt=urn:btmh:1114${HEX}`, HEX, null, HEX],
    [HEX, HEX, null, HEX],
    [v2, null, v2, v2.slice(0, 40)],
    [v2.toUpperCase(), null, v2, v2.slice(0, 40)],
    [`1220${v2}`, null, v2, v2.slice(0, 40)],
    [V2_BASE32, null, v2, v2.slice(0, 40)],
    [V2_BASE32.toLowerCase(), null, v2, v2.slice(0, 40)],
  ];
  for (const [link, infoHashV1, infoHashV2, infoHash] of cases) {
    const magnet = parseMagnet(link);
    assertEquals(magnet.infoHash.hex, infoHash);
    assertEquals([magnet.infoHashV1?.hex ?? null, magnet.infoHashV2?.hex ?? null], [infoHashV1, infoHashV2]);
    assertEquals(parseMagnet(formatMagnet(magnet)), magnet);
  }
  assertEquals(formatMagnet(parseMagnet(cases[1]![0])), cases[1]![0]);
});

Deno.test("parseMagnet() passes by what makes no sense beside the info-hash", () => {
  const link =
    `magnet:?xt=urn:btih:${HEX}&tr=nonsense&tr=&ws=ftp://x/y&xs=urn:btih:1&x.pe=1.2.3.4&x.pe=a:99999&so=&frob=1&dn=`;
  const { infoHash: _, infoHashV1: __, ...rest } = parseMagnet(link);
  assertEquals(rest, NOTHING);
});

Deno.test("parseMagnet() says why it refuses a link", () => {
  const cases: [string, string][] = [
    ["http://x/y", 'expected "magnet:?"'],
    [HEX.slice(1), "an info-hash has 40 hexadecimal digits, or 64 of a v2 torrent, not 39"],
    ["ab".repeat(33), "not 66"],
    [`1221${"ab".repeat(32)}`, "not 68"],
    [V2_BASE32.slice(1), 'expected "magnet:?"'],
    ["magnet:?dn=x", "it names no torrent"],
    ["magnet:?xt=urn:btih:123", '"123" is no info-hash'],
    [`magnet:?xt=urn:btih:${BASE32.replace("Y", "1")}`, "is no info-hash"],
    [`magnet:?xt=urn:btih:${BASE32.slice(0, -8)}`, "is no info-hash"],
    [`magnet:?xt=urn:btih:${HEX}&xt=urn:btih:${HEX.replace("c", "d")}`, "more than one torrent"],
    [`magnet:?xt=urn:btmh:1220${"0".repeat(62)}`, "is no v2 info-hash"],
    [`magnet:?xt=urn:btmh:1220${"g".repeat(64)}`, "is no v2 info-hash"],
    [`magnet:?xt=urn:btmh:1114${HEX}`, "it names no torrent"],
    [`magnet:?xt=urn:btmh:1220${"0".repeat(64)}&xt=urn:btmh:1220${"1".repeat(64)}`, "more than one torrent"],
    [`magnet:?xt=urn:btih:${HEX}&xt=urn:btmh:1220${"0".repeat(65)}`, "is no v2 info-hash"],
    [`magnet:?xt=urn:btih:${HEX}&dn=${"x".repeat(300_000)}`, "characters"],
  ];
  for (const [text, why] of cases) {
    const error = assertThrows(() => parseMagnet(text), ShoalError, why);
    assertEquals(error.kind, "torrent");
  }
});

Deno.test("parseMagnet() throws nothing but ShoalError", () => {
  const link = fc.oneof(fc.string(), fc.string().map((text) => `magnet:?xt=urn:btih:${HEX}&${text}`));
  fc.assert(fc.property(link, (text) => {
    try {
      parseMagnet(text);
    } catch (error) {
      if (!(error instanceof ShoalError)) throw error;
    }
  }));
});

Deno.test("parseMagnet() undoes magnetOf()", () => {
  // As fc.webUrl() makes them, which takes a second to set up.
  const part = unicodeText({ maxLength: 10 }).map(encodeURIComponent);
  const url = fc.tuple(fc.constantFrom("http", "https"), fc.domain(), fc.array(part), fc.option(fc.tuple(part, part)))
    .map(([scheme, host, path, query]) =>
      `${scheme}://${[host, ...path].join("/")}${query === null ? "" : `?${query.join("=")}`}`
    );
  const tiers = fc.uniqueArray(url, { maxLength: 4 });
  fc.assert(
    fc.property(fc.string({ minLength: 1 }), tiers, tiers, (name, trackers, webSeeds) => {
      const { infoHash, infoHashV1, infoHashV2 } = parseMagnet(HEX);
      const tiers = trackers.map((tracker) => [tracker]);
      const meta: Partial<Metainfo> = {
        infoHash,
        infoHashV1,
        infoHashV2,
        name: name.trim(),
        trackers: tiers,
        webSeeds,
      };
      const magnet = parseMagnet(magnetOf(meta as Metainfo));
      assertEquals(magnet.infoHash.hex, HEX);
      assertEquals(magnet.displayName ?? "", name.trim());
      assertEquals(magnet.trackers.flat(), trackers);
      assertEquals(magnet.webSeeds, webSeeds);
    }),
    { numRuns: 30 },
  );
});

Deno.test("torrentFile() keeps the info dictionary byte for byte", () => {
  const info = new TextEncoder().encode(`d6:lengthi5e4:name1:x12:piece lengthi16384e6:pieces20:${"p".repeat(20)}e`);
  const parts = { trackers: [["http://a/1", "http://b/2"], ["udp://c:3"]], webSeeds: ["http://w/"] };
  for (const { trackers, webSeeds } of [parts, { ...parts, webSeeds: [] }, { trackers: [], webSeeds: [] }]) {
    const meta = parseMetainfo(torrentFile(info, { trackers, webSeeds }));
    assertEquals(meta.info, info);
    assertEquals(meta.trackers, trackers);
    assertEquals(meta.webSeeds, webSeeds);
  }
});

Deno.test("formatMagnet() writes what parseMagnet() reads, and no more than it reads", () => {
  const bare = parseMagnet(HEX);
  assertEquals(formatMagnet(bare), `magnet:?xt=urn:btih:${HEX}`);
  const link =
    `magnet:?xt=urn:btih:${HEX}&dn=A+b%26c&tr=http%3A%2F%2Fa.example%2Fannounce%3Fkey%3D1%262&tr=udp://b.example:80` +
    "&ws=https://w.example/f&xs=http://x.example/t.torrent&x.pe=10.0.0.1:5&x.pe=[::1]:6&x.pe=p.example:7&so=0,2,4-6";
  for (const magnet of [bare, parseMagnet(link)]) assertEquals(parseMagnet(formatMagnet(magnet)), magnet);
  const trackers = Array.from({ length: 1000 }, (_, i) => [`http://t.example/${i}/${"?".repeat(200)}`]);
  const long = parseMagnet(formatMagnet({ ...parseMagnet(link), trackers }));
  assertEquals({ ...long, trackers: [] }, { ...parseMagnet(link), trackers: [] });
  assertEquals(long.trackers, trackers.slice(0, long.trackers.length));
});
