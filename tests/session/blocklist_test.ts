import { assert, assertEquals, assertFalse, assertRejects, assertStringIncludes, assertThrows } from "@std/assert";
import { formatIp } from "../../src/base/address.ts";
import { utf8 } from "../../src/base/bytes.ts";
import { ShoalError } from "../../src/base/errors.ts";
import { denoPlatform as platform } from "../../src/platform/deno_platform.ts";
import { parseBlocklist, readBlocklist } from "../../src/session/blocklist.ts";
import { Session } from "../../src/session/session.ts";
import { fc } from "../support/property.ts";
import { eventOf, HOST, Lab, NAME } from "../support/session_lab.ts";

const parse = (...lines: string[]) => parseBlocklist(lines.join("\n"), "list.p2p");

/** Each line must block the first address and not the second. */
const FORMS: readonly (readonly [line: string, blocked: string, free: string])[] = [
  ["Some Organisation:1.2.3.4-1.2.3.9", "1.2.3.9", "1.2.3.10"],
  ["a, b - c: d-e:1.2.3.4-1.2.3.9", "1.2.3.4", "1.2.3.3"],
  ["  spaced : 1.2.3.4 - 1.2.3.9\r", "1.2.3.9", "1.2.3.10"],
  ["name #5; x:1.2.3.4-1.2.3.9", "1.2.3.4", "1.2.3.3"],
  ["v6-net:2001:db8::1-2001:db8::ff", "2001:db8::ff", "2001:db8::100"],
  ["001.002.003.004 - 001.002.003.009 , 000 , Some: Organisation-2", "1.2.3.4", "1.2.3.3"],
  ["1.2.3.4 - 1.2.3.9 , 127 , name", "1.2.3.9", "1.2.3.10"],
  ["1.2.3.4-1.2.3.9", "1.2.3.4", "1.2.3.3"],
  ["2001:db8::1-2001:db8::2", "2001:db8::2", "2001:db8::3"],
  ["1.2.3.77/24", "1.2.3.0", "1.2.4.0"],
  ["1.2.3.0/24 ; SBL1234", "1.2.3.255", "1.2.2.255"],
  ["1.2.3.0/24 # a-b:c", "1.2.3.255", "1.2.2.255"],
  ["1.2.3.4", "1.2.3.4", "1.2.3.5"],
  ["1.2.3.4/32", "1.2.3.4", "1.2.3.5"],
  ["2001:DB8::/32", "2001:db8:ffff::1", "2001:db9::"],
  ["2001:db8::5", "2001:db8::5", "2001:db8::6"],
  ["::ffff:1.2.3.0/120", "1.2.3.200", "1.2.4.0"],
  ["::ffff:1.2.3.4", "1.2.3.4", "1.2.3.5"],
];

Deno.test("parseBlocklist() reads P2P text, eMule's .dat, networks and addresses, mixed as they come", () => {
  for (const [line, blocked, free] of FORMS) {
    const { ranges, bad } = parse(line);
    assertEquals(bad, 0, line);
    assert(ranges.has(blocked), line);
    assertFalse(ranges.has(free), line);
  }
  const all = parse("# a comment", "", "// another", "; a third", ...FORMS.map(([line]) => line));
  assertEquals([all.bad, all.firstBad], [0, 0]);
  for (const [line, blocked] of FORMS) assert(all.ranges.has(blocked), line);
});

Deno.test("parseBlocklist() lets in whom a .dat gives an access level above 127", () => {
  const { ranges, bad } = parse("1.2.3.4 - 1.2.3.9 , 128 , friends", "1.2.4.0 - 1.2.4.9 , 100 , foes");
  assertEquals(bad, 0);
  assertFalse(ranges.has("1.2.3.5"));
  assert(ranges.has("1.2.4.5"));
});

Deno.test("parseBlocklist() counts the lines that make no sense, and says where the first is", () => {
  const nonsense = [
    "name",
    "name:1.2.3.4",
    "name:1.2.3.9-1.2.3.4", // first and last address swapped
    "name:1.2.3.4-2001:db8::1",
    "1.2.3.4/33",
    "1.2.3.4/",
    "1.2.3.4/-1",
    "1.2.3/24",
    "256.1.1.1",
    "1.2.3.4.5",
    "2001:db8::/129",
    "1::2::3",
    "zz::1",
    "-",
    ":-",
    ",",
    "1.2.3.4 1.2.3.5",
  ];
  const { ranges, bad, firstBad } = parse("# list", "9.9.9.9", ...nonsense);
  assertEquals([ranges.size, bad, firstBad], [1, nonsense.length, 3]);
  for (const host of ["1.2.3.4", "1.2.3.9", "2001:db8::1", "0.1.2.3", "::"]) assertFalse(ranges.has(host));
});

Deno.test("parseBlocklist() has no use for a list without an address", () => {
  for (const text of ["", "# nothing\n", "\n\n", "one\ntwo\n", "1.2.3.4 - 1.2.3.9 , 200 , friends\n"]) {
    const error = assertThrows(() => parseBlocklist(text, "my.p2p"), ShoalError);
    assertEquals([error.kind, error.where], ["usage", "my.p2p"]);
  }
});

Deno.test("parseBlocklist() reads whatever was written as a range", () => {
  const ip = fc.uint8Array({ minLength: 4, maxLength: 4 });
  const name = fc.string().map((text) => text.replaceAll(/[\r\n,]/g, ""));
  fc.assert(fc.property(name, ip, ip, fc.constantFrom("p2p", "dat"), (name, a, b, form) => {
    const [first, last] = [a, b].sort((x, y) => x.join().localeCompare(y.join())).map(formatIp) as [string, string];
    const at = (text: string) => text.split(".").reduce((sum, part) => sum * 256 + Number(part), 0);
    const [low, high] = at(first) <= at(last) ? [first, last] : [last, first];
    const line = form === "p2p" ? `x${name}:${low}-${high}` : `${low} - ${high} , 0 , ${name}`;
    const { ranges, bad } = parse(line);
    assert(bad === 0 && ranges.has(low) && ranges.has(high), line);
  }));
});

Deno.test("readBlocklist() reads a file that is packed as one that is not, and says what is wrong with others", async () => {
  await using lab = new Lab();
  const text = "\ufeffCaf\u00e9:1.2.3.4-1.2.3.9\r\n5.6.7.0/24\r\n";
  const file = `${lab.folder}/list.p2p`;
  Deno.writeTextFileSync(file, text);
  const packed = `${lab.folder}/list.gz`;
  const pack = async (bytes: Uint8Array<ArrayBuffer>, path: string) =>
    Deno.writeFileSync(
      path,
      new Uint8Array(
        await new Response(new Blob([bytes]).stream().pipeThrough(new CompressionStream("gzip"))).arrayBuffer(),
      ),
    );
  await pack(utf8(text), packed);
  for (const path of [file, packed]) {
    const { ranges, bad } = await readBlocklist(path, platform.files);
    assertEquals(bad, 0);
    assert(ranges.has("1.2.3.4") && ranges.has("5.6.7.8") && !ranges.has("5.6.8.0"));
  }
  const cut = `${lab.folder}/cut.gz`;
  Deno.writeFileSync(cut, Deno.readFileSync(packed).slice(0, 20));
  const faults = [[cut, "unpacked"], [lab.folder, "folder"], [`${file}.no`, "no such file"]];
  for (const [path, why] of faults as [string, string][]) {
    const error = await assertRejects(() => readBlocklist(path, platform.files), ShoalError);
    assertEquals([error.kind, error.where], ["usage", path]);
    assertStringIncludes(error.why, why);
  }
});

Deno.test("Session doesn't dial whom its blocklist names, and warns of lines that make no sense", async () => {
  await using lab = new Lab();
  const { meta, data, source } = await lab.payload(500_000);
  const { session: blocked } = await lab.session({ bind: "127.0.0.2" });
  await (await blocked.add(meta, { folder: source, seedOnly: true, trust: true })).finished;
  const free = await lab.seeder(meta, source);

  const blocklist = `${lab.folder}/list.p2p`;
  Deno.writeTextFileSync(blocklist, "them:127.0.0.2-127.0.0.9\nnonsense\nmore\n");
  const { session, events } = await lab.session({ blocklist });
  assertEquals(events, [{
    event: "warning",
    infohash: null,
    message: "2 lines of the blocklist make no sense, line 2 is the first",
    where: blocklist,
  }]);
  const folder = lab.make("out");
  const torrent = await session.add(meta, { folder, peers: [blocked.listenAddress, free.listenAddress] });
  await torrent.finished;
  assertEquals(Deno.readFileSync(`${folder}/${NAME}`), data);
  const hosts = events.flatMap((event) => event.event === "peer" && event.action === "connected" ? event.address : []);
  assert(hosts.length > 0 && hosts.every((address) => address.startsWith(`${HOST}:`)), hosts.join());
});

Deno.test("Session doesn't hear whom its blocklist names", async () => {
  await using lab = new Lab();
  const { meta, source } = await lab.payload(100_000);
  const blocklist = `${lab.folder}/list`;
  Deno.writeTextFileSync(blocklist, `${HOST}/32\n`);
  const { session, events } = await lab.session({ bind: "127.0.0.2", blocklist });
  await (await session.add(meta, { folder: source, seedOnly: true, trust: true })).finished;
  const refused = eventOf(session, events, (event) => event.event === "peer" && event.action === "refused");
  const { session: caller } = await lab.session();
  await caller.add(meta, { folder: lab.make("out"), peers: [session.listenAddress] });
  const told = await refused;
  assert(told.event === "peer" && told.address.startsWith(`${HOST}:`));
  assertEquals([told.infohash, told.message], [null, "it is on the blocklist"]);
  assertFalse(events.some((event) => event.event === "peer" && event.action === "connected"));
});

Deno.test("Session.start() fails if the blocklist is of no use, and takes no port", async () => {
  const session = new Session({ platform, port: 0, bind: HOST, blocklist: "/nowhere/list.p2p" });
  const error = await assertRejects(() => session.start(), ShoalError);
  assertEquals([error.kind, error.where], ["usage", "/nowhere/list.p2p"]);
  await session.stop();
});
