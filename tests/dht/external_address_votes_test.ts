import { assert, assertEquals } from "@std/assert";
import { ExternalAddressVotes } from "../../src/dht/external_address_votes.ts";
import { factsOf } from "../../src/dht/hosts.ts";

Deno.test("ExternalAddressVotes believes a majority of networks, not a crowd in one of them", () => {
  const votes = new ExternalAddressVotes();
  for (let i = 1; i <= 50; i++) assertEquals(votes.add("6.6.6.6", factsOf(`9.9.9.${i}`)!), false);
  for (let i = 1; i <= 4; i++) assertEquals(votes.add("5.5.5.5", factsOf(`8.8.${i}.1`)!), false);
  assertEquals(votes.decided, null);
  assertEquals(votes.add("5.5.5.5", factsOf("8.8.5.1")!), true);
  assertEquals(votes.add("5.5.5.5", factsOf("8.8.6.1")!), false);
  assertEquals(votes.decided, "5.5.5.5");
  // After a change of our address, as many votes are needed for the new address.
  let changedAfter = 0;
  for (let i = 10; votes.decided !== "7.7.7.7"; i++, changedAfter++) votes.add("7.7.7.7", factsOf(`8.8.${i}.1`)!);
  assert(changedAfter > 5 && changedAfter <= 24, `${changedAfter}`);
});
