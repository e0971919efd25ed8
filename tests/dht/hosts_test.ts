import { assertEquals, assertNotEquals } from "@std/assert";
import { formatIp } from "../../src/base/address.ts";
import { factsOf, isPlausible } from "../../src/dht/hosts.ts";
import { fc } from "../support/property.ts";

Deno.test("factsOf() knows who is local, and isPlausible() lets only them tell of others who are", () => {
  const kinds = (hosts: string[]) => hosts.map((host) => factsOf(host)!.kind);
  assertEquals(
    new Set(kinds(["10.1.1.1", "127.0.0.1", "100.64.0.1", "::1", "fe80::1", "fc00::1"])),
    new Set(["local"]),
  );
  assertEquals(new Set(kinds(["0.1.2.3", "224.0.0.1", "255.255.255.255", "::", "ff02::1"])), new Set(["unusable"]));
  assertEquals(new Set(kinds(["8.8.8.8", "172.15.0.1", "100.128.0.1", "2001:db8::1"])), new Set(["public"]));
  assertEquals(factsOf("example.org"), null);
  const [local, open] = [factsOf("10.0.0.1")!, factsOf("8.8.8.8")!];
  assertEquals([isPlausible(local, open), isPlausible(local, local), isPlausible(open, local)], [false, true, true]);
  assertEquals(isPlausible(factsOf("224.0.0.1")!, local), false);
  assertEquals(factsOf("2001:db8::1")!.site, factsOf("2001:db8::2")!.site);
  assertNotEquals(factsOf("2001:db8::1")!.site, factsOf("2001:db8:0:1::1")!.site);
});

Deno.test("factsOf() has room for any address", () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 4, maxLength: 4 }), (ip) => {
      assertEquals(new Uint8Array(factsOf(formatIp(ip))!.bytes), new Uint8Array(ip));
    }),
    { numRuns: 300 },
  );
});
