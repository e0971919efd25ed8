import { assert, assertEquals, assertThrows } from "@std/assert";
import type { PeerAddress } from "../../../src/base/address.ts";
import { type Bytes, utf8 } from "../../../src/base/bytes.ts";
import { InfoHash } from "../../../src/base/info_hash.ts";
import { FAIR_QUIET_MS, HALF_OPEN_MS, HANDSHAKE_MS, NOT_INTERESTED_MS } from "../../../src/base/defences.ts";
import type { PeerStream } from "../../../src/peer/mod.ts";
import { ReadTurns } from "../../../src/peer/read_turns.ts";
import { ConnectionManager } from "../../../src/swarm/peers/connection_manager.ts";
import { ConnectionQuota } from "../../../src/swarm/peers/connection_quota.ts";
import { PeerSet, type PeerSetEvent } from "../../../src/swarm/peers/peer_set.ts";
import { encodeHandshake } from "../../../src/wire/handshake.ts";
import { idleHost } from "../../support/peer_host.ts";
import { fc, tries } from "../../support/property.ts";
import { settle, VirtualClock } from "../../support/virtual_clock.ts";

const OURS = utf8("-SH0100-ourselves...");
const peerIdOf = (host: string) => utf8(`-XX0000-${host.padStart(12, "0")}`);
const address = (n: number) => ({ host: `10.0.${n >> 8}.${n & 255}`, port: 6881 });

/** A connection whose remote end sends the given bytes and nothing more. */
class Line implements PeerStream {
  readonly local = { host: "10.9.9.9", port: 6881 };
  closed = false;
  readonly remote: PeerAddress;
  #unread: Bytes;
  #end = (_: null) => {};

  constructor(remote: PeerAddress, says: Bytes = new Uint8Array(0)) {
    this.remote = remote;
    this.#unread = says;
  }

  read(into: Bytes): Promise<number | null> {
    if (this.closed) return Promise.resolve(null);
    const count = Math.min(into.length, this.#unread.length);
    into.set(this.#unread.subarray(0, count));
    this.#unread = this.#unread.subarray(count);
    return count > 0 ? Promise.resolve(count) : new Promise((resolve) => this.#end = resolve);
  }
  write(bytes: Bytes): Promise<number> {
    return Promise.resolve(bytes.length);
  }
  close(): void {
    this.closed = true;
    this.#end(null);
  }
}

/** A dial whose outcome the test decides. */
interface Pending {
  readonly address: PeerAddress;
  readonly succeed: (peerId?: Bytes) => Line;
  readonly fail: (why?: Error) => void;
}

/** Returns torrents that share a quota. */
function make(options: { readonly torrents: number; readonly limit: number; readonly maxPeers?: number }) {
  const clock = new VirtualClock({ now: 1e6 });
  const quota = new ConnectionQuota(options.limit);
  const torrents = Array.from({ length: options.torrents }, (_, n) => {
    const infoHash = new InfoHash(new Uint8Array(20).fill(n));
    const pending = new Set<Pending>();
    const events: PeerSetEvent[] = [];
    const told = { joined: () => {} };
    const lines: Line[] = [];
    const handshake = (peerId: Bytes) => ({ infoHash, peerId, fast: true, extended: true });
    const { maxPeers = 10 } = options;
    const manager = new ConnectionManager({ maxPeers, quota, random: () => clock.random() });
    const peers = new PeerSet({
      platform: clock,
      transport: {
        name: "none",
        dial: (address, { signal }) => {
          const { promise, resolve, reject } = Promise.withResolvers<Line>();
          const over = () => pending.delete(dial);
          const dial: Pending = {
            address,
            succeed(peerId = peerIdOf(address.host)) {
              const line = new Line(address, encodeHandshake(handshake(peerId)));
              lines.push(line);
              over();
              resolve(line);
              return line;
            },
            fail(why = new Error("refused")) {
              over();
              reject(why);
            },
          };
          pending.add(dial);
          signal.addEventListener("abort", () => dial.fail(signal.reason), { once: true });
          return promise;
        },
      },
      reads: new ReadTurns(() => Promise.resolve()),
      host: idleHost({ pieceCount: 10, pieceSize: () => 65536, now: () => clock.now() }),
      events: {
        joined: () => told.joined(),
        batch() {},
        left() {},
        prospects: () => "good",
        failed() {},
        emit: (event) => void events.push(event),
      },
      handshake: () => handshake(OURS),
      manager,
    });
    const come = (host: string, peerId = peerIdOf(host)) => {
      const line = new Line({ host, port: 50_000 });
      lines.push(line);
      peers.accept(line, handshake(peerId));
      return line;
    };
    const said = (action: string) =>
      events.flatMap((event) => event.event === "peer" && event.action === action ? [event.message] : []);
    return { peers, manager, pending, lines, told, come, said };
  });
  return { clock, quota, torrents };
}

/** Returns the hosts that a torrent is dialling. */
const dialled = (pending: Iterable<Pending>) => Array.from(pending, ({ address }) => address.host);

Deno.test("PeerSet gives the place of a dial that nobody answers to another torrent, and one that is of no use just now", async () => {
  const { clock, quota, torrents: [a, b] } = make({ torrents: 2, limit: 10 });
  a!.peers.add(Array.from({ length: 30 }, (_, n) => address(n)));
  assertEquals([a!.pending.size, quota.used], [10, 10]);
  for (const dial of [...a!.pending].slice(0, 8)) dial.succeed();
  await settle();
  b!.peers.add(Array.from({ length: 30 }, (_, n) => address(100 + n)));
  assertEquals([a!.peers.size, b!.pending.size], [8, 0]);
  clock.advance(HALF_OPEN_MS);
  b!.peers.tick(clock.now());
  await settle();
  assertEquals([a!.peers.size, a!.pending.size, b!.pending.size, quota.used], [8, 0, 2, 10]);
  assertEquals(a!.said("refused"), Array(2).fill("no answer so far, and another torrent needs its place more"));
  for (const dial of [...b!.pending]) dial.succeed();
  for (const peer of a!.peers.all) peer.interested = true;
  await settle();
  clock.advance(FAIR_QUIET_MS - HALF_OPEN_MS);
  b!.peers.tick(clock.now());
  assertEquals([a!.peers.size, b!.peers.size, b!.pending.size], [7, 2, 1]);
  assertEquals(a!.said("disconnected"), ["another torrent needs its place more"]);
  b!.peers.tick(clock.now()); // no second connection is taken over at once
  assertEquals([a!.peers.size, quota.used], [7, 10]);
});

Deno.test("PeerSet takes who comes although all places of the session are taken if another torrent has more", async () => {
  const { clock, torrents: [a, b] } = make({ torrents: 2, limit: 10 });
  for (let n = 0; n < 10; n++) a!.come(`10.1.0.${n}`);
  await settle();
  const full = "there is no room for more connections";
  assertEquals(a!.peers.refuses("10.2.0.1"), full);
  assertEquals(b!.peers.refuses("10.2.0.1"), null); // b has no connections
  b!.come("10.2.0.1");
  assertEquals([a!.peers.size, b!.peers.size], [9, 1]);
  assertEquals(b!.peers.refuses("10.2.0.2"), full); // all other connections may still be useful
  const late = b!.come("10.2.0.2");
  assertEquals([late.closed, b!.said("refused")], [true, [full]]);
  clock.advance(NOT_INTERESTED_MS + 1);
  for (let n = 2; n < 6; n++) {
    assertEquals(b!.peers.refuses(`10.2.0.${n}`), null);
    b!.come(`10.2.0.${n}`);
  }
  assertEquals([a!.peers.size, b!.peers.size], [5, 5]);
});

Deno.test("PeerSet dials on as soon as another torrent gives a place back", async () => {
  const { torrents: [a, b] } = make({ torrents: 2, limit: 4 });
  a!.peers.add([0, 1, 2, 3].map(address));
  b!.peers.add([10, 11].map(address));
  assertEquals(b!.pending.size, 0);
  [...a!.pending][0]!.fail();
  await settle();
  assertEquals([a!.pending.size, b!.pending.size], [3, 1]);
  a!.peers.shut("the torrent is paused");
  assertEquals([a!.pending.size, b!.pending.size], [0, 2]);
});

Deno.test("PeerSet.shut() leaves everybody with the reason, lets nobody in, and open() dials first who was there", async () => {
  const { quota, torrents: [torrent] } = make({ torrents: 1, limit: 100 });
  const { peers, pending, come, said } = torrent!;
  peers.add([1, 2, 3].map(address));
  for (const dial of [...pending].slice(0, 2)) dial.succeed();
  await settle();
  const were = Array.from(peers.all, ({ address }) => address.host);
  const comer = come("10.5.0.1");
  assertEquals([peers.size, pending.size, quota.used], [3, 1, 4]);
  peers.shut("the torrent is being checked");
  assertEquals([peers.size, quota.used, peers.room, comer.closed], [0, 0, 0, true]);
  assertEquals(said("disconnected"), Array(3).fill("the torrent is being checked"));
  assertEquals(peers.refuses("10.5.0.2"), "the torrent is being checked");
  peers.shut("the torrent is paused");
  assertEquals(peers.refuses("10.5.0.2"), "the torrent is paused");
  await settle();
  assertEquals([pending.size, said("refused")], [0, []]);
  peers.add([4, 5, 6, 7].map(address));
  assertEquals([pending.size, quota.used], [0, 0]);
  peers.open();
  peers.open();
  // Including the dial that was under way.
  assertEquals([pending.size, quota.used, peers.refuses("10.5.0.2")], [7, 7, null]);
  assertEquals(dialled(pending).slice(0, 2).toSorted(), were.toSorted());
});

Deno.test("PeerSet.stop() is for good", () => {
  const { quota, torrents: [torrent] } = make({ torrents: 1, limit: 100 });
  const { peers, come } = torrent!;
  come("10.5.0.1");
  peers.shut("the torrent is paused");
  peers.stop();
  peers.shut("the torrent is paused");
  peers.open();
  peers.add([address(1)]);
  assertEquals([peers.refuses("10.5.0.1"), quota.used], ["we are stopping", 0]);
});

Deno.test("PeerSet.open() dials who had connected to us, too, if it said where it listens, and not again if it can't be reached", async () => {
  const { clock, torrents: [torrent] } = make({ torrents: 1, limit: 100 });
  const { peers, manager, pending, come } = torrent!;
  come("10.5.0.1");
  manager.introduced({ host: "10.5.0.1", port: 7000 });
  const [peer] = peers.all;
  peer!.address = { host: "10.5.0.1", port: 7000 };
  peers.shut("the torrent is paused");
  peers.open();
  assertEquals(dialled(pending), ["10.5.0.1"]);
  for (const dial of pending) dial.fail();
  await settle();
  clock.advance(1e7);
  peers.dialMore();
  assertEquals(pending.size, 0);
});

Deno.test("PeerSet.open() dials an address again whose dial was given up, whatever becomes of that one later", async () => {
  const { quota, torrents: [torrent] } = make({ torrents: 1, limit: 100 });
  const { peers, manager, pending } = torrent!;
  peers.add([address(1)]);
  peers.shut("the torrent is paused");
  peers.open(); // before the first dial has been given up
  assertEquals([pending.size, manager.room], [1, 9]);
  await settle();
  assertEquals([pending.size, manager.room, quota.used], [1, 9, 1]);
  for (const dial of pending) dial.succeed();
  await settle();
  assertEquals([peers.size, manager.room, quota.used], [1, 9, 1]);
});

Deno.test("PeerSet keeps no place for a connection that its torrent stumbles over", async () => {
  const { quota, torrents: [torrent] } = make({ torrents: 1, limit: 100 });
  const { peers, manager, pending, lines, told, come } = torrent!;
  told.joined = () => {
    throw new Error("it stumbles");
  };
  assertThrows(() => come("10.5.0.1"), Error, "it stumbles");
  peers.add([address(1)]);
  for (const dial of pending) dial.succeed();
  await settle();
  assertEquals([peers.size, manager.room, quota.used, lines.every(({ closed }) => closed)], [0, 10, 0, true]);
});

Deno.test("PeerSet dials nobody for a moment when there are no descriptors left, and holds that against nobody", async () => {
  const { clock, quota, torrents: [torrent] } = make({ torrents: 1, limit: 100 });
  const { peers, pending } = torrent!;
  peers.add([1, 2, 3].map(address));
  const shortage = () => {
    for (const dial of [...pending]) dial.fail(Object.assign(new Error("Too many open files"), { code: "EMFILE" }));
    return settle();
  };
  for (let i = 0; i < 20; i++) {
    assertEquals([pending.size, quota.used], [3, 3]);
    await shortage();
    clock.advance(999);
    peers.tick(clock.now());
    assertEquals([pending.size, quota.used], [0, 0]);
    clock.advance(1);
    peers.tick(clock.now());
  }
});

Deno.test("PeerSet counts right and loses no place, whatever happens in whatever order", async () => {
  const step = fc.record({
    who: fc.nat(2),
    does: fc.constantFrom(
      ...["add", "add", "succeed", "succeed", "fail", "double", "self", "come", "come", "hangUp", "ban", "stumble"],
      ...["shut", "shut", "open", "open", "wait", "wait", "late", "limit", "shortage", "offend"],
    ),
    n: fc.nat(12),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 50, size: "max" }), async (steps) => {
      const { clock, quota, torrents } = make({ torrents: 3, limit: 9, maxPeers: 5 });
      const shut = new Set<typeof torrents[number]["peers"]>();
      for (const { who, does, n } of steps) {
        const { peers, pending, told, lines, come } = torrents[who]!;
        const [dial] = pending;
        const before = quota.used;
        if (does === "add") peers.add(Array.from({ length: n }, (_, i) => address(20 * who + i)));
        if (does === "succeed") dial?.succeed();
        if (does === "double") dial?.succeed(peerIdOf("10.7.0.1"));
        if (does === "self") dial?.succeed(OURS);
        if (does === "fail") dial?.fail();
        if (does === "come") come(`10.7.0.${n}`);
        if (does === "hangUp") lines.find(({ closed }) => !closed)?.close();
        if (does === "ban") peers.ban(address(20 * who + n).host, "it lies");
        if (does === "offend") peers.ban([...peers.all][0]?.address.host ?? "10.8.0.1", "it lies");
        if (does === "shut") peers.shut(["the torrent is paused", "the torrent is being checked"][n % 2]!);
        if (does === "shut") shut.add(peers);
        if (does === "open") peers.open();
        if (does === "open") shut.delete(peers);
        if (does === "wait") clock.advance(n * 1000);
        if (does === "late") clock.advance(HANDSHAKE_MS);
        if (does === "limit") quota.setLimit(n + 1, clock.now());
        if (does === "shortage") quota.shortage(clock.now());
        told.joined = () => {};
        if (does === "stumble") {
          told.joined = () => {
            throw new Error("it stumbles");
          };
          try {
            come(`10.7.1.${n}`);
          } catch (error) {
            assertEquals((error as Error).message, "it stumbles");
          }
        }
        if (n % 2 === 0) await settle();
        for (const { peers } of torrents) peers.tick(clock.now());
        if (n % 3 > 0) await settle();
        told.joined = () => {};
        const sockets = torrents.reduce((sum, { peers, pending }) => sum + peers.size + pending.size, 0);
        assert(quota.used <= Math.max(quota.limit, before), `${quota.used} places are taken after ${does}`);
        if (n % 3 > 0) assertEquals(quota.used, sockets, `after ${does}`);
        for (const { peers, manager, pending } of torrents) {
          assert(peers.size <= 5, `${peers.size} connections`);
          if (shut.has(peers)) assertEquals([peers.size, pending.size, peers.room], [0, 0, 0]);
          else if (n % 3 > 0) assert(manager.room >= 5 - peers.size - pending.size, `${manager.room}`);
        }
      }
      for (const { peers, manager } of torrents) {
        peers.shut("we are stopping");
        assertEquals([peers.size, manager.room], [0, 5]);
      }
      await settle();
      assertEquals([quota.used, quota.dialling, quota.waiting], [0, 0, 0]);
      for (const { lines } of torrents) assert(lines.every(({ closed }) => closed));
    }),
    { numRuns: tries(150) },
  );
});
