import { assertEquals, assertStringIncludes } from "@std/assert";
import { utf8 } from "../../src/base/bytes.ts";
import { byTorrent } from "../../src/cli/download.ts";
import { encodeSingleFile } from "../../src/metainfo/encode_torrent.ts";
import { type Magnet, type Metainfo, parseMagnet, parseMetainfo } from "../../src/metainfo/mod.ts";
import { settle } from "../support/virtual_clock.ts";
import { type Answer, failure, World } from "./fake_engine.ts";

/** Runs with a server that gives this answer. */
async function served(answer: Answer, ...args: string[]): Promise<{ world: World; code: number }> {
  const world = new World();
  world.answer = () => answer;
  return { world, code: await world.run(...args) };
}

Deno.test("a URL that redirects to a magnet link stands for the torrent that the link names", async () => {
  const magnet = `Magnet:?xt=urn:btih:${"a".repeat(40)}&dn=Found&tr=http://t.example/announce`;
  const answer = { status: 302, text: "", magnet };
  const listed = await served(answer, "info", "http://x.test/get/1");
  assertEquals(listed.code, 0, listed.world.terminal.stderr.text);
  assertStringIncludes(listed.world.terminal.stdout.text, "Remote");
  assertEquals([listed.world.requests[0]!.takesMagnet, listed.world.requests[0]!.trust], [true, { by: "user" }]);
  const world = new World();
  world.answer = () => answer;
  const { code } = await world.start("download", "http://x.test/get/1");
  world.session.added[0]!.finish();
  assertEquals(await code, 0);
});

Deno.test("a URL that redirects to a magnet link is no torrent file where one is needed, nor is what is no magnet link", async () => {
  const world = new World();
  world.answer = () => ({ status: 302, text: "", magnet: `magnet:?xt=urn:btih:${"a".repeat(40)}` });
  assertStringIncludes(
    await failure(["verify", "http://x.test/1", "."], 2, world),
    "a .torrent file is needed (http://x.test/1): it redirects to a magnet link, and",
  );
  const nonsense = new World();
  nonsense.answer = () => ({ status: 302, text: "", magnet: "magnet:?dn=x" });
  assertStringIncludes(await failure(["http://x.test/1"], 3, nonsense), "not a magnet link (magnet:?dn=x)");
});

Deno.test("bad sources are named, and slow ones, after three seconds at most, and the good ones go on in the end", async () => {
  for (const flags of [[], ["-q"]]) {
    const world = new World();
    const answer = Promise.withResolvers<Answer>();
    world.answer = () => answer.promise;
    const code = world.run("http://slow.test/x?passkey=0123456789abcdef", "missing.torrent", "a.torrent", ...flags);
    await settle();
    assertEquals(world.terminal.stderr.text, "");
    await world.clock.play(3_000);
    const note = "shoal: waiting for http://slow.test/x?passkey=0123***";
    const error = "shoal: error: cannot read the torrent (missing.torrent): there is no such file";
    assertEquals(world.terminal.stderr.lines, flags.length === 0 ? [error, note] : [error]);
    answer.resolve({ status: 200, text: "torrent b" });
    await settle();
    for (const torrent of world.session.added) torrent.finish();
    assertEquals([await code, world.session.added.map(({ meta }) => meta.name)], [2, ["a", "b"]]);
    assertEquals(world.clock.pending, 0);
  }
});

Deno.test("standard input may hold a magnet link or an info-hash instead of a torrent", async () => {
  const hex = "ab".repeat(20);
  for (
    const text of [
      `magnet:?xt=urn:btih:${hex}\n`,
      `\ufeff\r\n MAGNET:?xt=urn:btih:${hex} \r\n\n`,
      hex,
      `${"d".repeat(32)}\n`,
    ]
  ) {
    const world = new World({ stdin: utf8(text) });
    const { code } = await world.start("-", "-q");
    const found = text.includes(hex) ? hex : "18c6318c6318c6318c6318c6318c6318c6318c63";
    assertEquals(world.session.added[0]!.infoHash.hex, found);
    world.session.added[0]!.finish();
    assertEquals(await code, 0);
  }
  const twice = new World({ stdin: utf8(hex) });
  const { code } = await twice.start("-", "a.torrent", "-", "-q");
  for (const torrent of twice.session.added) torrent.finish();
  assertEquals([await code, twice.session.added.length, twice.terminal.stdinReads], [0, 2, 1]);
  const two = new World({ stdin: utf8(`${hex}\n${hex}\n`) });
  assertStringIncludes(
    await failure(["-"], 2, two),
    "(standard input): one magnet link or info-hash was expected, found 2",
  );
  const bad = new World({ stdin: utf8("magnet:?dn=x") });
  assertStringIncludes(await failure(["info", "-"], 3, bad), "not a magnet link (magnet:?dn=x)");
  const verify = new World({ stdin: utf8(hex) });
  assertStringIncludes(await failure(["verify", "-", "."], 2, verify), "a .torrent file is needed (standard input): ");
});

Deno.test("a web page instead of a torrent is told as that", async () => {
  for (
    const text of [
      "<!DOCTYPE html><title>Log in</title>",
      "\n<html>",
      "<meta http-equiv=refresh content='0;magnet:?x'>",
    ]
  ) {
    const world = new World();
    world.answer = () => ({ status: 200, text });
    assertStringIncludes(
      await failure(["info", "http://x.test/1"], 3, world),
      "not a torrent (http://x.test/1): the server sent a web page instead of a torrent; the link to the .torrent file",
    );
  }
});

Deno.test("a v2 info-hash stands for a torrent as a v1 info-hash does, on standard input as well", async () => {
  const v2 = "ab".repeat(32);
  for (const source of [v2, `1220${v2}`, v2.toUpperCase(), "-"]) {
    const world = new World({ stdin: utf8(`${v2}\n`) });
    const { code } = await world.start(source, "-q");
    assertEquals(world.session.added[0]!.infoHash.hex, v2.slice(0, 40), source);
    world.session.added[0]!.finish();
    assertEquals(await code, 0);
  }
  assertStringIncludes(await failure(["verify", v2, "."], 2), `a .torrent file is needed (${v2})`);
});

Deno.test("hexadecimal digits that are too many or too few for an info-hash are told as that", async () => {
  for (const digits of ["a".repeat(39), "a".repeat(41), "0".repeat(63), `1220${"a".repeat(63)}`]) {
    assertStringIncludes(
      await failure([digits], 2),
      `there is no such file, and an info-hash has 40 hexadecimal digits, or 64 of a v2 torrent, not ${digits.length}`,
    );
  }
});

Deno.test("sources that have an info-hash in common are one torrent, also if a later one brings them together", async () => {
  const [v1, v2, other] = ["c1".repeat(20), "ab".repeat(32), "d2".repeat(20)];
  const links = [
    `xt=urn:btmh:1220${v2}&tr=http://2.test/`,
    `xt=urn:btih:${v1}&tr=http://1.test/`,
    `xt=urn:btih:${other}`,
  ];
  const both = `xt=urn:btih:${v1}&xt=urn:btmh:1220${v2}`;
  for (const order of [[...links, both], [both, ...links], [links[0]!, both, links[1]!, links[2]!]]) {
    const world = new World();
    const { code } = await world.start(...order.map((link) => `magnet:?${link}`));
    const added = world.session.added.map(({ infoHash }) => infoHash.hex);
    assertEquals(new Set(added), new Set([v1, other]), order.join(" "));
    assertStringIncludes(world.terminal.stderr.text, "3 sources are the same torrent, and are used together");
    for (const torrent of world.session.added) torrent.finish();
    assertEquals(await code, 0);
  }
});

Deno.test("byTorrent() joins what a link says to be one hybrid, unless a torrent file says otherwise", () => {
  const announce = "http://t.example/a";
  const file = (name: string) =>
    parseMetainfo(encodeSingleFile({ name, length: 1, pieceLength: 16_384, digests: [new Uint8Array(20)], announce }));
  const [one, two] = [file("one"), file("two")];
  const v2 = (digit: string) => parseMagnet(digit.repeat(64));
  const both = { ...parseMagnet(one.infoHash.hex), infoHashV2: v2("2").infoHashV2 };
  const link = parseMagnet(two.infoHash.hex);
  const cases: [given: (Metainfo | Magnet)[], groups: (Metainfo | Magnet)[][]][] = [
    [[parseMagnet(one.infoHash.hex), link, v2("2"), both], [[parseMagnet(one.infoHash.hex), v2("2"), both], [link]]],
    [[both, link, one, v2("2")], [[both, one], [link], [v2("2")]]],
    [[two, both, v2("2"), one, link], [[two, link], [both, one], [v2("2")]]],
  ];
  for (const [given, groups] of cases) assertEquals(byTorrent(given), groups);
});
