import { assert, assertEquals } from "@std/assert";
import { type Bytes, concatBytes, utf8 } from "../../../src/base/bytes.ts";
import { InfoHash } from "../../../src/base/info_hash.ts";
import {
  ARRIVALS_MUTE_DIALLED_MS,
  ARRIVALS_NOT_INTERESTED_MS,
  ARRIVALS_PER_SECOND,
  MAX_OFFENCES,
  MESSAGE_MS,
  NOT_INTERESTED_MS,
  SHUT_OUT_MS,
  STALLED_MS,
  USELESS_MS,
} from "../../../src/base/defences.ts";
import { ReadTurns } from "../../../src/peer/read_turns.ts";
import type { Connection } from "../../../src/platform/platform.ts";
import { ConnectionManager } from "../../../src/swarm/peers/connection_manager.ts";
import { PeerSet, type PeerSetEvent } from "../../../src/swarm/peers/peer_set.ts";
import type { Transport } from "../../../src/transport/transport.ts";
import { encodeHandshake } from "../../../src/wire/handshake.ts";
import { idleHost } from "../../support/peer_host.ts";
import { settle, VirtualClock } from "../../support/virtual_clock.ts";
import { frame } from "../../support/wire.ts";

const INFO_HASH = new InfoHash(new Uint8Array(20));
const MAX_PEERS = 10;
const UNKNOWN = 99;
/** Longest time until a peer that can't be reached is dialled again. */
const MAX_RETRY_MS = 30 * 60_000;

/** A connection whose remote end the test plays; the test decides whether writes are taken. */
class Wire implements Connection {
  readonly remote: { readonly host: string; readonly port: number };
  readonly local = { host: "10.9.9.9", port: 6881 };
  closed = false;
  reads = true;
  #waiting: ((count: number | null) => void) | null = null;
  #into: Bytes = new Uint8Array(0);

  constructor(host: string, port = 50_000) {
    this.remote = { host, port };
  }

  read(into: Bytes): Promise<number | null> {
    this.#into = into;
    return new Promise((resolve) => this.#waiting = resolve);
  }
  write(bytes: Bytes): Promise<number> {
    return this.reads ? Promise.resolve(bytes.length) : new Promise(() => {});
  }
  close(): void {
    this.closed = true;
    this.#waiting?.(null);
  }
  /** The remote end sends bytes that fit into one read. */
  async say(...parts: Bytes[]): Promise<void> {
    const bytes = concatBytes(parts);
    this.#into.set(bytes);
    this.#waiting!(bytes.length);
    await settle();
  }
}

function make(dial: Transport["dial"] = () => new Promise(() => {}), second?: InfoHash) {
  const clock = new VirtualClock({ now: 1e6 });
  const events: PeerSetEvent[] = [];
  const manager = new ConnectionManager({ maxPeers: MAX_PEERS, random: () => 0.5 });
  const peers = new PeerSet({
    platform: clock,
    transport: { name: "none", dial },
    reads: new ReadTurns(() => Promise.resolve()),
    host: idleHost({ pieceCount: 10, pieceSize: () => 65536, now: () => clock.now() }),
    events: {
      joined() {},
      batch() {},
      left() {},
      prospects: () => "good",
      failed() {},
      emit: (event) => void events.push(event),
    },
    handshake: (infoHash = INFO_HASH, other = false) => ({
      infoHash: other ? second ?? infoHash : infoHash,
      peerId: utf8("-SH0100-ourselves..."),
      fast: true,
      extended: true,
    }),
    manager,
  });
  let ids = 0;
  const come = (host: string, peerId = utf8(`-XX0000-${String(ids++).padStart(12, "0")}`)) => {
    const wire = new Wire(host);
    peers.accept(wire, { infoHash: INFO_HASH, peerId, fast: true, extended: true });
    return wire;
  };
  const said = (action: string) =>
    events.flatMap((event) =>
      event.event === "peer" && event.action === action ? [`${event.address} ${event.message}`] : []
    );
  return { clock, peers, manager, come, said };
}

Deno.test("PeerSet gives one message a minute, however busily its bytes trickle in", async () => {
  const { clock, peers, come, said } = make();
  const wire = come("10.0.0.1");
  await settle();
  const half = frame(UNKNOWN, ...new Array<number>(2000).fill(0));
  for (let at = 0; clock.now() < 1e6 + MESSAGE_MS; at++) {
    await wire.say(half.subarray(at, at + 1));
    clock.advance(500);
    peers.tick(clock.now());
  }
  assertEquals(wire.closed, false);
  clock.advance(501);
  peers.tick(clock.now());
  assertEquals(said("disconnected"), ["10.0.0.1:50000 it takes more than 60 s for one message"]);
});

Deno.test("PeerSet counts the minute of each message anew", async () => {
  const { clock, peers, come } = make();
  const wire = come("10.0.0.1");
  await settle();
  const [one, half] = [frame(UNKNOWN, 1, 2, 3), frame(UNKNOWN, 1, 2, 3).subarray(0, 6)];
  await wire.say(half);
  for (let i = 0; i < 5; i++) {
    clock.advance(MESSAGE_MS - 1000);
    peers.tick(clock.now());
    await wire.say(one.subarray(6), half); // the end of a message, and the beginning of the next
  }
  assertEquals(wire.closed, false);
});

Deno.test("PeerSet sends away who leaves what we send unread for a minute", async () => {
  const { clock, peers, come, said } = make();
  const wire = come("10.0.0.1");
  wire.reads = false;
  const [peer] = peers.all;
  peer!.unchoke();
  peer!.output.flush();
  await settle();
  clock.advance(STALLED_MS);
  peers.tick(clock.now());
  assertEquals(wire.closed, false);
  clock.advance(1);
  peers.tick(clock.now());
  assertEquals(said("disconnected"), ["10.0.0.1:50000 it does not read what we send"]);
});

Deno.test("PeerSet shuts out who breaks the protocol again and again, for a while, and names it", async () => {
  const { clock, peers, come, said } = make();
  for (let i = 0; i < MAX_OFFENCES; i++) {
    assertEquals(peers.refuses("10.0.0.1"), null);
    const wire = come("10.0.0.1");
    await settle();
    await wire.say(frame(4, 0, 0, 0, 99));
    assertEquals(wire.closed, true);
  }
  assertEquals(said("banned"), ["10.0.0.1:50000 it broke the protocol 3 times"]);
  assertEquals(peers.refuses("10.0.0.1"), "it broke the protocol too often");
  assertEquals(peers.refuses("10.0.0.2"), null);
  clock.advance(SHUT_OUT_MS);
  assertEquals(peers.refuses("10.0.0.1"), null);
});

Deno.test("PeerSet holds it against nobody that it leaves", async () => {
  const { peers, come, said } = make();
  for (let i = 0; i < 2 * MAX_OFFENCES; i++) {
    const wire = come("10.0.0.1");
    await settle();
    wire.close();
    await settle();
  }
  assertEquals([said("banned"), peers.refuses("10.0.0.1")], [[], null]);
});

Deno.test("PeerSet lets another address in with a peer id that is here already, and no second one of the same", async () => {
  const { come, said } = make();
  const id = utf8("-XX0000-stolenstolen");
  const [thief, owner, double] = [come("10.0.0.1", id), come("10.0.0.2", id), come("10.0.0.2", id)];
  await settle();
  assertEquals([thief.closed, owner.closed, double.closed], [false, false, true]);
  assertEquals(said("refused"), ["10.0.0.2:50000 there is a connection to it already"]);
});

Deno.test("PeerSet gives the place of a connection that nobody wants anything from to who comes next", async () => {
  const { clock, peers, come } = make();
  const mute = Array.from({ length: MAX_PEERS }, (_, i) => come(`10.0.0.${i + 1}`));
  await settle();
  await mute[0]!.say(frame(2)); // interested
  assertEquals(peers.refuses("10.0.1.1"), "there is no room for more connections");
  clock.advance(NOT_INTERESTED_MS + 1);
  assertEquals(peers.refuses("10.0.1.1"), null);
  const fresh = come("10.0.1.1");
  await settle();
  assertEquals([mute.map((wire) => wire.closed).indexOf(true), fresh.closed, peers.size], [1, false, MAX_PEERS]);
});

Deno.test("PeerSet lets the address go first that has most connections", async () => {
  const { clock, come } = make();
  const all = ["1", "2", "3", "3", "3", "4", "5", "6", "7", "8"].map((n) => come(`10.0.0.${n}`));
  await settle();
  clock.advance(NOT_INTERESTED_MS + 1);
  come("10.0.1.1");
  assertEquals(all.map((wire) => wire.closed).indexOf(true), 2);
});

Deno.test("PeerSet lets nobody keep others out with connections that say nothing, however fast they are renewed", async () => {
  const { clock, peers, come } = make();
  for (let i = 0; i < MAX_PEERS; i++) come(`10.0.0.${i}`);
  let attackers = 0;
  /** Ten connections of attackers per second, and one of another peer once a second until that peer is accepted. */
  const rush = (milliseconds: number, other?: string) => {
    for (const end = clock.now() + milliseconds; clock.now() < end; clock.advance(100)) {
      if (other && attackers % 10 === 0 && peers.refuses(other) === null) return come(other);
      const host = `10.1.${attackers >> 8}.${attackers++ & 255}`;
      if (peers.refuses(host) === null) come(host);
    }
    return null;
  };
  rush(10_000);
  const honest = rush(ARRIVALS_NOT_INTERESTED_MS + 1000, "10.2.0.1");
  await settle();
  assert(honest, "the honest one was kept out");
  await honest.say(frame(2));
  rush(10_000);
  assertEquals([honest.closed, peers.size], [false, MAX_PEERS]);
});

Deno.test("PeerSet gives everybody the time to say what it has, however many wait", () => {
  const { clock, peers, come } = make();
  for (let i = 0; i < MAX_PEERS; i++) come(`10.0.0.${i}`);
  const began = clock.now();
  for (let i = 0; clock.now() <= began + ARRIVALS_NOT_INTERESTED_MS; i++) {
    assertEquals(peers.refuses(`10.1.0.${i}`), "there is no room for more connections");
    clock.advance(100);
  }
  assertEquals(peers.refuses("10.2.0.1"), null);
});

Deno.test("PeerSet gives those that it dialled longer, since no crowd chooses them", async () => {
  const dialled = new Wire("10.0.0.1", 6881);
  const { clock, peers, come } = make(() => Promise.resolve(dialled));
  peers.add([dialled.remote]);
  await settle();
  const peerId = utf8("-XX0000-dialledbyus.");
  await dialled.say(encodeHandshake({ infoHash: INFO_HASH, peerId, fast: true, extended: true }));
  for (let i = 1; i < MAX_PEERS; i++) come(`10.0.1.${i}`);
  const began = clock.now();
  for (let i = 0; clock.now() <= began + ARRIVALS_MUTE_DIALLED_MS; i++) {
    if (peers.refuses(`10.1.0.${i}`) === null) come(`10.1.0.${i}`);
    clock.advance(100);
  }
  assertEquals([dialled.closed, peers.size], [false, MAX_PEERS]);
  for (let i = 0; i < MAX_PEERS; i++) if (peers.refuses(`10.2.0.${i}`) === null) come(`10.2.0.${i}`);
  assertEquals(dialled.closed, true);
});

Deno.test("PeerSet forgets a crowd that is gone, and closes nothing because of it", () => {
  const { clock, peers, manager, come } = make();
  const all = Array.from({ length: MAX_PEERS }, (_, i) => come(`10.0.0.${i}`));
  for (let i = 0; i < 4 * ARRIVALS_PER_SECOND; i++) peers.refuses(`10.1.0.${i}`);
  manager.add([{ host: "10.2.0.1", port: 6881 }]);
  for (const end = clock.now() + NOT_INTERESTED_MS; clock.now() < end; clock.advance(500)) {
    peers.tick(clock.now());
    assertEquals(all.filter((wire) => wire.closed).length, 0);
  }
  clock.advance(1);
  peers.tick(clock.now());
  // For its long silence, not because of the crowd.
  assertEquals(all.filter((wire) => wire.closed).length, 1);
});

Deno.test("PeerSet counts who comes once, and not again after its handshake", () => {
  const { clock, peers, come } = make();
  for (let i = 0; i < ARRIVALS_PER_SECOND - 1; i++) come(`10.0.0.${i}`);
  clock.advance(NOT_INTERESTED_MS - ARRIVALS_NOT_INTERESTED_MS - 1);
  for (let i = ARRIVALS_PER_SECOND - 1; i < MAX_PEERS; i++) come(`10.0.0.${i}`);
  clock.advance(ARRIVALS_NOT_INTERESTED_MS + 2);
  for (let i = 0; i < ARRIVALS_PER_SECOND - 1; i++) {
    assertEquals(peers.refuses(`10.1.0.${i}`), null);
    come(`10.1.0.${i}`);
  }
  assertEquals(peers.refuses("10.2.0.1"), "there is no room for more connections"); // not a crowd yet
  assertEquals(peers.refuses("10.2.0.2"), null); // a crowd now
});

Deno.test("PeerSet sends away who talks too much, and holds it against nobody", async () => {
  const { peers, come, said } = make();
  for (let i = 0; i < MAX_OFFENCES; i++) {
    const wire = come("10.0.0.1");
    await settle();
    while (!wire.closed) await wire.say(...Array.from({ length: 100 }, () => frame(UNKNOWN)));
  }
  assertEquals(said("disconnected").length, MAX_OFFENCES);
  assert(said("disconnected").every((message) => message.includes("it says too much that brings nothing")));
  assertEquals([said("banned"), peers.refuses("10.0.0.1")], [[], null]);
});

Deno.test("PeerSet doesn't send away those that wait for their turn, but one a minute of those that wait in vain", async () => {
  const { clock, peers, come } = make();
  const all = Array.from({ length: MAX_PEERS }, (_, i) => come(`10.0.0.${i}`));
  await settle();
  for (const wire of all) await wire.say(frame(2));
  clock.advance(USELESS_MS);
  assertEquals(peers.refuses("10.0.1.1"), "there is no room for more connections");
  clock.advance(1);
  assertEquals(peers.refuses("10.0.1.1"), null);
  come("10.0.1.1");
  await settle();
  assertEquals(peers.refuses("10.0.1.2"), "there is no room for more connections");
  assertEquals(all.filter((wire) => wire.closed).length, 1);
});

Deno.test("PeerSet keeps room for peers that it wants to dial from those that dial it", async () => {
  const { peers, manager, come } = make();
  manager.add(Array.from({ length: 5 }, (_, i) => ({ host: `10.2.0.${i}`, port: 6881 })));
  for (let i = 0; i < 8; i++) {
    assertEquals(peers.refuses(`10.0.0.${i}`), null);
    come(`10.0.0.${i}`);
  }
  await settle();
  assertEquals(peers.refuses("10.0.1.1"), "there is no room for more connections");
  assertEquals(peers.room, 2);
});

Deno.test("PeerSet remembers the address of a connection that is over only if it sent something", async () => {
  const { peers, come } = make();
  const [giver, mute] = [come("10.0.0.1"), come("10.0.0.2")];
  await settle();
  await giver.say(frame(7, ...new Array<number>(8 + 100).fill(0)));
  giver.close();
  mute.close();
  await settle();
  assertEquals([peers.size, peers.hostOf(1), peers.hostOf(2)], [0, "10.0.0.1", ""]);
});

Deno.test("PeerSet dials a peer under the info-hash under which it was found first", async () => {
  const other = new InfoHash(new Uint8Array(20).fill(7));
  const dials: string[] = [];
  const { peers } = make(({ host }, { infoHash }) => {
    dials.push(`${host} ${infoHash}`);
    return Promise.reject(new Error("nobody is there"));
  });
  const at = (last: number) => ({ host: `10.4.${last}.1`, port: 6881 });
  peers.add([at(1)], "dht", other);
  peers.add([at(2)], "user");
  peers.add([at(3)], "tracker", INFO_HASH);
  peers.add([at(3)], "tracker", other);
  await settle();
  assertEquals(dials.sort(), [`10.4.1.1 ${other}`, `10.4.2.1 ${INFO_HASH}`, `10.4.3.1 ${INFO_HASH}`]);
});

Deno.test("PeerSet dials a hybrid's peer under the other info-hash at once when the handshake fails, and keeps to what works", async () => {
  const second = new InfoHash(new Uint8Array(20).fill(7));
  const dials: string[] = [];
  const wires: Wire[] = [];
  const { clock, peers } = make(({ host, port }, { infoHash }) => {
    dials.push(`${host} ${infoHash}`);
    if (host === "10.4.2.1") return Promise.reject(new Deno.errors.ConnectionRefused());
    const wire = new Wire(host, port);
    wires.push(wire);
    return Promise.resolve(wire);
  }, second);
  peers.add([{ host: "10.4.1.1", port: 6881 }], "pex");
  peers.add([{ host: "10.4.2.1", port: 6881 }], "pex");
  await settle();
  wires[0]!.close();
  await settle();
  peers.tick(clock.now());
  await settle();
  assertEquals(dials.splice(0), [`10.4.1.1 ${INFO_HASH}`, `10.4.2.1 ${INFO_HASH}`, `10.4.1.1 ${second}`]);
  // Neither works: the peer is left alone for a while, and both are tried again.
  wires[1]!.close();
  await settle();
  peers.tick(clock.now());
  await settle();
  assertEquals(dials.splice(0), []);
  clock.advance(MAX_RETRY_MS);
  peers.tick(clock.now());
  await settle();
  assertEquals(dials.splice(0).sort(), [`10.4.1.1 ${INFO_HASH}`, `10.4.2.1 ${INFO_HASH}`]);
  wires[2]!.close();
  await settle();
  peers.tick(clock.now());
  await settle();
  const peerId = utf8("-XX0000-knowsthe2nd.");
  await wires[3]!.say(encodeHandshake({ infoHash: second, peerId, fast: true, extended: true }));
  assertEquals([dials.splice(0), peers.size], [[`10.4.1.1 ${second}`], 1]);
  wires[3]!.close();
  await settle();
  clock.advance(MAX_RETRY_MS);
  peers.tick(clock.now());
  await settle();
  assertEquals(dials.filter((dial) => dial.startsWith("10.4.1.1")), [`10.4.1.1 ${second}`]);
});
