import { assert, assertEquals, assertRejects } from "@std/assert";
import { isLocalAddress } from "../../src/base/networks.ts";
import { HttpError } from "../../src/platform/platform.ts";
import { WebGuard } from "../../src/swarm/web_guard.ts";

const LOCAL = [
  ...[
    "0.0.0.0",
    "10.0.0.1",
    "100.64.0.1",
    "100.127.255.255",
    "127.0.0.1",
    "127.9.9.9",
    "169.254.169.254",
    "172.16.0.1",
  ],
  ...["172.31.255.255", "192.168.0.1", "198.18.0.1", "224.0.0.1", "255.255.255.255"],
  ...["::", "::1", "fc00::1", "fdff::1", "fe80::1", "fe80::1%eth0", "ff02::1", "::ffff:127.0.0.1", "::127.0.0.1"],
  ...["64:ff9b::10.0.0.1", "2002:7f00:1::1"],
];
const GLOBAL = [
  ...["1.1.1.1", "9.255.255.255", "11.0.0.0", "100.63.0.1", "100.128.0.1", "172.15.0.1", "172.32.0.1", "192.167.0.1"],
  ...["203.0.113.1", "2001:db8::1", "2606:4700::1111", "::ffff:1.1.1.1", "64:ff9b::1.1.1.1", "2002:101:101::1"],
];

Deno.test("isLocalAddress() tells this machine and its network from the internet", () => {
  for (const address of LOCAL) assert(isLocalAddress(address), address);
  for (const address of GLOBAL) assert(!isLocalAddress(address), address);
  assert(!isLocalAddress("localhost"), "it isn't an address");
});

/** Names: `in` is on the local network, `out` isn't, `both` has two addresses, others aren't known. */
function guard(): WebGuard {
  const hosts: Record<string, string[]> = {
    "in.example": ["10.0.0.1"],
    "out.example": ["203.0.113.1"],
    "both.example": ["203.0.113.1", "::1"],
  };
  return new WebGuard({
    resolve: (host) => hosts[host] ? Promise.resolve(hosts[host]) : Promise.reject(new Error("not known")),
  });
}

Deno.test("WebGuard.check() lets URLs without a query pass, and with one to the internet only", async () => {
  const allowed = ["http://10.0.0.1/x", "http://in.example/x", "http://out.example/?a", "http://unknown.example/?a"];
  for (const url of allowed) await guard().check(new URL(url));
  const local = ["http://in.example/?a", "http://both.example/?a", "http://127.1/?a", "http://0x7f000001/?a"];
  for (const url of [...local, "http://[::1]/?a", "http://LOCALHOST./?a", "http://nas.local/?a"]) {
    await assertRejects(() => guard().check(new URL(url)), HttpError, "on the local network");
  }
});

Deno.test("WebGuard.checkRedirect() lets nobody on the internet send us to the local network", async () => {
  const check = (from: string, to: string) => guard().checkRedirect(new URL(from), new URL(to));
  await check("http://out.example/", "http://203.0.113.9/");
  await check("http://in.example/", "http://10.0.0.9/");
  await check("http://in.example/", "http://out.example/");
  await assertRejects(() => check("http://out.example/", "http://in.example/"), HttpError, "on the local network");
  await assertRejects(() => check("http://unknown.example/", "http://10.0.0.9/"), HttpError, "on the local network");
  await assertRejects(() => check("http://in.example/", "http://10.0.0.9/?a"), HttpError, "may have no query");
});

Deno.test("WebGuard looks a name up once, until it is told to forget", async () => {
  let lookups = 0;
  const guard = new WebGuard({
    resolve: () => {
      lookups++;
      return Promise.resolve(["203.0.113.1"]);
    },
  });
  for (let i = 0; i < 3; i++) await guard.check(new URL("http://x.example/?a"));
  assertEquals(lookups, 1);
  guard.forget();
  await guard.check(new URL("http://x.example/?a"));
  assertEquals(lookups, 2);
});
