import { assert, assertEquals, assertNotEquals } from "@std/assert";
import { toHex } from "../../src/base/bytes.ts";
import { SECRET_MS, TokenKeeper } from "../../src/dht/tokens.ts";
import { idOf, TestPlatform } from "./support.ts";

const platform = new TestPlatform();
const HASH = idOf("aa");

Deno.test("TokenKeeper accepts its tokens for 5 to 10 minutes, from the same address, for the same torrent", () => {
  const owner = { ip: Uint8Array.of(1, 2, 3, 4), infoHash: HASH };
  for (const issuedAt of [0, SECRET_MS - 1]) {
    const keeper = new TokenKeeper(platform, 0);
    const token = keeper.issue(owner, issuedAt);
    assert(keeper.accepts(token, owner, issuedAt));
    assertEquals(keeper.accepts(token, { ...owner, ip: Uint8Array.of(1, 2, 3, 5) }, issuedAt), false);
    assertEquals(keeper.accepts(token, { ...owner, infoHash: idOf("ab") }, issuedAt), false);
    assertEquals(keeper.accepts(token.subarray(1), owner, issuedAt), false);
    assert(keeper.accepts(token, owner, SECRET_MS));
    assert(keeper.accepts(token, owner, 2 * SECRET_MS - 1));
    assertEquals(keeper.accepts(token, owner, 2 * SECRET_MS), false);
  }
});

Deno.test("TokenKeeper forgets both secrets after a long silence", () => {
  const keeper = new TokenKeeper(platform, 0);
  const owner = { ip: Uint8Array.of(1, 2, 3, 4), infoHash: HASH };
  const token = keeper.issue(owner, 0);
  assertEquals(keeper.accepts(token, owner, 10 * SECRET_MS), false);
});

Deno.test("two keepers give different tokens", () => {
  const owner = { ip: Uint8Array.of(1, 2, 3, 4), infoHash: HASH };
  const [a, b] = [new TokenKeeper(platform, 0), new TokenKeeper(platform, 0)];
  assertNotEquals(toHex(a.issue(owner, 0)), toHex(b.issue(owner, 0)));
});
