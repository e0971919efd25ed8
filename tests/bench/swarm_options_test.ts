import { assert, assertEquals, assertThrows } from "@std/assert";
import { fluidBound, needsOf, parseSwarmOptions } from "../../bench/swarm_options.ts";
import { ShoalError } from "../../src/base/errors.ts";

const MIB = 1 << 20;

function parse(line: string) {
  const options = parseSwarmOptions(line.split(" ").filter((word) => word !== ""));
  assert(options !== null);
  return options;
}

Deno.test("parseSwarmOptions() compares with libtorrent unless told otherwise, or with the first if it takes no part", () => {
  assertEquals(parse("").leechers.map(({ name }) => name), ["shoal", "libtorrent", "aria2"]);
  assertEquals(parse("").base, "libtorrent");
  assertEquals(parse("--base aria2").base, "aria2");
  assertEquals(parse("--leech rtorrent,shoal").base, "rtorrent");
});

Deno.test("parseSwarmOptions() starts a Shoal of another name by the command that is given for it", () => {
  const { leechers, seeder, seederCount } = parse(
    "--leech compiled,shoal --shoal compiled=dist/shoal --seed compiled:2",
  );
  const command = [`${Deno.cwd()}/dist/shoal`];
  assertEquals(leechers[0], { name: "compiled", client: "shoal", command });
  assertEquals(leechers[1]!.client, "shoal");
  assert(leechers[1]!.command!.length > 1);
  assertEquals([seeder, seederCount], [{ name: "compiled", client: "shoal", command }, 2]);
});

Deno.test("parseSwarmOptions() makes paths in a command whole, and leaves programs and options alone", () => {
  const options = parseSwarmOptions(["--leech", "own", "--shoal", "own=deno run --allow-read=a/b main.ts"]);
  assertEquals(options!.leechers[0]!.command, ["deno", "run", "--allow-read=a/b", `${Deno.cwd()}/main.ts`]);
});

Deno.test("parseSwarmOptions() caps the seeders of a crowd, and of others only when told to", () => {
  assertEquals([parse("").cap, parse("").swarm], [null, null]);
  assertEquals([parse("--swarm 8").cap, parse("--swarm 8").swarm], [20_000_000, 8]);
  assertEquals(parse("--swarm 8 --cap 1M").cap, MIB);
  assertEquals(parse("--cap 5000000").cap, 5_000_000);
});

Deno.test("parseSwarmOptions() has more patience when the cap makes everybody slow", () => {
  assertEquals(parse("").timeout, 300);
  assertEquals(parse("--cap 1M --mib 100").timeout, 500);
  assertEquals(parse("--cap 1M --mib 100 --timeout 20").timeout, 20);
});

for (
  const [line, named] of [
    ["--leech shoal,bittornado", "bittornado"],
    ["--leech shoal,aria2,shoal", "shoal is named twice"],
    ["--seed libtorrent:0", "--seed 0"],
    ["--seed libtorrent:1:2", "libtorrent:1:2"],
    ["--cap 100", "--cap 100"],
    ["--piece-kib 100", "--piece-kib 100"],
    ["--piece-kib 8", "--piece-kib 8"],
    ["--mib 0", "--mib 0"],
    ["--mib 1 --files 2000", "--files 2000"],
    ["--rounds many", "--rounds many"],
    ["--base rtorrent", "--base rtorrent"],
    ["--shoal compiled", "--shoal compiled"],
    ["--shoal aria2=dist/shoal", "aria2 is the name of another client"],
    ["--cache lots", "--cache lots"],
  ] as const
) {
  Deno.test(`parseSwarmOptions() refuses ${line}`, () => {
    const error = assertThrows(() => parse(line), ShoalError);
    assert(error.message.includes(named), error.message);
  });
}

Deno.test("parseSwarmOptions() refuses an option that there isn't, and gives nothing for --help", () => {
  assertThrows(() => parse("--leechers shoal"), TypeError, "--leechers");
  assertEquals(parseSwarmOptions(["--help"]), null);
});

Deno.test("needsOf() asks for the packages of those that take part, each once", () => {
  assertEquals(needsOf(parse("--leech shoal --seed shoal")), ["root", "ip", "opentracker"]);
  assertEquals(needsOf(parse("--leech aria2,rtorrent,transmission --seed aria2:2")), [
    "root",
    "ip",
    "opentracker",
    "aria2c",
    "rtorrent",
    "transmission-cli",
  ]);
});

Deno.test("fluidBound() is the time of one copy through all the seeders' lines", () => {
  assertEquals(fluidBound({ size: 100, cap: 10, seederCount: 1 }), 10);
  assertEquals(fluidBound({ size: 100, cap: 10, seederCount: 2 }), 5);
  assertEquals(fluidBound({ size: 100, cap: null, seederCount: 2 }), 0);
});
