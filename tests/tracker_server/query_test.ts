import { parseNetworks } from "../../src/base/ip_ranges.ts";
import { Trust } from "../../src/tracker_server/address_trust.ts";
import { assert, assertEquals } from "@std/assert";
import { utf8 } from "../../src/base/bytes.ts";
import { InfoHash } from "../../src/base/info_hash.ts";
import { parseAnnounceQuery, parseQuery, parseScrapeQuery } from "../../src/tracker_server/query.ts";
import { fc, unicodeText } from "../support/property.ts";

const FROM = { host: "203.0.113.5", port: 40_000 };
const HASH = "%00".repeat(19) + "%ff";
const GOOD = `info_hash=${HASH}&peer_id=${"p".repeat(20)}&port=6881&left=5`;

function refusalOf(query: string): string | null {
  const parsed = parseAnnounceQuery(query, FROM);
  return "refusal" in parsed ? parsed.refusal : null;
}

Deno.test("parseQuery() decodes to bytes, keeps what is no escape, and keeps every value", () => {
  const parameters = parseQuery("a=%FF%00%7e&a=x+y&b&=c&d=100%&e=%zz%4&f==&&");
  assertEquals(parameters.get("a"), [Uint8Array.of(255, 0, 126), utf8("x y")]);
  assertEquals(parameters.get("b"), [utf8("")]);
  assertEquals(parameters.get(""), [utf8("c")]);
  assertEquals(parameters.get("d"), [utf8("100%")]);
  assertEquals(parameters.get("e"), [utf8("%zz%4")]);
  assertEquals(parameters.get("f"), [utf8("=")]);
});

Deno.test("parseQuery() looks at no more than 100 parameters", () => {
  assertEquals(parseQuery("a=1&".repeat(5000)).get("a")?.length, 100);
});

Deno.test("parseAnnounceQuery() reads an announce", () => {
  const parsed = parseAnnounceQuery(`${GOOD}&event=started&numwant=7&compact=0&no_peer_id=1`, FROM);
  assert("query" in parsed);
  assertEquals(parsed.query, {
    infoHash: new InfoHash(Uint8Array.of(...new Array(19).fill(0), 255)),
    peerId: utf8("p".repeat(20)),
    address: { host: "203.0.113.5", port: 6881 },
    left: 5,
    event: "started",
    numwant: 7,
    compact: false,
    withoutPeerIds: true,
  });
});

Deno.test("parseAnnounceQuery() fills in what is left out", () => {
  const parsed = parseAnnounceQuery(GOOD.replace("&left=5", ""), FROM);
  assert("query" in parsed);
  const { left, event, numwant, compact, withoutPeerIds } = parsed.query;
  assertEquals([left, event, numwant, compact, withoutPeerIds], [Infinity, "", null, true, false]);
});

for (
  const [query, refusal] of [
    ["", "info_hash must have 20 bytes"],
    [GOOD.replace(HASH, "%00"), "info_hash must have 20 bytes"],
    [GOOD.replace("info_hash", "infohash"), "info_hash must have 20 bytes"],
    [GOOD.replace("ppp", ""), "peer_id must have 20 bytes"],
    [GOOD.replace("6881", "0"), "port must be 1 to 65535"],
    [GOOD.replace("6881", "65536"), "port must be 1 to 65535"],
    [GOOD.replace("6881", "-1"), "port must be 1 to 65535"],
    [GOOD.replace("6881", "%ff"), "port must be 1 to 65535"],
    [GOOD.replace("left=5", "left=-5"), "left must be a number of bytes"],
    [`${GOOD}&x=${"y".repeat(9000)}`, "the request is too long"],
  ] as const
) {
  Deno.test(`parseAnnounceQuery() refuses ${query.slice(0, 60) || "nothing"}: ${refusal}`, () => {
    assertEquals(refusalOf(query), refusal);
  });
}

function trust({ proxies = "", clients = "" }): Trust {
  const read = (text: string) => {
    const parsed = parseNetworks(text === "" ? "240.0.0.0/4" : text);
    assert("networks" in parsed, text);
    return parsed.networks;
  };
  return new Trust({ proxies: read(proxies), clients: read(clients) });
}

Deno.test("parseAnnounceQuery() believes an address in the query only from who is trusted, by nature nobody", () => {
  const hostFor = (from: string, ip: string, trusted = "") => {
    const parsed = parseAnnounceQuery(`${GOOD}&ip=${ip}`, { host: from, port: 1 }, trust({ clients: trusted }));
    assert("query" in parsed);
    return parsed.query.address.host;
  };
  for (const from of ["203.0.113.5", "127.0.0.1", "::1", "10.0.0.1"]) {
    assertEquals(hostFor(from, "198.51.100.1"), from);
    assertEquals(hostFor(from, "198.51.100.1", "192.0.2.0/24"), from);
  }
  assertEquals(hostFor("127.0.0.1", "198.51.100.1", "127.0.0.0/8"), "198.51.100.1");
  assertEquals(hostFor("::1", "2001:db8:0::1", "::1"), "2001:db8::1");
  for (const ip of ["peer.example", "", "0.0.0.0", "224.0.0.1", "::", "ff02::1", "fe80::1", "1.2.3"]) {
    assertEquals(hostFor("127.0.0.1", ip, "127.0.0.1"), "127.0.0.1", ip);
  }
  // The parameters of BEP 7 for a second address are ignored for every client.
  const parsed = parseAnnounceQuery(
    `${GOOD}&ipv4=198.51.100.1&ipv6=2001:db8::1`,
    FROM,
    trust({ clients: "0.0.0.0/0" }),
  );
  assert("query" in parsed);
  assertEquals(parsed.query.address.host, FROM.host);
});

Deno.test("Trust.clientOf() takes the last address that no proxy of ours has, and believes nobody else", () => {
  const believed = trust({ proxies: "127.0.0.1, 10.0.0.0/8 ::1" });
  const clientOf = (from: string, forwarded: string | null) =>
    believed.clientOf({ host: from, port: 7 }, () => forwarded).host;
  for (
    const [from, forwarded, client] of [
      ["127.0.0.1", "203.0.113.5", "203.0.113.5"],
      ["127.0.0.1", "198.51.100.66, 203.0.113.5", "203.0.113.5"],
      ["127.0.0.1", "198.51.100.66,203.0.113.5 ,10.1.2.3,  127.0.0.1", "203.0.113.5"],
      ["::1", "2001:DB8::5", "2001:db8::5"],
      ["10.9.9.9", "::ffff:203.0.113.5", "203.0.113.5"],
      ["10.9.9.9", "203.0.113.5:4711", "203.0.113.5"],
      ["10.9.9.9", "[2001:db8::5]:4711", "2001:db8::5"],
      ["10.9.9.9", "[2001:db8::5]", "2001:db8::5"],
      ["127.0.0.1", "203.0.113.5, unknown", "127.0.0.1"],
      ["127.0.0.1", "203.0.113.5, unknown, 10.0.0.2", "10.0.0.2"],
      ["127.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"],
      ["127.0.0.1", "", "127.0.0.1"],
      ["127.0.0.1", null, "127.0.0.1"],
      ["127.0.0.1", "203.0.113.5,".repeat(5000), "127.0.0.1"],
      ["192.0.2.1", "203.0.113.5", "192.0.2.1"],
      ["192.0.2.1", "127.0.0.1", "192.0.2.1"],
    ] as const
  ) assertEquals(clientOf(from, forwarded), client, `${from} ${forwarded?.slice(0, 60)}`);
  assertEquals(new Trust().clientOf({ host: "127.0.0.1", port: 7 }, () => "203.0.113.5").host, "127.0.0.1");
});

Deno.test("parseScrapeQuery() takes 1 to 64 info-hashes", () => {
  const parsed = parseScrapeQuery(`info_hash=${HASH}&info_hash=${"a".repeat(20)}`);
  assert("query" in parsed);
  assertEquals(parsed.query.map((hash) => hash.hex), ["00".repeat(19) + "ff", "61".repeat(20)]);
  const many = (count: number) => parseScrapeQuery(Array(count).fill(`info_hash=${"a".repeat(20)}`).join("&"));
  assert("query" in many(64));
  assert("refusal" in many(65));
  assert("refusal" in many(0));
  assert("refusal" in parseScrapeQuery("info_hash=short"));
});

Deno.test("parseAnnounceQuery() and parseScrapeQuery() never throw", () => {
  fc.assert(fc.property(fc.string(), unicodeText(), (query, more) => {
    for (const text of [query, `${GOOD}&${query}`, `info_hash=${more}`]) {
      parseAnnounceQuery(text, FROM);
      parseScrapeQuery(text);
    }
  }));
});
