import { assertEquals, assertThrows } from "@std/assert";
import { type Nearness, nearnessOf } from "../../src/base/networks.ts";
import { checkRedirect, checkTarget, type RequestTarget } from "../../src/platform/http_guard.ts";
import { HttpError, type UrlTrust } from "../../src/platform/platform.ts";

const NEAR: readonly (readonly [nearness: Nearness, addresses: readonly string[]])[] = [
  ["self", ["127.0.0.1", "127.9.9.9", "0.0.0.0", "0.1.2.3", "::", "::1", "::ffff:127.0.0.1", "::127.0.0.1"]],
  ["self", ["64:ff9b::127.0.0.1", "2002:7f00:1::1", "2001:db8::5efe:127.0.0.1", "2001:db8::200:5efe:127.0.0.1"]],
  ["link", ["169.254.1.1", "fe80::1", "fe80::1%eth0", "::ffff:169.254.1.1", "64:ff9b::a9fe:101"]],
  ["nobody", ["169.254.169.254", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "100.100.100.200", "fd00:ec2::254"]],
  ["network", ["10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.0.1", "100.64.0.1", "100.127.255.255"]],
  ["network", ["198.18.0.1", "192.0.0.1", "fc00::1", "fdff::1", "fec0::1", "2002:c0a8:101::1", "::ffff:10.0.0.1"]],
  ["nobody", [
    "224.0.0.1",
    "255.255.255.255",
    "240.0.0.1",
    "ff02::1",
    "2001:0:1::1",
    "64:ff9b:1::1",
    "example.org",
    "",
  ]],
  ["internet", ["1.1.1.1", "9.255.255.255", "11.0.0.0", "100.63.0.1", "100.128.0.1", "172.15.0.1", "172.32.0.1"]],
  ["internet", ["192.167.0.1", "203.0.113.1", "2606:4700::1111", "::ffff:1.1.1.1", "64:ff9b::1.1.1.1", "2001:1::1"]],
];

Deno.test("nearnessOf() knows this machine, its link, its network and the internet, in whatever form", () => {
  for (const [nearness, addresses] of NEAR) {
    for (const address of addresses) assertEquals(nearnessOf(address), nearness, address);
  }
});

function place(url: string, nearness?: Nearness): RequestTarget {
  const parsed = new URL(url);
  return { url: parsed, nearness: nearness ?? nearnessOf(parsed.hostname.replace(/^\[|\]$/g, "")) };
}

const USER: UrlTrust = { by: "user" };
const FILE: UrlTrust = { by: "file" };
const GATEWAY: UrlTrust = { by: "gateway" };

function tracker(named: string): UrlTrust {
  return { by: "tracker", named };
}

Deno.test("checkTarget() lets the user go anywhere", () => {
  for (const url of ["http://127.0.0.1:22/x?y", "http://u:p@169.254.169.254/?a", "http://[ff02::1]/"]) {
    checkTarget(place(url), USER);
  }
});

Deno.test("checkTarget() lets files of a torrent be anywhere, but on the local network without a query or a password", () => {
  for (const url of ["http://1.1.1.1/x?y", "http://u:p@1.1.1.1/", "http://10.0.0.1/x", "http://127.0.0.1:8080/x"]) {
    checkTarget(place(url), FILE);
  }
  const queries = ["http://10.0.0.1/?x", "http://127.1/?x", "http://0x7f000001/?x", "http://2130706433/?x"];
  for (
    const url of [...queries, "http://017700000001/?x", "http://[::ffff:7f00:1]/?x", "http://0/?x", "http://[::1]/?x"]
  ) {
    assertThrows(() => checkTarget(place(url), FILE), HttpError, "may have no query");
  }
  assertThrows(() => checkTarget(place("http://a.example/?x", "self"), FILE), HttpError, "may have no query");
  assertThrows(() => checkTarget(place("http://u:p@10.0.0.1/x"), FILE), HttpError, "may have no password");
  assertThrows(() => checkTarget(place("http://[ff02::1]/x"), FILE), HttpError, "nobody can be at");
});

Deno.test("checkTarget() lets nobody but the user talk to what isn't HTTP", () => {
  for (const url of ["http://1.1.1.1:22/", "http://127.0.0.1:6379/", "https://1.1.1.1:25/", "http://1.1.1.1:11211/x"]) {
    assertThrows(() => checkTarget(place(url), FILE), HttpError, "is not for HTTP");
  }
  for (const port of [80, 443, 6881, 6969, 8080, 8333]) checkTarget(place(`http://1.1.1.1:${port}/`), FILE);
});

Deno.test("checkTarget() wants of trackers on the local network that they look like trackers", () => {
  const ask = (named: string) =>
    checkTarget(place(`${named}${named.includes("?") ? "&" : "?"}info_hash=%00`), tracker(named));
  for (
    const path of ["/announce", "/announce.php", "/announce/key-1", "/KEY_2/announce", "/k/announce.php", "/ANNOUNCE"]
  ) {
    ask(`http://127.0.0.1:6969${path}`);
    ask(`http://10.0.0.1${path.replace(/announce/i, "scrape")}`);
  }
  for (
    const path of [
      "/",
      "/x",
      "/cgi-bin/reboot",
      "/announcement",
      "/a/b/announce",
      "/announce/a/b",
      "/announce%2f..%2fx",
    ]
  ) {
    assertThrows(() => ask(`http://127.0.0.1:6969${path}`), HttpError, "a tracker's path is /announce");
    ask(`http://1.1.1.1${path}`);
  }
  for (const url of ["http://10.0.0.1/announce?passkey=x", "http://u:p@10.0.0.1/announce.php?a"]) ask(url);
  assertThrows(() => ask("http://10.0.0.1/reboot?passkey=x"), HttpError, "may have no query");
  assertThrows(() => ask("http://127.0.0.1/announce?do=x"), HttpError, "may have no query");
  assertThrows(() => ask("http://u:p@127.0.0.1/announce"), HttpError, "may have no password");
  ask("http://1.1.1.1/announce.php?passkey=x");
});

Deno.test("checkTarget() lets gateways be on the local network only", () => {
  for (const url of ["http://192.168.1.1:5000/desc.xml?x", "http://169.254.1.1/"]) checkTarget(place(url), GATEWAY);
  for (const url of ["http://1.1.1.1/", "http://127.0.0.1/", "http://192.168.1.1:22/"]) {
    assertThrows(() => checkTarget(place(url), GATEWAY), HttpError);
  }
  assertThrows(
    () => checkRedirect(place("http://192.168.1.1/"), place("http://192.168.1.1/x"), GATEWAY),
    HttpError,
    "it redirects",
  );
});

const HOSTS = ["1.1.1.1", "10.0.0.1", "169.254.1.1", "127.0.0.1"];

Deno.test("checkRedirect() lets nobody be sent nearer than whoever sends them, not even the user", () => {
  for (const trust of [USER, FILE, tracker("http://x.example/announce")]) {
    for (const [i, from] of HOSTS.entries()) {
      for (const [k, to] of HOSTS.entries()) {
        const check = () => checkRedirect(place(`http://${from}/announce`), place(`http://${to}/announce`), trust);
        if (k <= i) check();
        else assertThrows(check, HttpError, "it redirects to");
      }
    }
  }
});

Deno.test("checkRedirect() checks where it leads by the rules for the first URL, less what we have added", () => {
  const local = (to: string, trust: UrlTrust) =>
    checkRedirect(place("http://127.0.0.1/announce?info_hash=x"), place(to), trust);
  const named = tracker("http://127.0.0.1/announce");
  local("http://10.0.0.1/announce?info_hash=x", named);
  local("http://127.0.0.1/new?info_hash=x", named);
  assertThrows(() => local("http://127.0.0.1/new?info_hash=x&do=y", named), HttpError, "may have no query");
  local("http://1.1.1.1/whatever?a", named);
  local("http://10.0.0.1/announce?info_hash=x&do=y", named);
  assertThrows(() => local("http://10.0.0.1/reboot?info_hash=x&do=y", named), HttpError, "may have no query");
  assertThrows(() => local("http://10.0.0.1/reboot?info_hash=x", named), HttpError, "a tracker's path is /announce");
  assertThrows(() => local("http://10.0.0.1/x?y", FILE), HttpError, "may have no query");
  assertThrows(() => local("http://1.1.1.1:22/x", FILE), HttpError, "is not for HTTP");
  local("http://10.0.0.1:22/x?y", USER);
});
