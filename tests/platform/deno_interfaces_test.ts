import { assert, assertEquals } from "@std/assert";
import { interfaceIndex, localAddresses } from "../../src/platform/deno_interfaces.ts";

Deno.test("localAddresses() knows the loopback interface, and gives zones to addresses of a single link", () => {
  const all = localAddresses();
  const loopback = all.find(({ host }) => host === "127.0.0.1");
  assertEquals(loopback?.prefix, 8);
  for (const { host, name } of all) if (host.startsWith("fe80:")) assert(host.endsWith(`%${name}`), host);
});

Deno.test("interfaceIndex() is 0, for any, where nothing is known", () => {
  assertEquals(interfaceIndex("2001:db8::dead"), 0);
});

Deno.test({
  name: "localAddresses() asks nobody when the permission is missing",
  permissions: { sys: false },
  fn: () => assertEquals(localAddresses(), []),
});
