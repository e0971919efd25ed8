import { assert, assertAlmostEquals, assertEquals } from "@std/assert";
import type { Bytes } from "../../src/base/bytes.ts";
import { utf8 } from "../../src/base/bytes.ts";
import { InfoHash } from "../../src/base/info_hash.ts";
import { Peer } from "../../src/peer/peer.ts";
import { PeerLink } from "../../src/peer/peer_link.ts";
import { ReadTurns } from "../../src/peer/read_turns.ts";
import { BandwidthLimiter, type BandwidthParties } from "../../src/peer/bandwidth_limiter.ts";
import type { Connection } from "../../src/platform/platform.ts";
import { BLOCK_SIZE, MessageId } from "../../src/wire/messages.ts";
import { takeBackOverdue } from "../../src/swarm/pieces/request_timeouts.ts";
import { idleHost } from "../support/peer_host.ts";
import { VirtualClock } from "../support/virtual_clock.ts";
import { frame } from "../support/wire.ts";

const KIB = 1024;
const BLOCK = frame(7, ...new Uint8Array(8 + BLOCK_SIZE));
const HANDSHAKE = {
  infoHash: new InfoHash(new Uint8Array(20)),
  peerId: utf8("x".repeat(20)),
  fast: true,
  extended: false,
};

/** Connections to peers that always have more to send and read everything, under one limit in each direction. */
class Lines {
  readonly clock = new VirtualClock();
  readonly down: BandwidthLimiter;
  readonly up: BandwidthLimiter;
  readonly #parties = new Map<string, BandwidthParties>();

  constructor(rates: { readonly down?: number | null; readonly up?: number | null }) {
    this.down = new BandwidthLimiter(this.clock, rates.down ?? null);
    this.up = new BandwidthLimiter(this.clock, rates.up ?? null);
  }

  /** Returns the limits of a torrent. */
  torrent(name: string): BandwidthParties {
    let parties = this.#parties.get(name);
    if (!parties) this.#parties.set(name, parties = { down: this.down.party(), up: this.up.party() });
    return parties;
  }

  /** Adds a connection to a torrent. The peer sends at most `supply` bytes per second; without limit when absent. */
  connect(torrent = "a", supply = Infinity) {
    const { clock } = this;
    const since = clock.now();
    const host = idleHost({
      pieceCount: 100,
      pieceSize: () => 1 << 20,
      now: () => clock.now(),
      canServe: () => true,
      readBlock: () => true,
    });
    const line = {
      said: 0,
      reads: 0,
      written: [] as Bytes[],
      peer: null as unknown as Peer,
      link: null as unknown as PeerLink,
    };
    const connection: Connection = {
      remote: { host: "10.0.0.1", port: 1 },
      local: { host: "10.0.0.2", port: 2 },
      async read(into) {
        await undefined;
        if (peer.closed) throw new Error("closed");
        const at = line.said % BLOCK.length;
        const bytes = BLOCK.subarray(at, at + into.length);
        const wait = supply === Infinity ? 0 : 1000 * (line.said + bytes.length) / supply - (clock.now() - since);
        if (wait > 0) await new Promise<void>((resolve) => clock.after(wait, resolve));
        into.set(bytes);
        line.said += bytes.length;
        line.reads++;
        return bytes.length;
      },
      write(bytes) {
        line.written.push(bytes.slice());
        return Promise.resolve(bytes.length);
      },
      close() {},
    };
    const address = connection.remote;
    const peer = line.peer = new Peer(host, { address, incoming: true, handshake: HANDSHAKE, number: 1 });
    peer.amInterested = true;
    peer.request(0, 0, BLOCK_SIZE, 0);
    line.link = new PeerLink(peer, {
      connection,
      now: () => clock.now(),
      reads: new ReadTurns(() => Promise.resolve()),
      limits: this.torrent(torrent),
      events: { batch: () => peer.requests.size === 0 && peer.request(0, 0, BLOCK_SIZE, clock.now()), closed() {} },
    });
    void line.link.run();
    return line;
  }
}

type Line = ReturnType<Lines["connect"]>;
const sum = (lines: readonly Line[]) => lines.reduce((total, { said }) => total + said, 0);
const closeAll = (lines: readonly Line[]) => lines.forEach(({ link }) => link.close("it is enough"));

Deno.test("BandwidthLimiter: a hundred peers are read from as fast as asked for, evenly, with one timer", async () => {
  const rate = 500 * KIB;
  const lines = new Lines({ down: rate });
  const peers = Array.from({ length: 100 }, () => lines.connect());
  for (let second = 1; second <= 4; second++) {
    await lines.clock.play(1000);
    assert(sum(peers) <= rate * second + 100 * 256, `${sum(peers)} bytes in ${second} s`);
    assertEquals(lines.clock.pending, 1);
  }
  assert(sum(peers) > 0.95 * 4 * rate, `${sum(peers)}`);
  for (const { said } of peers) assertAlmostEquals(said, 4 * rate / 100, 0.2 * 4 * rate / 100);
  closeAll(peers);
  await lines.clock.play(0);
  assertEquals(lines.clock.pending, 0);
});

Deno.test("BandwidthLimiter: two torrents have equal parts, however many peers they have, and what one can't use is the other's", async () => {
  const rate = 1024 * KIB;
  const lines = new Lines({ down: rate });
  const many = Array.from({ length: 9 }, () => lines.connect("a"));
  const one = [lines.connect("b")];
  await lines.clock.play(3000);
  assertAlmostEquals(sum(one), 1.5 * rate, 0.08 * rate);
  const slow = [lines.connect("c", 100 * KIB)];
  const before = [sum(many), sum(one)];
  await lines.clock.play(5000);
  const got = [sum(many) - before[0]!, sum(one) - before[1]!, sum(slow)];
  for (const [i, right] of [462, 462, 100].entries()) {
    assertAlmostEquals(got[i]!, 5 * right * KIB, 0.08 * 5 * right * KIB);
  }
  closeAll([...many, ...one, ...slow]);
});

for (const rate of [null, 1024 * KIB]) {
  Deno.test(`BandwidthLimiter: a torrent has a limit of its own, changed at once, within ${rate ? "that" : "none"} of all`, async () => {
    const lines = new Lines({ down: rate });
    const slow = [lines.connect("slow"), lines.connect("slow")];
    const supply = (rate ?? 8192 * KIB) / 4;
    const others = [1, 2, 3, 4].map(() => lines.connect("fast", supply));
    const { down } = lines.torrent("slow");
    down.rate = 100 * KIB;
    const got = async (seconds: number) => {
      const before = [sum(slow), sum(others)];
      await lines.clock.play(1000 * seconds);
      return [(sum(slow) - before[0]!) / seconds, (sum(others) - before[1]!) / seconds] as const;
    };
    await got(1);
    for (const own of [100 * KIB, 20 * KIB, 300 * KIB]) {
      down.rate = own;
      const [mine, theirs] = await got(4);
      const rest = Math.min(4 * supply, (rate ?? Infinity) - own);
      assertAlmostEquals(mine, own, 0.08 * own + KIB, `${own}`);
      assertAlmostEquals(theirs, rest, 0.05 * rest, `beside ${own}`);
      assertAlmostEquals(slow[0]!.peer.allowed, own / 2, 0.1 * own);
    }
    assertAlmostEquals(slow[0]!.said, slow[1]!.said, 0.1 * slow[0]!.said);
    if (rate !== null) {
      down.rate = null;
      const [mine] = await got(4);
      assertAlmostEquals(mine, rate / 2, 0.05 * rate);
    }
    assertEquals([down.rate, lines.clock.pending <= 1 + others.length], [rate === null ? 300 * KIB : null, true]);
    closeAll([...slow, ...others]);
  });
}

Deno.test("BandwidthLimiter: a torrent without a limit is free at once, and what it had under one is forgotten", async () => {
  const lines = new Lines({});
  const peer = lines.connect("a", 4096 * KIB);
  const { down } = lines.torrent("a");
  down.rate = 100;
  await lines.clock.play(1000);
  assert(peer.peer.readPaused && peer.said < 5 * 4096 * KIB / 100, `${peer.said}`);
  down.rate = null;
  const before = peer.said;
  await lines.clock.play(200);
  assert(!peer.peer.readPaused && peer.said - before > 700 * KIB, `${peer.said - before}`);
  assertEquals([down.limited, peer.peer.allowed], [false, Infinity]);
  closeAll([peer]);
});

Deno.test("BandwidthLimiter: one KiB a second, or ten GiB, is what it is", async () => {
  const tiny = new Lines({ down: KIB });
  const slow = [tiny.connect(), tiny.connect()];
  await tiny.clock.play(40_000);
  assertAlmostEquals(sum(slow), 40 * KIB, 2 * KIB);
  assertAlmostEquals(slow[0]!.said, slow[1]!.said, KIB);
  closeAll(slow);
  const huge = new Lines({ down: 10 * 1024 ** 3 });
  const fast = huge.connect("a", 100 * 1024 * KIB);
  await huge.clock.play(200);
  assertAlmostEquals(fast.said, 20 * 1024 * KIB, 3 * 1024 * KIB);
  closeAll([fast]);
});

Deno.test("BandwidthLimiter: another rate holds at once, none sets everybody free", async () => {
  const lines = new Lines({ down: 100 });
  const peer = lines.connect("a", 4096 * KIB);
  await lines.clock.play(1000);
  assert(peer.said <= 100 + 256 && peer.peer.readPaused, `${peer.said}`);
  lines.down.rate = 100 * KIB;
  const before = peer.said;
  await lines.clock.play(2000);
  assertAlmostEquals(peer.said - before, 200 * KIB, 12 * KIB);
  lines.down.rate = null;
  await lines.clock.play(200);
  assert(!peer.peer.readPaused && peer.said > 700 * KIB, `${peer.said}`);
  assertEquals([lines.down.rate, peer.peer.allowed], [null, Infinity]);
  closeAll([peer]);
});

Deno.test("BandwidthLimiter: whom we don't read from is neither silent nor overdue", async () => {
  const lines = new Lines({ down: 200 });
  const peer = lines.connect();
  let taken = 0;
  for (let minute = 0; minute < 5; minute++) {
    await lines.clock.play(60_000);
    const now = lines.clock.now();
    peer.peer.down.tick(60);
    takeBackOverdue(peer.peer, { now, isMissing: () => true, takeBack: () => taken++ });
    assert(peer.link.silent(now) < 1000 && peer.link.receiving(now) < 1000);
  }
  assertEquals([taken, peer.peer.snubbed, peer.peer.closed], [0, false, false]);
  assertAlmostEquals(peer.said, 300 * 200, 600);
  assertAlmostEquals(peer.peer.down.rate, 200, 20); // although its last block is incomplete
  closeAll([peer]);
});

for (const own of [false, true]) {
  Deno.test(`BandwidthLimiter: blocks wait for the limit ${own ? "of the torrent" : "of all"}, what is said besides doesn't`, async () => {
    const rate = 32 * KIB;
    const lines = new Lines({ up: own ? null : rate });
    if (own) lines.torrent("a").up.rate = rate;
    const peers = [lines.connect("a", 1), lines.connect("a", 1)];
    for (const { peer, link } of peers) {
      peer.unchoke();
      for (let i = 0; i < 30; i++) peer.onBlockSignal(MessageId.request, i, 0, BLOCK_SIZE);
      link.flush();
    }
    for (let second = 1; second <= 10; second++) {
      await lines.clock.play(1000);
      const total = peers[0]!.peer.up.total + peers[1]!.peer.up.total;
      assert(total <= rate * second, `${total} bytes in ${second} s`);
      const [{ peer, link, written }] = peers as [Line, Line];
      const before = written.length;
      peer.have(second);
      link.flush();
      await lines.clock.play(0);
      assertEquals(written.slice(before).map(({ length }) => length), [9], "the have alone");
    }
    const [a, b] = peers.map(({ peer }) => peer.up.total) as [number, number];
    assert(a + b >= 10 * rate - 2 * BLOCK_SIZE && Math.abs(a - b) <= BLOCK_SIZE, `${a} and ${b}`);
    closeAll(peers);
    await lines.clock.play(0);
  });
}
