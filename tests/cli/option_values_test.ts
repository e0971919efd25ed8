import { assertEquals, assertThrows } from "@std/assert";
import { ShoalError } from "../../src/base/errors.ts";
import { EXIT_UNEXPECTED, exitCodeOf } from "../../src/cli/exit_codes.ts";
import { errorLine } from "../../src/cli/error_line.ts";
import {
  parseDuration,
  parseIpAddress,
  parsePort,
  parseRate,
  parseRatio,
  parseSize,
  parseWhole,
  readHostPort,
} from "../../src/cli/option_values.ts";
import { stateFolder } from "../../src/cli/network_options.ts";
import { fc } from "../support/property.ts";
import { anyText } from "../ui/any_text.ts";
import { FakeTerminal } from "../ui/fake_terminal.ts";

/** Asserts that good values are parsed, and that bad values are refused with the flag and the value in the message. */
function table<Value>(
  parse: (value: string, flag: string) => Value,
  cases: { readonly good: readonly (readonly [string, Value])[]; readonly bad: readonly string[] },
): void {
  for (const [text, value] of cases.good) assertEquals(parse(text, "--flag"), value, text);
  for (const text of cases.bad) {
    const error = assertThrows(() => parse(text, "--flag"), ShoalError, `bad value (--flag ${text}): `);
    assertEquals(error.kind, "usage");
  }
}

Deno.test("parseRate() takes sizes, and 0 for no limit", () => {
  table(parseRate, {
    good: [["500K", 512_000], ["5M", 5 * 1024 ** 2], ["5M/s", 5 * 1024 ** 2], ["5MB/s", 5e6], ["500kB", 500_000], [
      "1",
      1,
    ], ["10G", 10 * 1024 ** 3]]
      .concat([["0", 0], ["0K", 0]]) as [string, number][],
    bad: ["", "fast", "-1", "0.5", "0.0001K", "5M/m", "5 M", "/s", ".", "Infinity", "none"],
  });
});

Deno.test("parseSize() takes 1024-based units, and 1000-based ones with a B", () => {
  table(parseSize, {
    good: [["0", 0], ["4096", 4096], ["64M", 64 * 1024 ** 2], ["64m", 64 * 1024 ** 2], ["512KiB", 512 * 1024]]
      .concat([["1.5G", 1.5 * 1024 ** 3], ["2T", 2 * 1024 ** 4], ["64MB", 64e6], ["1kb", 1000], ["1mib", 1024 ** 2]])
      .concat([["1.5GB", 1.5e9], ["2TiB", 2 * 1024 ** 4], ["1TB", 1e12]]) as [string, number][],
    bad: [
      "",
      "M",
      "-1",
      "1X",
      "1.M",
      "1 M",
      "1e3",
      "0x10",
      "64B",
      "64iB",
      "64Mi",
      "MB",
      "9999999999T",
      "NaN",
      "Infinity",
    ],
  });
});

Deno.test("parseDuration() takes seconds, minutes, hours, days, and rows of them", () => {
  table(parseDuration, {
    good: [["45", 45], ["90s", 90], ["30m", 1800], ["2h", 7200], ["1d", 86400], ["1h30m", 5400], ["0.5s", 0.5]],
    bad: ["", "s", "0", "0s", "-5s", "5w", "5 s", "m30", "1h30", "99999999999d"],
  });
});

Deno.test("parsePort() and parseWhole() keep to their limits", () => {
  table(parsePort, { good: [["0", 0], ["6881", 6881], ["65535", 65535]], bad: ["65536", "-1", "1.5", "", "x", "0x1"] });
  const parse = (value: string, flag: string) => parseWhole(value, { flag, min: 1, max: 9 });
  table(parse, { good: [["1", 1], ["9", 9]], bad: ["0", "10"] });
});

Deno.test("parseRatio() takes numbers with a point", () => {
  table(parseRatio, { good: [["0", 0], ["1", 1], ["1.5", 1.5]], bad: ["", "-1", ".5", "1.", "1,5", "1e9", "two"] });
});

Deno.test("parseIpAddress() takes literal addresses only", () => {
  table(parseIpAddress, {
    good: [["10.0.0.1", "10.0.0.1"], ["::1", "::1"], ["[2001:db8::1]", "2001:db8::1"]],
    bad: ["", "localhost", "10.0.0", "10.0.0.256", "[10.0.0.1", "::1::"],
  });
});

Deno.test("readHostPort() takes IPv4, IPv6 in brackets, and names", () => {
  table(readHostPort, {
    good: [
      ["10.0.0.1:6881", { host: "10.0.0.1", port: 6881 }],
      ["[2001:db8::1]:1", { host: "2001:db8::1", port: 1 }],
      ["example.org:65535", { host: "example.org", port: 65535 }],
    ],
    bad: ["", "10.0.0.1", ":6881", "10.0.0.1:0", "10.0.0.1:65536", "2001:db8::1:6881", "[x]:1", "a b:1", "http://x:1"],
  });
});

Deno.test("stateFolder() follows the XDG rules, and Windows' own", () => {
  const folder = (env: Record<string, string>, isWindows = false) => stateFolder(new FakeTerminal({ env, isWindows }));
  assertEquals(folder({ XDG_STATE_HOME: "/state", HOME: "/home/x" }), "/state/shoal");
  assertEquals(folder({ XDG_STATE_HOME: "relative", HOME: "/home/x" }), "/home/x/.local/state/shoal");
  assertEquals(folder({ HOME: "/home/x" }), "/home/x/.local/state/shoal");
  assertEquals(folder({}), null);
  assertEquals(folder({ LOCALAPPDATA: "C:\\Local" }, true), "C:\\Local\\shoal");
  assertEquals(folder({}, true), null);
});

Deno.test("exitCodeOf() gives every kind of error the code of the contract", () => {
  const code = (kind: ShoalError["kind"]) => exitCodeOf(new ShoalError(kind, { what: "x", why: "y" }));
  assertEquals(
    [code("usage"), code("torrent"), code("storage"), code("timeout"), code("network"), code("peer")],
    [2, 3, 4, 5, 6, 1],
  );
  assertEquals(exitCodeOf(new Error("x")), EXIT_UNEXPECTED);
  assertEquals(exitCodeOf(undefined), EXIT_UNEXPECTED);
});

Deno.test("errorLine() is WHAT (WHERE): WHY and what to do", () => {
  const error = new ShoalError("storage", { what: "cannot write", where: "a.iso", why: "no space", hint: "free some" });
  assertEquals(errorLine(error, { verbose: false }), "shoal: error: cannot write (a.iso): no space; free some\n");
  const bare = new ShoalError("torrent", { what: "not a torrent", why: "empty" });
  assertEquals(errorLine(bare, { verbose: false }), "shoal: error: not a torrent: empty\n");
  assertEquals(
    errorLine(new TypeError("x is undefined"), { verbose: false }),
    "shoal: error: unexpected failure: x is undefined; this is a bug, -v shows where\n",
  );
});

Deno.test("errorLine() shows stack and causes with -v only, and survives a circle of causes", () => {
  const inner = new Error("inner");
  inner.cause = inner;
  const lines = errorLine(new Error("outer", { cause: inner }), { verbose: true }).split("\n");
  assertEquals(lines[0], "shoal: error: unexpected failure: outer");
  assertEquals(lines[1]?.startsWith("    at "), true);
  assertEquals(lines.filter((line) => line === "caused by Error: inner").length, 4);
});

Deno.test("errorLine() is one harmless line, whatever the error says", () => {
  fc.assert(fc.property(anyText(), anyText(), (where, why) => {
    const line = errorLine(new ShoalError("usage", { what: "bad", where, why }), { verbose: false });
    assertEquals(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u.test(line.slice(0, -1)), false);
    assertEquals(line.endsWith("\n"), true);
  }));
});
