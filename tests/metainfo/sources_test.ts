import { assertEquals } from "@std/assert";
import { type Encodable, encode } from "../../src/bencode/mod.ts";
import { decodeDict } from "../../src/bencode/mod.ts";
import { readNodes, readTrackers, readWebSeeds } from "../../src/metainfo/sources.ts";

function dict(keys: Record<string, Encodable>) {
  return decodeDict(encode(keys));
}

const A = "http://a.example/announce";
const B = "udp://b.example:80";
const C = "wss://c.example";

const TRACKERS: [name: string, keys: Record<string, Encodable>, tiers: string[][]][] = [
  ["none", {}, []],
  ["announce", { announce: A }, [[A]]],
  ["announce-list in the place of announce", { announce: A, "announce-list": [[B, C], [A]] }, [[B, C], [A]]],
  ["announce-list without the announce URL", { announce: A, "announce-list": [[B]] }, [[B]]],
  ["announce where announce-list is empty", { announce: A, "announce-list": [] }, [[A]]],
  ["announce where announce-list has empty tiers", { announce: A, "announce-list": [[], [""]] }, [[A]]],
  ["announce where announce-list has no URL", { announce: A, "announce-list": [["junk"]] }, [[A]]],
  ["each URL once", { "announce-list": [[A, A], [A, B], [B]] }, [[A], [B]]],
  ["URLs in the place of tiers", { "announce-list": [A, B] }, [[A], [B]]],
  ["URLs without the spaces round them", { announce: ` \n${A}\t` }, [[A]]],
  ["no junk", { "announce-list": [["x", "http://", "//a", "dht", 7, {}, [], "javascript:alert(1)", A]] }, [[A]]],
  ["schemes that are not known", { announce: "gopher://x.example/1" }, [["gopher://x.example/1"]]],
  ["no URL of many kilobytes", { announce: `http://a.example/${"x".repeat(5000)}` }, []],
];

for (const [name, keys, tiers] of TRACKERS) {
  Deno.test(`readTrackers() gives ${name}`, () => assertEquals(readTrackers(dict(keys)), tiers));
}

Deno.test("readTrackers() stops at a thousand", () => {
  const list = Array.from({ length: 1500 }, (_, i) => [`http://a.example/${i}`]);
  assertEquals(readTrackers(dict({ "announce-list": list })).length, 1000);
});

Deno.test("readWebSeeds() takes a list or a single URL, each once, and no junk", () => {
  assertEquals(readWebSeeds(dict({})), []);
  assertEquals(readWebSeeds(dict({ "url-list": "" })), []);
  assertEquals(readWebSeeds(dict({ "url-list": "http://a.example/file" })), ["http://a.example/file"]);
  const list = ["http://a.example/f o", "ftp://b.example/", "", "junk", 7, "http://a.example/f o"];
  assertEquals(readWebSeeds(dict({ "url-list": list })), ["http://a.example/f o", "ftp://b.example/"]);
});

Deno.test("readNodes() takes hosts with ports, and no junk", () => {
  const nodes: Encodable[] = [
    ["router.example.com", 6881],
    ["192.0.2.1", 1],
    ["2001:db8::1", 65535],
    ["zero.example", 0],
    ["high.example", 65536],
    ["text.example", "6881"],
    ["", 6881],
    ["sp ace", 6881],
    ["alone.example"],
    "router.example.com:6881",
    [7, 6881],
  ];
  assertEquals(readNodes(dict({ nodes })), [
    { host: "router.example.com", port: 6881 },
    { host: "192.0.2.1", port: 1 },
    { host: "2001:db8::1", port: 65535 },
  ]);
  assertEquals(readNodes(dict({ nodes: "x" })), []);
});
