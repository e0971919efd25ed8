import { assert, assertEquals, assertFalse, assertMatch, assertStringIncludes } from "@std/assert";
import { InfoHash } from "../../src/base/info_hash.ts";
import type { MetainfoFile } from "../../src/metainfo/mod.ts";
import { answerTo } from "../../src/stream/response.ts";
import { Catalog, filePath } from "../../src/stream/catalog.ts";
import { isOurHost, judgeConditions, parseRange } from "../../src/stream/request_fields.ts";
import { contentType } from "../../src/stream/content_type.ts";
import { playlist } from "../../src/stream/pages.ts";
import { fc } from "../support/property.ts";

const HASH = new InfoHash(new Uint8Array(20).fill(0xab));
const NAME = `Films & <b>"more"`;

/** Returns a catalog of a torrent with these paths. Files have a thousand bytes each, except the empty one. */
function catalogOf(paths: readonly string[], wanted = [...paths.keys()]): Catalog {
  const files = paths.map((path, i): MetainfoFile => ({
    path: [NAME, ...path.split("/")],
    length: path.includes("empty") ? 0 : 1000,
    offset: i * 1000,
    pad: path.includes("pad"),
    symlink: path.includes("link") ? [NAME, "x"] : null,
    executable: false,
  }));
  const catalog = new Catalog();
  catalog.add({ infoHash: HASH, name: NAME, files }, wanted);
  return catalog;
}

const PATHS = ["a film.mp4", "sub/it's 100%.mkv", "notes.html", "empty.bin", "pad", "link", "not wanted.avi"];
const CATALOG = catalogOf(PATHS, [0, 1, 2, 3, 4, 5]);
const URL_OF = (index: number) => filePath(CATALOG.torrents[0]!, CATALOG.torrents[0]!.files[index]!);

function ask(path: string, fields: Record<string, string> = {}, method = "GET") {
  return answerTo({ method, path, fields: new Headers({ host: "localhost:8000", ...fields }) }, {
    catalog: CATALOG,
    bound: "127.0.0.1",
    base: "http://127.0.0.1:8000",
  });
}

Deno.test("parseRange() takes one range of bytes, and passes over what else there may be", () => {
  const part = (begin: number, end: number) => ({ kind: "part", begin, end });
  const cases: [string | null, unknown][] = [
    [null, { kind: "whole" }],
    ["bytes=0-0", part(0, 1)],
    ["bytes=10-19", part(10, 20)],
    ["Bytes= 10-19 ", part(10, 20)],
    ["bytes=10-", part(10, 100)],
    ["bytes=0-99999999999999999999", part(0, 100)],
    ["bytes=-5", part(95, 100)],
    ["bytes=-500", part(0, 100)],
    ["bytes=99-99", part(99, 100)],
    ["bytes=100-", { kind: "unsatisfiable" }],
    ["bytes=99999999999999999999-", { kind: "unsatisfiable" }],
    ["bytes=-0", { kind: "unsatisfiable" }],
    ["bytes=20-10", { kind: "whole" }],
    ["bytes=0-1,5-6", { kind: "whole" }],
    ["bytes=-", { kind: "whole" }],
    ["bytes=1", { kind: "whole" }],
    ["bytes=1-2x", { kind: "whole" }],
    ["bytes=+1-2", { kind: "whole" }],
    ["lines=1-2", { kind: "whole" }],
    [`bytes=${"0".repeat(300)}1-2`, { kind: "whole" }],
  ];
  for (const [field, wanted] of cases) assertEquals(parseRange(field, 100), wanted as never, String(field));
  assertEquals(parseRange("bytes=0-", 0).kind, "unsatisfiable");
  assertEquals(parseRange("bytes=-5", 0).kind, "unsatisfiable");
});

Deno.test("parseRange() gives what was asked for, cut off at the file's end, and never more", () => {
  const size = fc.nat(2 ** 40);
  fc.assert(fc.property(size, fc.nat(2 ** 41), fc.nat(2 ** 41), (size, a, b) => {
    const [first, last] = [Math.min(a, b), Math.max(a, b)];
    const wanted = first >= size
      ? { kind: "unsatisfiable" as const }
      : { kind: "part" as const, begin: first, end: Math.min(last + 1, size) };
    assertEquals(parseRange(`bytes=${first}-${last}`, size), wanted);
    const open = parseRange(`bytes=${first}-`, size);
    assertEquals(open.kind === "part" ? [open.begin, open.end] : open.kind, first < size ? [first, size] : wanted.kind);
    const tail = parseRange(`bytes=-${a}`, size);
    if (tail.kind === "part") assertEquals([tail.end, tail.end - tail.begin], [size, Math.min(a, size)]);
    else assert(a === 0 || size === 0);
  }));
});

Deno.test("judgeConditions() knows a file by its tag", () => {
  const judge = (fields: Record<string, string>) => judgeConditions(new Headers(fields), `"x-1"`);
  assertEquals(judge({}), { status: null, rangeCounts: true });
  assertEquals(judge({ "if-none-match": `"y", W/"x-1"` }).status, 304);
  assertEquals(judge({ "if-none-match": `"x-10", "x"` }).status, null);
  assertEquals(judge({ "if-match": `"y"` }).status, 412);
  assertEquals(judge({ "if-match": `W/"x-1"` }).status, 412);
  assertEquals(judge({ "if-match": "*" }).status, null);
  assertEquals(judge({ "if-range": `"x-1"` }).rangeCounts, true);
  assertEquals(judge({ "if-range": `W/"x-1"` }).rangeCounts, false);
  assertEquals(judge({ "if-range": "Wed, 21 Oct 2026 07:28:00 GMT" }).rangeCounts, false);
});

Deno.test("isOurHost() answers to this machine's own names, and to none that somebody may have given it", () => {
  for (const host of ["localhost", "LOCALHOST:8000", "127.0.0.1:8000", "[::1]:8000", "[0:0:0:0:0:0:0:1]"]) {
    assert(isOurHost(host, "127.0.0.1"), host);
  }
  const others = ["evil.example", "evil.example:8000", "localhost.evil.example", "127.0.0.1.evil.example", "127.0.0.2"];
  for (const host of [...others, "192.168.1.5:8000", "", "localhost:8000:1", "a@localhost", "[::1", "[evil.example]"]) {
    assertFalse(isOurHost(host, "127.0.0.1"), host);
  }
  assertFalse(isOurHost(null, "127.0.0.1"));
  assert(isOurHost("192.168.1.5:8000", "192.168.1.5"));
  assert(isOurHost("192.168.1.5:8000", "0.0.0.0") && isOurHost("[2001:db8::1]", "::"));
  assertFalse(isOurHost("evil.example", "0.0.0.0"));
});

Deno.test("contentType() knows what people watch, listen to and read", () => {
  const types: Record<string, string> = {
    "a.mp4": "video/mp4",
    "a.M4V": "video/x-m4v",
    "a.mkv": "video/x-matroska",
    "a.webm": "video/webm",
    "a.avi": "video/x-msvideo",
    "a.mov": "video/quicktime",
    "a.mp3": "audio/mpeg",
    "a.flac": "audio/x-flac",
    "a.m4a": "audio/mp4",
    "a.ogg": "audio/ogg",
    "a.vtt": "text/vtt",
    "a.pdf": "application/pdf",
    "a.html": "text/html",
    "a.jpeg": "image/jpeg",
    "a": "application/octet-stream",
    ".mp4": "application/octet-stream",
    "a.": "application/octet-stream",
    "a.constructor": "application/octet-stream",
  };
  for (const [name, type] of Object.entries(types)) assertEquals(contentType(name), type, name);
});

Deno.test("answerTo() sends a file, a part of it, or its head", () => {
  const whole = ask(URL_OF(0));
  assertEquals([whole.status, whole.headers["content-length"], whole.headers["content-type"]], [
    200,
    "1000",
    "video/mp4",
  ]);
  assertEquals([whole.headers["accept-ranges"], whole.headers["etag"]], ["bytes", `"${HASH.hex}-0"`]);
  assertEquals(whole.headers["content-security-policy"], undefined);
  assert(typeof whole.body === "object" && whole.body?.begin === 0 && whole.body.end === 1000);
  const part = ask(URL_OF(1), { range: "bytes=-10" });
  assertEquals([part.status, part.headers["content-range"], part.headers["content-length"]], [
    206,
    "bytes 990-999/1000",
    "10",
  ]);
  assert(typeof part.body === "object" && part.body?.file.index === 1 && part.body.begin === 990);
  const past = ask(URL_OF(0), { range: "bytes=1000-" });
  assertEquals([past.status, past.headers["content-range"]], [416, "bytes */1000"]);
  const head = ask(URL_OF(0), { range: "bytes=0-9" }, "HEAD");
  assertEquals([head.status, head.headers["content-length"], head.body], [200, "1000", null]);
  assertEquals(ask(URL_OF(0), { range: "bytes=0-9,20-29" }).status, 200);
  assertEquals(ask(URL_OF(0), { range: "bytes=0-9", "if-range": `"other"` }).status, 200);
  assertEquals(ask(URL_OF(0), { range: "bytes=0-9", "if-range": `"${HASH.hex}-0"` }).status, 206);
  const known = ask(URL_OF(0), { "if-none-match": `"${HASH.hex}-0"` });
  assertEquals([known.status, known.body], [304, null]);
  assertEquals(ask(URL_OF(0), { "if-match": `"other"` }).status, 412);
  assertEquals(ask(URL_OF(3)).headers["content-length"], "0");
});

Deno.test("answerTo() serves what is downloaded and nothing else", () => {
  const refused = [
    "/not-there",
    `/${HASH.hex}`,
    `/${HASH.hex}/nothing`,
    `/${"cd".repeat(20)}/`,
    `/${HASH.hex}/${encodeURIComponent(NAME)}/not%20wanted.avi`,
    `/${HASH.hex}/${encodeURIComponent(NAME)}/pad`,
    `/${HASH.hex}/${encodeURIComponent(NAME)}/link`,
    `/${HASH.hex}/${encodeURIComponent(NAME)}/sub`,
    `/${HASH.hex}/${encodeURIComponent(NAME)}/sub%2Fit's%20100%25.mkv`,
    `/${HASH.hex}/../../etc/passwd`,
    `/${HASH.hex}/%2e%2e/%2e%2e/etc/passwd`,
    `/${HASH.hex}/%`,
    `/${HASH.hex}/%ff`,
    "//",
  ];
  for (const path of refused) assertEquals(ask(path).status, 404, path);
  assertEquals(ask(`/${"x".repeat(20_000)}`).status, 414);
  assertEquals(ask(`/${HASH.hex.toUpperCase()}/`).status, 200);
});

Deno.test("answerTo() refuses other methods, and other hosts before it says anything", () => {
  const posted = ask(URL_OF(0), {}, "POST");
  assertEquals([posted.status, posted.headers["allow"]], [405, "GET, HEAD"]);
  for (const host of ["evil.example:8000", ""]) {
    for (const path of ["/", URL_OF(0), "/not-there"]) assertEquals(ask(path, { host }).status, 421);
  }
});

Deno.test("answerTo() lets nothing that comes with a torrent work as a part of it", () => {
  assertEquals(ask(URL_OF(2)).headers["content-security-policy"], "sandbox");
  for (const path of ["/", URL_OF(0), URL_OF(2), "/not-there"]) {
    const { headers } = ask(path);
    assertEquals(headers["x-content-type-options"], "nosniff");
    assertEquals(headers["cross-origin-resource-policy"], "same-origin");
    assertEquals(headers["access-control-allow-origin"], undefined);
    assertEquals(headers["cache-control"], "no-store, no-transform");
  }
  const { body, headers } = ask("/");
  assert(typeof body === "string");
  assertFalse(body.includes("<b>"));
  assertStringIncludes(body, "Films &#38; &#60;b&#62;&#34;more&#34;");
  assertStringIncludes(body, `href="${URL_OF(1)}"`);
  assertMatch(URL_OF(1), /^\/[0-9a-f]{40}\/[\w%/.~-]+$/);
  assertStringIncludes(headers["content-security-policy"]!, "default-src 'none'");
  assertEquals(Number(headers["content-length"]), new TextEncoder().encode(body).length);
  assertEquals(ask("/", {}, "HEAD").body, null);
});

Deno.test("playlist() has what can be played, a line for each name whatever that is", () => {
  const torrent = catalogOf(["b\nc.mp4", "notes.txt", "x.ogg"]).torrents[0]!;
  assertEquals(playlist(torrent, "http://h").split("\n"), [
    "#EXTM3U",
    "#EXTINF:-1,b c.mp4",
    `http://h${filePath(torrent, torrent.files[0]!)}`,
    "#EXTINF:-1,x.ogg",
    `http://h${filePath(torrent, torrent.files[2]!)}`,
    "",
  ]);
  const listed = ask(`/${HASH.hex}.m3u`);
  assertEquals([listed.status, listed.headers["content-type"]], [200, "audio/x-mpegurl; charset=utf-8"]);
});

Deno.test("Catalog finds every file by the path that it gives, whatever its name", () => {
  const letters = [
    "a",
    "B",
    "\0",
    "\n",
    " ",
    "%",
    "%2F",
    "..",
    "?",
    "#",
    "&",
    "'",
    '"',
    "<",
    "+",
    "\u00e9",
    "\u{1f600}",
    "~",
  ];
  const name = fc.array(fc.constantFrom(...letters), { minLength: 1, maxLength: 6 }).map((parts) => parts.join(""))
    .filter((text) => text !== "..");
  const names = fc.uniqueArray(name, { minLength: 1, maxLength: 5 });
  fc.assert(
    fc.property(names, (names) => {
      const catalog = catalogOf(names);
      const [torrent] = catalog.torrents;
      for (const file of torrent!.files) {
        const path = filePath(torrent!, file);
        // The path is what a browser would send.
        assertEquals(new URL(path, "http://localhost").pathname, path);
        const found = catalog.find(path);
        assertEquals(found?.kind === "file" ? found.file : null, file);
      }
    }),
    { numRuns: 100 },
  );
});
