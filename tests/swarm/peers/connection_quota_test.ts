import { assert, assertEquals, assertThrows } from "@std/assert";
import { HALF_OPEN_MS, MAX_HALF_OPEN_IN_ALL } from "../../../src/base/defences.ts";
import {
  type ConnectionBorrower,
  ConnectionQuota,
  type ConnectionSlot,
  type Pressure,
} from "../../../src/swarm/peers/connection_quota.ts";
import { fc, tries } from "../../support/property.ts";

/** A torrent that dials its known addresses. The test decides the outcome of each dial. */
class Torrent implements ConnectionBorrower {
  readonly share;
  seeding: boolean;
  /** Addresses that the torrent knows and hasn't dialled. */
  known = 0;
  /** The most connections and dials of the torrent. */
  most = Infinity;
  /** If `true`, the torrent's connections are useful, and are given up only under `forced` pressure. */
  useful = false;
  /** If `true`, the torrent has no spare connection to give up. */
  quiet = true;
  fails = false;
  readonly dials: ConnectionSlot[] = [];
  readonly open: ConnectionSlot[] = [];
  forced = 0;

  constructor(quota: ConnectionQuota, options: Partial<Pick<Torrent, "seeding" | "known" | "most" | "useful">> = {}) {
    this.seeding = options.seeding ?? false;
    this.known = options.known ?? 0;
    this.most = options.most ?? Infinity;
    this.useful = options.useful ?? false;
    this.share = quota.join(this);
  }

  get used(): number {
    return this.dials.length + this.open.length;
  }

  isWaiting(): boolean {
    return this.known > 0 && this.used < this.most;
  }

  dial(place: ConnectionSlot): boolean {
    if (this.fails) throw new Error("it fails");
    if (!this.isWaiting()) return false;
    this.known--;
    this.dials.push(place);
    return true;
  }

  canGiveUp(_: number, pressure: Pressure): boolean {
    return this.used > 0 && (pressure === "forced" || (!this.useful && (pressure === "fair" || !this.quiet)));
  }

  closeLeastUseful(now: number, pressure: Pressure): boolean {
    if (!this.canGiveUp(now, pressure)) return false;
    if (pressure === "forced") this.forced++;
    const [first, second] = pressure === "forced" ? [this.dials, this.open] : [this.open, this.dials];
    (first.shift() ?? second.shift())!.giveBack(now);
    return true;
  }

  /** Turns all dials under way into connections. */
  connect(now: number): void {
    for (const place of this.dials.splice(0)) {
      place.opened(now);
      this.open.push(place);
    }
  }

  /** Fails all dials under way. */
  fail(now: number): void {
    for (const place of this.dials.splice(0)) place.giveBack(now);
  }
}

/** Plays seconds in which all dials succeed. */
function play(seconds: number, torrents: readonly Torrent[], from = 0): number {
  let now = from;
  for (; now < from + seconds * 1000; now += 500) {
    for (const torrent of torrents) {
      torrent.connect(now);
      torrent.share.wants(now);
      torrent.share.tick(now);
    }
  }
  return now;
}

Deno.test("ConnectionQuota shares places out evenly, a seed counting a third, and gives what one doesn't need to the others", () => {
  const quota = new ConnectionQuota(70);
  const small = new Torrent(quota, { known: 3 });
  const [a, b] = [new Torrent(quota, { known: 1e4 }), new Torrent(quota, { known: 1e4 })];
  const seed = new Torrent(quota, { known: 1e4, seeding: true });
  play(30, [a, b, seed, small]);
  assertEquals(quota.used, 70);
  assertEquals(small.used, 3);
  // 67 places for a, b and the seed, whose shares are as 3 to 3 to 1: 29, 29 and 9. No place is moved for a difference
  // of less than a quarter.
  const parts = [a.used, b.used, 3 * seed.used];
  assert(Math.max(...parts) <= 1.25 * Math.min(...parts) + 3, `${parts}`);
});

Deno.test("ConnectionQuota gives a torrent that comes late its share, from those that have most, and then leaves it at that", () => {
  const quota = new ConnectionQuota(60);
  const [a, b] = [new Torrent(quota, { known: 1e5 }), new Torrent(quota, { known: 1e5, most: 15 })];
  let now = play(20, [a, b]);
  assertEquals([a.used, b.used], [45, 15]);
  const late = new Torrent(quota, { known: 1e5 });
  now = play(30, [a, b, late], now);
  assertEquals(b.used, 15);
  assert(late.used >= 17 && a.used >= 17, `${late.used} and ${a.used} of 45`);
  const before = [a.used, b.used, late.used];
  const dialled = a.known + b.known + late.known;
  play(60, [a, b, late], now);
  assertEquals([a.used, b.used, late.used], before);
  assertEquals(a.known + b.known + late.known, dialled); // no place moves to and fro
});

Deno.test("ConnectionQuota takes nothing that is of use, but from who has plenty for who has nothing, and not often", () => {
  const quota = new ConnectionQuota(20);
  const rich = new Torrent(quota, { known: 1e4, useful: true });
  const now = play(10, [rich]);
  const [late, later] = [new Torrent(quota, { known: 1e4 }), new Torrent(quota, { known: 1e4 })];
  play(30, [rich, late, later], now);
  assertEquals([late.used, later.used, rich.used, rich.forced], [1, 1, 18, 2]);
  rich.open.splice(0, 10).forEach((place) => place.giveBack(1e6));
  assert(late.used >= 4 && later.used >= 4 && late.used + later.used >= 10, "what is free goes to who has least");
});

Deno.test("ConnectionQuota wakes who waits when a place is given back, those with the least first", () => {
  const quota = new ConnectionQuota(6);
  const [a, b] = [new Torrent(quota, { known: 9 }), new Torrent(quota, { known: 9 })];
  a.share.wants(0);
  a.connect(0);
  b.share.wants(0);
  assertEquals([a.used, b.used, quota.waiting], [6, 0, 2]);
  for (let i = 0; i < 3; i++) a.open.pop()!.giveBack(1);
  assertEquals([a.used, b.used], [3, 3]);
  b.share.wantsNone();
  b.fail(2);
  assertEquals([a.used, b.used, quota.waiting], [6, 0, 1]);
});

Deno.test("ConnectionQuota takes a connection that was made to us if somebody with more gives one up, or the torrent itself one of no use", () => {
  const quota = new ConnectionQuota(10);
  const [a, b] = [new Torrent(quota, { known: 10 }), new Torrent(quota)];
  a.share.wants(0);
  a.connect(0);
  assert(b.share.mayAccept(0));
  for (let i = 0; i < 4; i++) b.open.push(b.share.accept(0)!);
  assertEquals([a.used, b.used, quota.used], [6, 4, 10]);
  // One more connection would exceed what the other torrent has to give.
  assertEquals([b.share.mayAccept(1e6), b.share.accept(1e6)], [false, null]);
  b.quiet = false; // b has a spare connection now
  assert(b.share.mayAccept(1e6));
  b.open.push(b.share.accept(1e6)!);
  assertEquals([a.used, b.used], [6, 4]);
});

Deno.test("ConnectionQuota gives what is given up for a connection to nobody else", () => {
  const quota = new ConnectionQuota(10);
  const [a, b] = [new Torrent(quota, { known: 100 }), new Torrent(quota)];
  a.share.wants(0);
  a.connect(0);
  assertEquals(quota.waiting, 1);
  const place = b.share.accept(0);
  assert(place !== null);
  assertEquals([quota.used, a.used], [10, 9]);
  place.giveBack(0);
  assertEquals([quota.used, a.used], [10, 10]);
});

Deno.test("ConnectionQuota lets torrents dial by turns: one with a long list of dead addresses keeps nobody from it", () => {
  const quota = new ConnectionQuota(10_000);
  const dead = [1, 2, 3, 4].map(() => new Torrent(quota, { known: 1e4 }));
  for (const torrent of dead) torrent.share.wants(0);
  assertEquals(quota.dialling, MAX_HALF_OPEN_IN_ALL);
  const good = new Torrent(quota, { known: 20 });
  good.share.wants(0);
  assertEquals(good.used, 0);
  good.share.wants(HALF_OPEN_MS); // more dials are allowed, since most of the first seem to be dead
  assert(good.used === 20, `${good.used} of 20`);
  assertEquals(quota.dialling, 2 * MAX_HALF_OPEN_IN_ALL);
  for (const torrent of dead) assert(torrent.used >= 26, `${torrent.used}`);
});

Deno.test("ConnectionQuota begins no more dials than a router can bear, however many torrents want to dial", () => {
  const quota = new ConnectionQuota(10_000);
  const torrents = Array.from({ length: 500 }, () => new Torrent(quota, { known: 1000 }));
  let begun = 0;
  for (let now = 0; now < 30_000; now += 500) {
    for (const torrent of torrents) torrent.share.wants(now);
    begun = torrents.reduce((sum, { known }) => sum + 1000 - known, 0);
    assert(begun <= MAX_HALF_OPEN_IN_ALL * (1 + Math.floor(now / HALF_OPEN_MS)), `${begun} at ${now}`);
  }
  assertEquals(begun, 10 * MAX_HALF_OPEN_IN_ALL);
  assertEquals(new Set(torrents.slice(1).map(({ used }) => used)), new Set([1, 2])); // each torrent in its turn
});

Deno.test("ConnectionQuota.setLimit() ends what is too many at once, and lets those who wait have more", () => {
  const quota = new ConnectionQuota(30);
  const [a, b] = [new Torrent(quota, { known: 99, useful: true }), new Torrent(quota, { known: 10 })];
  play(2, [b, a]);
  assertEquals([a.used, b.used], [20, 10]);
  quota.setLimit(12, 5000);
  assertEquals([a.used, b.used, quota.used], [6, 6, 12]);
  quota.setLimit(40, 6000);
  assertEquals([a.used, b.used, quota.used, quota.limit], [34, 6, 40, 40]);
  for (const limit of [0, -1, NaN, 0.5]) assertThrows(() => quota.setLimit(limit, 0), RangeError, "1 or more");
});

Deno.test("ConnectionQuota makes do with fewer when the system has no room for more, and tries again bit by bit", () => {
  const quota = new ConnectionQuota(400);
  const torrent = new Torrent(quota, { known: 1e5 });
  let now = play(20, [torrent]);
  assertEquals(quota.used, 400);
  for (let i = 0; i < 30; i++) quota.shortage(now); // many dials and files fail at the same moment
  assertEquals(quota.used, 350);
  // Descriptors of closed connections take a moment until they are free.
  torrent.open.pop()!.giveBack(now);
  assertEquals(quota.used, 349);
  now = play(55, [torrent], now);
  assertEquals(quota.used, 350);
  quota.shortage(now);
  assertEquals(quota.used, 306);
  now = play(120, [torrent], now);
  assertEquals(quota.used, 306);
  now = play(10, [torrent], now);
  assert(quota.used >= 314 && quota.used <= 317, `${quota.used}`);
  now = play(120, [torrent], now);
  assertEquals(quota.used, 400);
  quota.setLimit(24, now);
  for (let i = 0; i < 9; i++) quota.shortage(now += 5000);
  assertEquals(quota.used, 20);
});

Deno.test("ConnectionQuota doesn't count dials that failed for lack of room among those that there was room for", () => {
  const quota = new ConnectionQuota(500);
  const torrent = new Torrent(quota, { known: 80 });
  torrent.share.wants(0);
  torrent.connect(0);
  torrent.known = 40;
  torrent.share.wants(0);
  assertEquals(quota.used, 120);
  for (const place of [...torrent.dials]) {
    torrent.share.shortage(1);
    place.giveBack(1);
  }
  torrent.dials.length = 0;
  assertEquals(quota.used, 70); // there was room for 80
});

Deno.test("ConnectionQuota keeps a place for nobody who failed while it was dialling", () => {
  const quota = new ConnectionQuota(5);
  const [a, b] = [new Torrent(quota, { known: 9 }), new Torrent(quota, { known: 9 })];
  a.fails = true;
  assertThrows(() => a.share.wants(0), Error, "it fails");
  assertEquals([quota.used, quota.waiting], [0, 0]);
  b.share.wants(0);
  assertEquals(quota.used, 5);
});

Deno.test("ConnectionQuota is never above its limit, loses no place, and lets nobody wait for ever, whatever happens", () => {
  const who = fc.nat(5);
  const step = fc.oneof(
    fc.record({ does: fc.constant("name"), who, count: fc.nat(12) }),
    fc.record({
      does: fc.constantFrom("connect", "fail", "leave", "come", "stop", "use", "seed", "throw"),
      who,
      count: fc.nat(5),
    }),
    fc.record({ does: fc.constantFrom("limit", "shortage", "wait"), who, count: fc.integer({ min: 1, max: 40 }) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60, size: "max" }), (steps) => {
      const quota = new ConnectionQuota(8);
      const torrents = Array.from({ length: 6 }, () => new Torrent(quota));
      let now = 0;
      const run = ({ does, who, count }: { does: string; who: number; count: number }) => {
        const torrent = torrents[who]!;
        const before = quota.used;
        if (does === "name") torrent.known += count;
        if (does === "connect") torrent.connect(now);
        if (does === "fail") torrent.fail(now);
        if (does === "leave") { for (const place of torrent.open.splice(0, count)) place.giveBack(now); }
        if (does === "use") torrent.useful = !torrent.useful;
        if (does === "seed") torrent.seeding = !torrent.seeding;
        if (does === "limit") quota.setLimit(count, now);
        if (does === "shortage") quota.shortage(now);
        if (does === "wait") now += count * 500;
        if (does === "come") {
          const may = torrent.share.mayAccept(now);
          const place = torrent.share.accept(now);
          assertEquals(place !== null, may);
          if (place) torrent.open.push(place);
        }
        if (does === "throw" && torrent.known > 0) {
          torrent.fails = true;
          try {
            torrent.share.wants(now);
          } catch (error) {
            assertEquals((error as Error).message, "it fails");
          }
          torrent.fails = false;
        }
        if (does === "stop") {
          torrent.known = 0;
          torrent.share.wantsNone();
          torrent.fail(now);
          for (const place of torrent.open.splice(0)) place.giveBack(now);
        } else if (does !== "throw") torrent.share.wants(now);
        torrent.share.tick(now);
        assertEquals(quota.used, torrents.reduce((sum, { used }) => sum + used, 0));
        assertEquals(quota.dialling, torrents.reduce((sum, { dials }) => sum + dials.length, 0));
        for (const { share, dials, open } of torrents) {
          assertEquals([share.used, share.dialling], [dials.length + open.length, dials.length]);
        }
        assert(quota.used <= quota.limit || quota.used <= before, `${quota.used} of ${quota.limit} after ${does}`);
      };
      for (const one of steps) run(one);
      // In the end every torrent that wants connections has its share, whatever happened before.
      now += 2 * 60 * 60_000; // all shortages are over
      quota.setLimit(24, now);
      for (const torrent of torrents) Object.assign(torrent, { known: 1e4, useful: false, seeding: false });
      now = play(120, torrents, now);
      for (const { used } of torrents) assert(used >= 3 && used <= 5, `${torrents.map(({ used }) => used)}`);
      for (const torrent of torrents) run({ does: "stop", who: torrents.indexOf(torrent), count: 0 });
      assertEquals([quota.used, quota.dialling, quota.waiting], [0, 0, 0]);
    }),
    { numRuns: tries(200) },
  );
});
