import { assertEquals } from "@std/assert";
import { ARRIVALS_NOT_INTERESTED_MS, NOT_INTERESTED_MS, USELESS_MS } from "../../../src/base/defences.ts";
import { pickForTurnover, type TurnoverPeer } from "../../../src/swarm/peers/turnover.ts";

const NOW = 1_000_000;

/** Returns a peer from `10.0.0.n`, whose rank is its port. */
function peer(n: number, options: Partial<TurnoverPeer> & { readonly silent: number; readonly rank?: number }) {
  const { silent, rank = 0, ...rest } = options;
  const host = `10.0.0.${n}`;
  const quiet = { lastPayload: NOW - silent, incoming: true, interested: false, amInterested: false };
  return { network: host, address: { host, port: rank }, ...quiet, ...rest };
}

const choose = (peers: readonly TurnoverPeer[], options: { readonly crowded?: boolean; readonly due?: boolean } = {}) =>
  pickForTurnover(peers, { now: NOW, crowded: false, due: true, ...options, rank: ({ port }) => port })?.address.host ??
    null;

Deno.test("pickForTurnover() gives the mute peer of the lowest priority, then who was silent for longest", () => {
  const silent = NOT_INTERESTED_MS + 1;
  assertEquals(
    choose([peer(1, { silent, rank: 5 }), peer(2, { silent, rank: 3 }), peer(3, { silent, rank: 9 })]),
    "10.0.0.2",
  );
  assertEquals(choose([peer(1, { silent }), peer(2, { silent: silent + 1 }), peer(3, { silent })]), "10.0.0.2");
  assertEquals(choose([peer(1, { silent: NOT_INTERESTED_MS }), peer(2, { silent, rank: 9 })]), "10.0.0.2");
  assertEquals(choose([peer(1, { silent: NOT_INTERESTED_MS })]), null);
  assertEquals(choose([peer(1, { silent: ARRIVALS_NOT_INTERESTED_MS + 1 })], { crowded: true }), "10.0.0.1");
});

Deno.test("pickForTurnover() gives one of the address that has most connections, whatever its priority", () => {
  const silent = NOT_INTERESTED_MS + 1;
  const crowd = [7, 8].map((rank) => peer(2, { silent, rank }));
  assertEquals(choose([peer(1, { silent, rank: 1 }), ...crowd]), "10.0.0.2");
});

Deno.test("pickForTurnover() gives one that waits in vain only when it is due, the lowest priority first", () => {
  const waits = { interested: true, silent: USELESS_MS + 1 };
  const peers = [peer(1, { ...waits, silent: USELESS_MS + 9, rank: 5 }), peer(2, { ...waits, rank: 3 })];
  const useful = peer(3, { interested: true, silent: USELESS_MS, rank: 1 });
  assertEquals(choose([...peers, useful]), "10.0.0.2");
  assertEquals(choose([...peers, useful], { due: false }), null);
  assertEquals(choose([...peers, peer(4, { silent: NOT_INTERESTED_MS + 1, rank: 9 })]), "10.0.0.4");
});
