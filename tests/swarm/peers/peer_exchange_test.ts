import { assert, assertEquals } from "@std/assert";
import { formatAddress, type PeerAddress } from "../../../src/base/address.ts";
import type { Bytes } from "../../../src/base/bytes.ts";
import { MAX_PEX_FROM_ONE, MAX_PEX_SENT } from "../../../src/base/defences.ts";
import { encodePex, parsePex, type Peer, PexFlag } from "../../../src/peer/mod.ts";
import type { Encryption } from "../../../src/transport/transport.ts";
import { PeerExchange } from "../../../src/swarm/peers/peer_exchange.ts";

const MINUTE = 60_000;

/** The part of a peer that the exchange uses. */
class Partner {
  readonly address: PeerAddress;
  incoming = false;
  listens = true;
  isSeed = false;
  uploadOnly = false;
  speaks = true;
  readonly heard: { added: string[]; dropped: string[] }[] = [];
  flags: number[] = [];
  readonly output: { flush(): void; encryption?: Encryption } = { flush() {} };
  readonly extensions = {
    speaks: () => this.speaks,
    send: (_: string, payload: Bytes) => {
      const { added, dropped } = parsePex(payload);
      this.flags = added.map(({ flags }) => flags);
      this.heard.push({ added: added.map(formatAddress).sort(), dropped: dropped.map(formatAddress).sort() });
      return true;
    },
  };

  constructor(host: string, port = 6881) {
    this.address = { host, port };
  }
}

const peers = (...partners: Partner[]) => partners as unknown as Peer[];
const peer = (partner: Partner) => partner as unknown as Peer;

function exchange(options: { complete?: boolean } = {}) {
  const clock = { now: 0 };
  const found: string[] = [];
  const one = new PeerExchange({
    now: () => clock.now,
    addPeers(addresses, ...from) {
      found.push(...addresses.map(formatAddress));
      assertEquals(from, ["pex"], "a peer of a hybrid may know only the other info-hash");
    },
    have: { isFull: options.complete ?? false },
  });
  return { one, clock, found };
}

const said = (hosts: readonly string[], flags = 0) =>
  encodePex({ added: hosts.map((host) => ({ host, port: 6881, flags })), dropped: [] });

Deno.test("PeerExchange.tick() tells each of the others, and of changes once a minute", () => {
  const { one } = exchange();
  const [a, b, c] = [new Partner("1.0.0.1"), new Partner("1.0.0.2"), new Partner("2001:db8::3")];
  one.tick(0, peers(a, b));
  assertEquals(a.heard, [{ added: ["1.0.0.2:6881"], dropped: [] }]);
  one.tick(MINUTE - 1, peers(a, b, c));
  assertEquals([a.heard.length, c.heard.length], [1, 1]);
  one.tick(MINUTE, peers(a, c));
  assertEquals(a.heard[1], { added: ["[2001:db8::3]:6881"], dropped: ["1.0.0.2:6881"] });
  one.tick(2 * MINUTE, peers(a, c));
  assertEquals(a.heard.length, 2); // no changes, no message
});

Deno.test("PeerExchange.tick() passes over who doesn't speak it, and names nobody whose port isn't known", () => {
  const { one } = exchange();
  const [mute, shy, a] = [new Partner("1.0.0.1"), new Partner("1.0.0.2"), new Partner("1.0.0.3")];
  mute.speaks = false;
  shy.listens = false;
  one.tick(0, peers(mute, shy, a));
  assertEquals([mute.heard, a.heard], [[], [{ added: ["1.0.0.1:6881"], dropped: [] }]]);
});

Deno.test("PeerExchange.tick() says who is a seed, who can be reached, and who encrypts", () => {
  const { one } = exchange();
  const [a, seed, caller] = [new Partner("1.0.0.1"), new Partner("1.0.0.2"), new Partner("1.0.0.3")];
  seed.isSeed = true;
  caller.incoming = true;
  caller.output.encryption = "handshake";
  one.tick(0, peers(a, seed, caller));
  assertEquals(a.flags, [PexFlag.uploadOnly | PexFlag.reachable, PexFlag.encryption]);
});

Deno.test("PeerExchange.tick() names no more than 50 at once, and the rest later", () => {
  const { one } = exchange();
  const a = new Partner("9.9.9.9");
  const many = Array.from({ length: 120 }, (_, n) => new Partner(`1.0.0.${n}`));
  const counts = [0, 1, 2, 3].map((minute) => {
    const before = a.heard.length;
    one.tick(minute * MINUTE, peers(a, ...many));
    return a.heard.slice(before).map(({ added }) => added.length);
  });
  assertEquals(counts, [[MAX_PEX_SENT], [MAX_PEX_SENT], [20], []]);
  one.tick(4 * MINUTE, peers(a));
  assertEquals(a.heard.at(-1)!.dropped.length, MAX_PEX_SENT);
});

Deno.test("PeerExchange tells no address of a local network to those outside, and believes none from there", () => {
  const { one, found } = exchange();
  const [outside, neighbour, other] = [new Partner("1.0.0.1"), new Partner("192.168.0.2"), new Partner("192.168.0.3")];
  one.tick(0, peers(outside, neighbour, other));
  assertEquals(outside.heard, []);
  assertEquals(neighbour.heard[0]!.added, ["1.0.0.1:6881", "192.168.0.3:6881"]);
  one.received(peer(outside), said(["10.0.0.1", "2.2.2.2"]));
  one.received(peer(neighbour), said(["10.0.0.2"]));
  assertEquals(found, ["2.2.2.2:6881", "10.0.0.2:6881"]);
});

Deno.test("PeerExchange.received() takes an address once, whatever the port, and nothing that can't be dialled", () => {
  const { one, found } = exchange();
  const added = [["3.3.3.3", 1], ["3.3.3.3", 2], ["224.0.0.1", 1], ["2001:db8::1", 1], ["2001:db8::2", 1]] as const;
  const list = added.map(([host, port]) => ({ host, port, flags: 0 }));
  one.received(peer(new Partner("1.0.0.1")), encodePex({ added: list, dropped: [] }));
  assertEquals(found, ["3.3.3.3:1", "[2001:db8::1]:1"]);
});

Deno.test("PeerExchange.received() doesn't listen to who says too much", () => {
  const { one, clock, found } = exchange();
  const flooder = new Partner("1.0.0.1");
  for (let n = 0; n < 100; n++) one.received(peer(flooder), said([`2.0.0.${n}`]));
  assertEquals(found, ["2.0.0.0:6881"]);
  for (let n = 0; n < 30; n++) {
    clock.now += MINUTE;
    one.received(peer(flooder), said(Array.from({ length: 100 }, (_, i) => `3.${n}.${i}.1`)));
  }
  assert(found.length <= MAX_PEX_FROM_ONE, `${found.length} addresses from one peer`);
});

Deno.test("PeerExchange.received() has no use for seeds when we are one", () => {
  const { one, clock, found } = exchange({ complete: true });
  const a = new Partner("1.0.0.1");
  one.received(peer(a), said(["2.0.0.1"], PexFlag.uploadOnly));
  clock.now += MINUTE;
  one.received(peer(a), said(["2.0.0.2"]));
  assertEquals(found, ["2.0.0.2:6881"]);
});
