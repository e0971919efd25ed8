import { assert, assertEquals, assertLess } from "@std/assert";
import { concatBytes, utf8 } from "../../src/base/bytes.ts";
import { parseMagnet } from "../../src/metainfo/mod.ts";
import type { HttpRequest, Network, Platform } from "../../src/platform/platform.ts";
import { Session } from "../../src/session/session.ts";
import type { SessionEvent } from "../../src/session/session_events.ts";
import { metainfoOf } from "../plug/memory_lab.ts";
import { MemoryNetwork } from "../plug/memory_network.ts";
import { sha1, Torrent } from "../storage/fixture.ts";
import { MemoryFiles } from "../support/memory_files.ts";
import { VirtualClock } from "../support/virtual_clock.ts";
import { startDigest } from "../../src/platform/start_digest.ts";

const HOST = "10.0.0.1";
const ANNOUNCE = "http://tracker.test/announce";
/** Bytes per second of the line. */
const RATE = 32 * 1024;
/** Bytes of the torrent: half a minute of downloading. */
const SIZE = 30 * RATE;
const SECOND = 1000;
const MINUTE = 60 * SECOND;

/**
 * A platform that can be suspended as Ctrl-Z suspends a program: time passes and other hosts act, but no code runs
 * here.
 */
class Suspendable {
  readonly #clock: VirtualClock;
  readonly #net: Network;
  readonly files = new MemoryFiles();
  #asleep = false;
  #timers: (() => void)[] = [];
  #wake: (() => void)[] = [];
  /** Times and events of the announces. */
  readonly announces: { readonly at: number; readonly event: string | null }[] = [];
  /** Peers that the tracker returns. */
  peers: readonly number[] = [];
  /** Returns the error of the wall clock in milliseconds, called at each reading. */
  wallClockError: () => number = () => 0;

  constructor(clock: VirtualClock, net: Network) {
    this.#clock = clock;
    this.#net = net;
  }

  suspend(): void {
    this.#asleep = true;
  }

  /** Runs all timers that fell due, then delivers everything that arrived: the worst possible order. */
  resume(): void {
    this.#asleep = false;
    for (const run of this.#timers.splice(0)) run();
    for (const wake of this.#wake.splice(0)) wake();
  }

  get platform(): Platform {
    const clock = this.#clock;
    return {
      now: () => clock.now(),
      wallClock: () => clock.wallClock() + this.wallClockError(),
      after: (milliseconds, run) => {
        let cancelled = false;
        const timer = clock.after(milliseconds, () => this.#when(() => cancelled || run()));
        return { cancel: () => (cancelled = true, timer.cancel()) };
      },
      yieldToEventLoop: () => Promise.resolve(),
      random: () => clock.random(),
      randomBytes: (length) => clock.randomBytes(length),
      sha1: (data) => Promise.resolve(sha1(data)),
      blockHashes: () => Promise.reject(new Error("its torrents are v1")),
      digest: startDigest,
      net: {
        dial: (address, options) => this.#held(this.#net.dial(address, options)).then((c) => this.#slow(c)),
        listen: (options) => {
          const listener = this.#net.listen(options);
          return {
            address: listener.address,
            accept: async () => {
              const connection = await this.#held(listener.accept());
              return connection && this.#slow(connection);
            },
            close: () => listener.close(),
          };
        },
        openUdp: (options) => this.#net.openUdp(options),
        resolve: (host) => this.#net.resolve(host),
      },
      http: {
        request: (request) => this.#announce(request),
        stream: () => Promise.reject(new Error("there is no web seed here")),
        serve() {
          throw new Error("there is no server here");
        },
      },
      files: this.files,
    };
  }

  #slow(connection: Awaited<ReturnType<Network["dial"]>>): typeof connection {
    return {
      remote: connection.remote,
      local: connection.local,
      read: (into) => this.#held(connection.read(into)),
      write: (bytes) => this.#held(connection.write(bytes)),
      close: () => connection.close(),
    };
  }

  async #held<T>(work: Promise<T>): Promise<T> {
    try {
      return await work;
    } finally {
      if (this.#asleep) await new Promise<void>((resolve) => this.#wake.push(resolve));
    }
  }

  #when(run: () => void): void {
    if (this.#asleep) this.#timers.push(run);
    else run();
  }

  #announce({ url }: HttpRequest) {
    this.announces.push({ at: this.#clock.now(), event: new URL(url).searchParams.get("event") });
    const peers = this.peers.map((port) => Uint8Array.of(10, 0, 0, 1, port >> 8, port & 255));
    const body = concatBytes([
      utf8(`d8:completei1e10:incompletei1e8:intervali1800e5:peers${peers.length * 6}:`),
      ...peers,
      utf8("e"),
    ]);
    return Promise.resolve({ status: 200, headers: new Headers(), body, url });
  }
}

/** What happens to a download after ten seconds. */
interface Disturbance {
  /** Suspends one side for a number of milliseconds. */
  readonly suspend?: { readonly who: "leecher" | "seeder"; readonly time: number };
  /** Error of the leecher's wall clock. */
  readonly wallClockError?: () => number;
}

/** Downloads a torrent with a disturbance. */
async function disturbed({ suspend, wallClockError }: Disturbance) {
  const clock = new VirtualClock();
  const net = new MemoryNetwork(clock, RATE);
  const torrent = new Torrent(64 * 1024, [{ path: "a", length: SIZE }]);
  const meta = { ...metainfoOf(torrent), trackers: [[ANNOUNCE]] };
  const seeder = new Suspendable(clock, net);
  const leecher = new Suspendable(clock, net);
  for (const file of torrent.layout.files) seeder.files.put(`/dl/${file.path.join("/")}`, torrent.data);
  const seeding = new Session({ platform: seeder.platform, bind: HOST, encryption: "off" });
  const leeching = new Session({ platform: leecher.platform, bind: HOST, encryption: "off", stateFolder: "/state" });
  const events: SessionEvent[] = [];
  leeching.subscribe((event) => void events.push(event));
  await Promise.all([seeding.start(), leeching.start()]);
  leecher.peers = [seeding.port];
  await seeding.add(meta, { folder: "/dl", seedOnly: true, trust: true });
  const download = await leeching.add(meta, { folder: "/dl" });
  let fastest = 0;
  /** Plays until the download is complete, at most for some seconds. */
  const play = async (seconds: number) => {
    for (let i = 0; i < seconds && download.snapshot().state !== "seeding"; i++) {
      await clock.play(SECOND);
      fastest = Math.max(fastest, download.snapshot().rateDown);
    }
  };
  await play(10);
  const before = download.snapshot().verified;
  if (wallClockError) leecher.wallClockError = wallClockError;
  const sleeper = suspend?.who === "seeder" ? seeder : leecher;
  if (suspend) sleeper.suspend();
  await clock.play(suspend?.time ?? 0);
  const resumed = clock.now();
  sleeper.resume();
  await play(60);
  const { verified, downloaded, state } = download.snapshot();
  const stopped = Promise.all([seeding.stop(), leeching.stop()]);
  await clock.play(5 * SECOND);
  await stopped;
  assertEquals(clock.pending, 0, "a timer is left");
  return {
    before,
    verified,
    wasted: downloaded - verified,
    state,
    fastest,
    resumed,
    events,
    announces: leecher.announces,
  };
}

const CASES = [["leecher", 40 * SECOND], ["leecher", 3 * MINUTE], ["leecher", 120 * MINUTE], [
  "seeder",
  40 * SECOND,
]] as const;

for (const [who, time] of CASES) {
  Deno.test(`Session: a ${who} that is suspended for ${time / SECOND} seconds goes on as if nothing had been`, async () => {
    const { before, verified, wasted, state, fastest, resumed, events, announces } = await disturbed({
      suspend: { who, time },
    });
    assert(before > 0 && before < SIZE, `${before} bytes before`);
    assertEquals([state, verified], ["seeding", SIZE]);
    assertEquals(events.filter(({ event }) => event === "error" || event === "hash_failed"), []);
    assertEquals(events.filter((event) => event.event === "peer" && event.action === "banned"), []);
    // Pending blocks may be requested again, and no rate is computed over the suspended time.
    assertLess(wasted, SIZE / 8);
    assertLess(fastest, 1.5 * RATE);
    // An announce that fell due while suspended is sent once on resuming. If none fell due, one may be sent for lack of
    // peers.
    const late = announces.filter(({ at, event }) => at >= resumed && at < resumed + SECOND && event === null);
    assert(late.length <= 1 && (time < 30 * MINUTE || late.length === 1), `${late.length} announces at once`);
  });
}

Deno.test("Session: a wall clock that is set to and fro changes nothing", async () => {
  let looks = 0;
  const wallClockError = () => [0, 5, -8, 0.3][looks++ % 4]! * 60 * MINUTE;
  const quiet = await disturbed({});
  const { events, announces, state, verified, fastest } = await disturbed({ wallClockError });
  assert(looks > 5, "nobody looked at the wall clock");
  assertEquals([state, verified], ["seeding", SIZE]);
  assertEquals({ events, announces, fastest }, {
    events: quiet.events,
    announces: quiet.announces,
    fastest: quiet.fastest,
  });
});

/** A clock that counts the timers that fire. */
class CountingClock extends VirtualClock {
  fired = 0;

  override after(milliseconds: number, run: () => void, rank = 0) {
    return super.after(milliseconds, () => {
      this.fired++;
      run();
    }, rank);
  }
}

Deno.test("Session: torrents on which nothing happens cost nothing, dial who may be back, and serve who comes", async () => {
  const clock = new CountingClock();
  const net = new MemoryNetwork(clock, RATE);
  const [here, there] = [new Suspendable(clock, net), new Suspendable(clock, net)];
  const session = new Session({ platform: here.platform, bind: HOST, encryption: "off" });
  const other = new Session({ platform: there.platform, bind: HOST, encryption: "off", stateFolder: "/state" });
  await Promise.all([session.start(), other.start()]);
  const torrents = Array.from({ length: 20 }, (_, i) => new Torrent(64 * 1024, [{ path: `${i}`, length: RATE }], i));
  for (const { layout, data } of torrents) here.files.put(`/dl/${layout.files[0]!.path.join("/")}`, data);
  const metas = torrents.map(metainfoOf);
  const seeds = [];
  for (const meta of metas) seeds.push(await session.add(meta, { folder: "/dl", seedOnly: true, trust: true }));
  const links = Array.from({ length: 20 }, (_, i) => `magnet:?xt=urn:btih:${`${i}`.padStart(40, "a")}`);
  for (const link of links) await session.add(parseMagnet(link), { folder: "/dl" });
  await clock.play(10 * SECOND);
  assertEquals(seeds.map((seed) => seed.snapshot().state), seeds.map(() => "seeding"));

  clock.fired = 0;
  await clock.play(60 * MINUTE);
  assertEquals(clock.fired, 0);

  // A torrent with a lost peer only wakes up when the peer is to be dialled again.
  const events: SessionEvent[] = [];
  session.subscribe((event) => void events.push(event));
  await session.add(metas[3]!, { folder: "/dl", seedOnly: true, trust: true, peers: [{ host: HOST, port: 9 }] });
  await clock.play(60 * MINUTE);
  const dials = events.filter((event) => event.event === "peer" && event.action === "refused");
  assert(dials.length >= 5, `${dials.length} dials`);
  assertLess(clock.fired, 10 * dials.length);

  const peers = [{ host: HOST, port: session.port }];
  const download = await other.add(metas[7]!, { folder: "/dl", peers });
  await clock.play(20 * SECOND);
  assertEquals(download.snapshot().state, "seeding");
  const stopped = Promise.all([session.stop(), other.stop()]);
  await clock.play(5 * SECOND);
  await stopped;
  assertEquals(clock.pending, 0, "a timer is left");
});
