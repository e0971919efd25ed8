import { assert, assertEquals } from "@std/assert";
import { encodeCompactPeer, type PeerAddress } from "../../src/base/address.ts";
import { concatBytes } from "../../src/base/bytes.ts";
import { encode } from "../../src/bencode/mod.ts";
import { type AddOptions, Session } from "../../src/session/session.ts";
import type { Torrent as SwarmTorrent } from "../../src/swarm/torrent.ts";
import type { SessionEvent } from "../../src/session/session_events.ts";
import { finishing, metainfoOf, platformOf, putAll } from "../plug/memory_lab.ts";
import { MemoryNetwork } from "../plug/memory_network.ts";
import { Torrent } from "../storage/fixture.ts";
import { MemoryFiles } from "../support/memory_files.ts";
import { VirtualClock } from "../support/virtual_clock.ts";

const HOST = "10.0.0.1";
const PIECE = 32 * 1024;
const KIB = 1024;

/** File 1 is in pieces 1 and 2, file 2 in pieces 2 to 4, file 3 in pieces 4 to 8. */
const torrent = new Torrent(PIECE, [
  { path: "t/0", length: 50 * KIB },
  { path: "t/1", length: 20 * KIB },
  { path: "t/pad", length: 2 * KIB, pad: true },
  { path: "t/2", length: 70 * KIB },
  { path: "t/3", length: 130 * KIB },
]);

/** Sessions on one network, each with files in memory. */
class Lab {
  readonly clock = new VirtualClock();
  readonly announces: URLSearchParams[] = [];
  /** Peers that the trackers return. */
  named: readonly PeerAddress[] = [];
  readonly #net = new MemoryNetwork(this.clock, 64 * KIB);
  readonly #sessions: Session[] = [];

  /** Starts a session and adds the torrent with the options `add`. The session has every piece if `whole` is set. */
  async start(
    add: Partial<AddOptions> & { readonly files?: ReadonlySet<number> },
    options: { readonly whole?: boolean; readonly announce?: string } = {},
  ) {
    const files = new MemoryFiles();
    if (options.whole) putAll(torrent, files);
    const platform = {
      ...platformOf(this.clock, this.#net, files),
      http: {
        request: ({ url }: { readonly url: string }) => {
          this.announces.push(new URL(url).searchParams);
          return Promise.resolve({
            status: 200,
            headers: new Headers(),
            body: encode({
              complete: 1,
              incomplete: 1,
              interval: 60,
              peers: concatBytes(this.named.map((peer) => encodeCompactPeer(peer)!)),
            }),
            url,
          });
        },
        stream: () => Promise.reject(new Error("nobody serves files here")),
        serve: () => {
          throw new Error("nobody serves HTTP here");
        },
      },
    };
    const session = new Session({
      platform,
      bind: HOST,
      encryption: "off",
      port: 7000 + this.#sessions.length,
      stateFolder: "/state",
    });
    this.#sessions.push(session);
    const events: SessionEvent[] = [];
    session.subscribe((event) => void events.push(event));
    await session.start();
    const trackers = options.announce === undefined ? [] : [[options.announce]];
    const added = await session.add({ ...metainfoOf(torrent), trackers }, {
      folder: "/dl",
      ...(options.whole && { trust: true, seedOnly: true }),
      ...add,
    });
    return { session, files, events, torrent: added as SwarmTorrent };
  }

  async stop(): Promise<void> {
    await finishing(Promise.all(this.#sessions.map((session) => session.stop())), this.clock);
    assertEquals(this.clock.pending, 0);
  }
}

Deno.test("Session fetches wanted files, counts by them, and is a partial seed then (BEP 21)", async () => {
  const lab = new Lab();
  const seeder = await lab.start({}, { whole: true });
  const peers: PeerAddress[] = [seeder.session.listenAddress];
  const some = await lab.start({ files: new Set([1, 3]), peers }, { announce: "http://tracker.test/announce" });
  const added = some.events.find((event) => event.event === "added");
  assertEquals([added?.size, added?.files], [90 * KIB, 2]);
  await finishing(some.torrent.finished, lab.clock);
  const { state, size, verified, progress, eta, downloaded } = some.torrent.snapshot();
  assertEquals([state, size, verified, progress, eta], ["seeding", 90 * KIB, 90 * KIB, 1, 0]);
  assertEquals([...some.torrent.have], [1, 2, 3, 4]);
  assertEquals(downloaded, 4 * PIECE);
  const partFile = `/dl/.shoal-${torrent.infoHash.hex}.part`;
  assertEquals(some.files.paths().filter((path) => path.startsWith("/dl/") && !path.endsWith(".lock")), [
    partFile,
    "/dl/t/1",
    "/dl/t/2",
  ]);

  // The next announce has the event `paused` of a partial seed and counts all missing bytes, wanted or not. No announce
  // has the event `completed`.
  await lab.clock.play(70_000);
  assertEquals(lab.announces.map((query) => [query.get("event"), query.get("left")]), [
    ["started", `${270 * KIB}`],
    ["paused", `${(270 - 126) * KIB}`],
  ]);

  // The session disconnects from the seed, but serves peers, which know that it wants nothing.
  assertEquals([...some.torrent.peers()].length, 0);
  const same = await lab.start({ files: new Set([3]), peers: [some.session.listenAddress] });
  await finishing(same.torrent.finished, lab.clock);
  assertEquals(same.files.get("/dl/t/2"), torrent.file("t/2"));
  const all = await lab.start({ peers: [some.session.listenAddress] });
  while (all.torrent.snapshot().downloaded < 4 * PIECE) await lab.clock.play(1000);
  await lab.clock.play(1000);
  assertEquals([...all.torrent.peers()].map((peer) => [peer.uploadOnly, peer.isSeed]), [[true, false]]);
  assertEquals(all.torrent.snapshot().state, "downloading");
  await lab.stop();
});

Deno.test("Session fetches pieces in order when it is asked to", async () => {
  const lab = new Lab();
  const seeder = await lab.start({}, { whole: true });
  const { torrent: leecher } = await lab.start({ sequential: true, peers: [seeder.session.listenAddress] });
  const order: number[] = [];
  const watch = async () => {
    while (!leecher.have.isFull) {
      for (const index of leecher.have) if (!order.includes(index)) order.push(index);
      await lab.clock.play(20);
    }
  };
  await watch();
  assertEquals(order, order.toSorted((a, b) => a - b));
  assert(order.length >= 8, `${order}`);
  await lab.stop();
});

Deno.test("Session with every file wanted, or none, is as one without a choice, or has nothing to do", async () => {
  const lab = new Lab();
  const seeder = await lab.start({}, { whole: true });
  const peers = [seeder.session.listenAddress];
  const all = await lab.start({ files: new Set([0, 1, 2, 3, 4]), peers });
  await finishing(all.torrent.finished, lab.clock);
  assert(all.torrent.have.isFull);
  const none = await lab.start({ files: new Set(), peers });
  await finishing(none.torrent.finished, lab.clock);
  assertEquals(none.torrent.snapshot().progress, 1);
  assertEquals(none.files.paths().filter((path) => path.startsWith("/dl/") && !path.endsWith(".lock")), []);
  await lab.stop();
});

Deno.test("Session as a seed asks trackers for peers and connects to them, since nobody may come to it", async () => {
  const lab = new Lab();
  const leecher = await lab.start({});
  lab.named = [leecher.session.listenAddress];
  await lab.start({}, { whole: true, announce: "http://10.0.0.9/announce" });
  await finishing(leecher.torrent.finished, lab.clock);
  assertEquals(lab.announces.map((query) => Number(query.get("numwant")) > 0), [true]);
  await lab.stop();
});

Deno.test("Session as a seed, or a partial one, comes to another only once, whoever of them hangs up", async () => {
  const lab = new Lab();
  const seed = await lab.start({}, { whole: true });
  const part = await lab.start({ files: new Set([3]), peers: [seed.session.listenAddress] });
  await finishing(part.torrent.finished, lab.clock);
  const from = seed.events.length;
  lab.named = [seed.session.listenAddress, part.session.listenAddress];
  const other = await lab.start({}, { whole: true, announce: "http://10.0.0.9/announce" });
  await lab.clock.play(20 * 60_000);
  const connected = (events: readonly SessionEvent[]) =>
    events.filter((event) => event.event === "peer" && event.action === "connected").length;
  assertEquals([connected(seed.events.slice(from)), connected(other.events)], [1, 2]);
  await lab.stop();
});
