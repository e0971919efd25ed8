import { assert, assertEquals, assertGreater } from "@std/assert";
import type { Bytes } from "../../src/base/bytes.ts";
import { utf8 } from "../../src/base/bytes.ts";
import type { ShoalError } from "../../src/base/errors.ts";
import { InfoHash, InfoHashV2 } from "../../src/base/info_hash.ts";
import { InfoHashes } from "../../src/base/info_hashes.ts";
import { denoPlatform } from "../../src/platform/deno_platform.ts";
import type { Database, Platform } from "../../src/platform/platform.ts";
import { FORGET_MS, type KeptTorrent, SessionStore, type TorrentRecord } from "../../src/session/session_store.ts";
import { MIGRATIONS } from "../../src/session/store_schema.ts";
import { MemoryDatabases, type Mortal } from "../support/memory_database.ts";
import { MemoryFiles } from "../support/memory_files.ts";
import { seededRandom } from "../support/random.ts";
import { withScratch } from "../support/scratch.ts";
import { RECORD } from "../support/torrent_record.ts";
import { VirtualClock } from "../support/virtual_clock.ts";

const DAY = 24 * 60 * 60 * 1000;
const PATH = "/state/session.db";
/** Number of databases that are damaged in each way. */
const ROUNDS = Number(Deno.env.get("DAMAGE_ROUNDS") ?? 3);

/** A torrent whose record a test can change at any time. */
class FakeTorrent implements KeptTorrent {
  readonly infoHash: InfoHash;
  infoHashes: InfoHashes;
  readonly traffic = { downloaded: 0, uploaded: 0 };
  now: TorrentRecord;
  file: Bytes | null = null;
  isDescribed = false;
  asked = 0;

  constructor(number: number, record: Partial<TorrentRecord> = {}) {
    this.infoHash = new InfoHash(new Uint8Array(20).fill(number));
    this.infoHashes = new InfoHashes(this.infoHash, null);
    this.now = { ...RECORD, ...record };
  }

  record(): TorrentRecord {
    this.asked++;
    return this.now;
  }

  torrentFile(): Bytes | null {
    return this.file;
  }
}

/** A disk, a clock, and programs that start and end. */
class World {
  readonly clock = new VirtualClock();
  readonly files = new MemoryFiles({ wallClock: () => this.clock.wallClock() });
  readonly databases = new MemoryDatabases();
  readonly warnings: ShoalError[] = [];
  #program = { dead: false };

  platform(
    program: Mortal = this.#program,
  ): Pick<Platform, "files" | "openDatabase" | "now" | "wallClock" | "after" | "yieldToEventLoop"> {
    return {
      files: this.files,
      now: () => this.clock.now(),
      wallClock: () => this.clock.wallClock(),
      after: (milliseconds, run) => this.clock.after(milliseconds, () => program.dead || run()),
      yieldToEventLoop: () => Promise.resolve(),
      openDatabase: (path) => Promise.resolve(this.databases.open(path, program)),
    };
  }

  async open(platform = this.platform()): Promise<SessionStore> {
    const onWarning = (error: ShoalError) => void this.warnings.push(error);
    const store = new SessionStore({ platform, stateFolder: "/state", onWarning });
    await store.open();
    await this.clock.play(0);
    return store;
  }

  /** Ends the program as SIGKILL does, and starts another. */
  kill(): void {
    this.#program.dead = true;
    this.#program = { dead: false };
  }

  database(): Database {
    return this.databases.open(PATH);
  }
}

Deno.test("SessionStore keeps a torrent with everything that was chosen for it", async () => {
  const world = new World();
  const store = await world.open();
  const record: TorrentRecord = {
    name: "n\u00e4me",
    magnet: "magnet:?xt=urn:btih:0101010101010101010101010101010101010101",
    folder: "/dl/here",
    seedOnly: true,
    sequential: true,
    files: [0, 2, 5],
    maxDown: 1_000_000,
    maxUp: 1,
    trackers: [["http://a.example/announce?key=1", "udp://b.example:1"], ["http://c.example/"]],
    priorities: [[0, "high"], [5, "low"]],
    state: "paused",
    error: "no space is left",
    done: null,
    oneOff: false,
  };
  const torrent = new FakeTorrent(1, record);
  const addedAt = world.clock.wallClock();
  store.add(torrent);
  await store.close();
  const again = await world.open();
  const { done: _, ...kept } = record;
  const [stored, ...others] = again.torrents();
  assertEquals(stored?.infoHash.hex, torrent.infoHash.hex);
  const { infoHash, infoHashes } = torrent;
  const rest = { addedAt, touchedAt: addedAt, doneAt: null, downloaded: 0, uploaded: 0, infoHash, infoHashes };
  assertEquals({ ...stored, infoHash: torrent.infoHash }, { ...kept, ...rest });
  assertEquals(others, []);
  await again.close();
  assertEquals(world.warnings, []);
  assertEquals(world.clock.pending, 0);
});

Deno.test("SessionStore takes the torrents of the first version's database for v1 torrents", async () => {
  const world = new World();
  const database = world.database();
  database.exec(MIGRATIONS[0]!);
  database.exec(
    `INSERT INTO torrents VALUES (x'${"07".repeat(20)}', 'old', NULL, '/dl', 0, 0, NULL, '[]', NULL, NULL, '[]',
    'running', NULL, 0, 1, NULL, 1, 5, 6); PRAGMA user_version = 1`,
  );
  const store = await world.open();
  const [stored] = store.torrents();
  assertEquals([stored?.name, stored?.downloaded, stored?.infoHashes.v1?.hex], ["old", 5, "07".repeat(20)]);
  assertEquals([stored?.infoHashes.v2, world.warnings], [null, []]);
  await store.close();
});

/** Returns the stored torrents: name, key and both info-hashes, in hex. */
function rowsOf(store: SessionStore): (string | undefined)[][] {
  return store.torrents().map(({ name, infoHash, infoHashes: { v1, v2 } }) => [name, infoHash.hex, v1?.hex, v2?.hex]);
}

/** Opens a store in which an earlier run has left a link with the info-hashes of two torrents. */
async function mixedUp(): Promise<{ world: World; v2: InfoHashV2; store: SessionStore }> {
  const world = new World();
  const v2 = new InfoHashV2(new Uint8Array(32).fill(2));
  const wrong = new FakeTorrent(1, { name: "wrong" });
  wrong.infoHashes = new InfoHashes(wrong.infoHash, v2);
  const before = await world.open();
  before.add(wrong);
  await before.close();
  return { world, v2, store: await world.open() };
}

Deno.test("SessionStore keeps two torrents apart that a link of an earlier run mixed up, with the info-hashes that they have", async () => {
  const { world, v2, store } = await mixedUp();
  const byV1 = new FakeTorrent(1, { name: "by v1" });
  const byV2 = new FakeTorrent(2, { name: "by v2" });
  byV2.infoHashes = new InfoHashes(null, v2);
  for (const torrent of [byV2, byV1]) store.add(torrent);
  await store.flush();
  assertEquals(rowsOf(store).map(([name]) => name), ["by v1", "by v2"]);
  for (const torrent of [byV1, byV2]) {
    torrent.isDescribed = true;
    torrent.now = { ...torrent.now, sequential: true };
    store.markDirty(torrent.infoHash.hex);
  }
  await store.flush();
  assertEquals(rowsOf(store), [
    ["by v1", byV1.infoHash.hex, byV1.infoHash.hex, undefined],
    ["by v2", byV2.infoHash.hex, undefined, v2.hex],
  ]);
  await store.close();
  assertEquals(world.warnings, []);
});

Deno.test("SessionStore gives a torrent a row of its own if the one of an earlier run turns out to be of another torrent", async () => {
  const { world, v2, store } = await mixedUp();
  const byV2 = new FakeTorrent(2, { name: "by v2" });
  byV2.infoHashes = new InfoHashes(null, v2);
  store.add(byV2);
  await store.flush();
  byV2.isDescribed = true;
  byV2.now = { ...byV2.now, sequential: true };
  store.markDirty(byV2.infoHash.hex);
  await store.flush();
  assertEquals(rowsOf(store).at(-1), ["by v2", byV2.infoHash.hex, undefined, v2.hex]);
  await store.close();
  assertEquals(world.warnings, []);
});

Deno.test("SessionStore knows a hybrid by either info-hash, and forgets it by either", async () => {
  const world = new World();
  const v2 = new InfoHashV2(new Uint8Array(32).fill(2));
  const byV1 = new FakeTorrent(1);
  byV1.file = utf8("torrent");
  const byV2 = new FakeTorrent(2);
  byV2.infoHashes = new InfoHashes(null, v2);
  {
    const store = await world.open();
    store.add(byV1);
    byV1.infoHashes = new InfoHashes(byV1.infoHash, v2); // once the metadata is known
    store.markDirty(byV1.infoHash.hex);
    await store.close();
  }
  {
    const store = await world.open();
    assertEquals(await store.load(v2.truncated), byV1.file);
    store.add(byV2);
    byV2.now = { ...RECORD, name: "by v2" };
    await store.flush();
    const [stored, ...others] = store.torrents();
    assertEquals([stored?.name, stored?.infoHash.hex, others], ["by v2", byV1.infoHash.hex, []]);
    assertEquals([stored?.infoHashes.v1?.hex, stored?.infoHashes.v2?.hex], [byV1.infoHash.hex, v2.hex]);
    store.remove(byV2.infoHash);
    await store.flush();
    assertEquals([store.torrents(), await store.load(byV1.infoHash)], [[], null]);
    await store.close();
  }
  assertEquals(world.warnings, []);
});

Deno.test("SessionStore writes a change at once, then once a second at most, and nothing when nothing has changed", async () => {
  const world = new World();
  const store = await world.open();
  const torrent = new FakeTorrent(1);
  const name = () => world.database().prepare("SELECT name FROM torrents").get()?.["name"];
  store.add(torrent);
  await world.clock.play(50);
  assertEquals(name(), "a.bin");
  for (let i = 1; i <= 20; i++) {
    torrent.now = { ...RECORD, name: `name ${i}` };
    store.markDirty(torrent.infoHash.hex);
    await world.clock.play(10);
  }
  assertEquals(name(), "a.bin");
  const asked = torrent.asked;
  await world.clock.play(1000);
  assertEquals([name(), torrent.asked - asked], ["name 20", 1]);
  await world.clock.play(60_000);
  assertEquals(torrent.asked - asked, 1);
  await store.close();
});

Deno.test("SessionStore adds traffic to sums every few seconds, so that a kill loses no more than that", async () => {
  const world = new World();
  const store = await world.open();
  const [one, two] = [new FakeTorrent(1), new FakeTorrent(2)];
  for (const torrent of [one, two]) store.add(torrent);
  for (let i = 0; i < 20; i++) {
    one.traffic.downloaded += 1000;
    two.traffic.uploaded += 10;
    await world.clock.play(1000);
  }
  world.kill();
  const again = await world.open();
  assert(again.totals.downloaded >= 14_000 && again.totals.downloaded <= 20_000, `${again.totals.downloaded}`);
  const before = again.totals;
  const [first, second] = again.torrents();
  assertEquals([first!.downloaded, first!.uploaded, second!.uploaded], [before.downloaded, 0, before.uploaded]);
  const next = new FakeTorrent(1);
  again.add(next);
  next.traffic.downloaded = 5;
  await again.close();
  const third = await world.open();
  assertEquals(third.totals, { ...before, downloaded: before.downloaded + 5 });
  assertEquals(third.torrents()[0]!.downloaded, first!.downloaded + 5);
  await third.close();
});

Deno.test("SessionStore remembers when a torrent was added and done, whatever is added again", async () => {
  const world = new World();
  const run = async (done: boolean | null) => {
    const store = await world.open();
    const torrent = new FakeTorrent(1, { done });
    store.add(torrent);
    await store.close();
    await world.clock.play(DAY);
    const { addedAt, doneAt } = (await world.open()).torrents()[0]!;
    return [addedAt, doneAt];
  };
  const start = world.clock.wallClock();
  assertEquals(await run(null), [start, null]);
  assertEquals(await run(true), [start, start + DAY]);
  assertEquals(await run(null), [start, start + DAY], "while it is checked nobody knows better");
  assertEquals(await run(true), [start, start + DAY]);
  assertEquals(await run(false), [start, null], "more files are wanted");
});

Deno.test("SessionStore.leave() keeps a torrent as it was last, remove() doesn't", async () => {
  const world = new World();
  const store = await world.open();
  const [one, two, three] = [1, 2, 3].map((number) => new FakeTorrent(number));
  for (const torrent of [one!, two!, three!]) {
    torrent.file = utf8(`file ${torrent.infoHash.hex}`);
    store.add(torrent);
  }
  await store.flush();
  one!.now = { ...RECORD, folder: "/elsewhere" };
  store.leave(one!.infoHash);
  store.remove(two!.infoHash);
  store.remove(three!.infoHash);
  store.add(three!); // the user adds the torrent again
  await store.close();
  const again = await world.open();
  assertEquals(again.torrents().map(({ folder }) => folder), ["/elsewhere", "/dl"]);
  assertEquals(await again.load(one!.infoHash), one!.file);
  assertEquals(await again.load(two!.infoHash), null);
  assertEquals(await again.load(three!.infoHash), three!.file);
  await again.close();
});

Deno.test("SessionStore leaves a lasting torrent as it is when another process has it for one run, but counts", async () => {
  const world = new World();
  const lasting = await world.open();
  lasting.add(new FakeTorrent(1, { folder: "/lasting" }));
  await lasting.flush();
  const guest = await world.open();
  const torrent = new FakeTorrent(1, { folder: "/once", oneOff: true });
  guest.add(torrent);
  torrent.traffic.downloaded = 7;
  await guest.close();
  const [stored] = lasting.torrents();
  assertEquals([stored!.folder, stored!.oneOff, stored!.downloaded], ["/lasting", false, 7]);
  await lasting.close();
});

Deno.test("SessionStore forgets that a torrent's files were to be removed when another process has it for one run", async () => {
  const world = new World();
  const killed = await world.open();
  killed.add(new FakeTorrent(1, { folder: "/lasting", state: "removing" }));
  await killed.flush();
  const guest = await world.open();
  guest.add(new FakeTorrent(1, { folder: "/once", oneOff: true }));
  await guest.close();
  const [stored] = killed.torrents();
  assertEquals([stored!.folder, stored!.oneOff, stored!.state], ["/once", true, "running"]);
  await killed.close();
});

Deno.test("SessionStore writes many torrents in short transactions", async () => {
  const world = new World();
  const lengths: number[] = [];
  const platform = world.platform();
  const store = await world.open({
    ...platform,
    async openDatabase(path) {
      const inner = await platform.openDatabase!(path);
      return {
        ...inner,
        transaction: (work) => {
          const count = () => Number(inner.prepare("SELECT count(*) AS n FROM torrents").get()?.["n"] ?? 0);
          const before = lengths.length === 0 ? 0 : count();
          const result = inner.transaction(work);
          lengths.push(count() - before);
          return result;
        },
      };
    },
  });
  for (let i = 0; i < 250; i++) {
    const torrent = new FakeTorrent(i);
    if (i % 10 === 0) torrent.file = new Uint8Array(600_000);
    store.add(torrent);
  }
  await store.flush();
  assertEquals(lengths.reduce((sum, length) => sum + length, 0), 250);
  assert(lengths.every((length) => length <= 100), `${lengths}`);
  assertGreater(lengths.length, 8, "large torrent files make smaller transactions");
  await store.close();
});

Deno.test("SessionStore waits for another process that writes, and loses nothing", async () => {
  await withScratch(async (folder) => {
    const warnings: ShoalError[] = [];
    const options = {
      platform: denoPlatform,
      stateFolder: folder,
      onWarning: (error: ShoalError) => void warnings.push(error),
    };
    const store = new SessionStore(options);
    await store.open();
    const other = await denoPlatform.openDatabase!(`${folder}/session.db`);
    other.exec("BEGIN IMMEDIATE");
    store.add(new FakeTorrent(1));
    const flushed = store.flush();
    let tries = 0;
    while (tries < 3) {
      await new Promise<void>((resolve) => void denoPlatform.after(10, resolve));
      tries++;
    }
    other.exec("COMMIT");
    await flushed;
    assertEquals(other.prepare("SELECT name FROM torrents").all().map(({ name }) => name), ["a.bin"]);
    other.close();
    await store.close();
    assertEquals(warnings, []);
  });
});

Deno.test("SessionStore that can't write says so once, holds nothing up, and writes when it can", async () => {
  const world = new World();
  const store = await world.open();
  const database = world.database();
  database.exec("PRAGMA query_only = 1");
  const torrent = new FakeTorrent(1);
  store.add(torrent);
  for (let i = 0; i < 5; i++) {
    store.markDirty(torrent.infoHash.hex);
    await world.clock.play(20_000);
  }
  const what = "torrents and their settings can't be kept for the next run";
  assertEquals(world.warnings.map((error) => [error.what, error.why]), [[what, "it can't be written"]]);
  database.exec("PRAGMA query_only = 0");
  await world.clock.play(60_000);
  assertEquals(store.torrents().length, 1);
  await store.close();
  assertEquals(world.warnings.length, 1);
});

Deno.test("SessionStore without a folder, or without a database, keeps nothing and says nothing", async () => {
  const world = new World();
  const { openDatabase: _, ...bare } = world.platform();
  const warnings: ShoalError[] = [];
  const onWarning = (error: ShoalError) => void warnings.push(error);
  for (
    const options of [{ platform: bare, stateFolder: "/state" }, { platform: world.platform(), stateFolder: null }]
  ) {
    const store = new SessionStore({ ...options, onWarning });
    await store.open();
    const torrent = new FakeTorrent(1);
    store.add(torrent);
    store.save(torrent.infoHash, utf8("x"));
    store.markDirty(torrent.infoHash.hex);
    assertEquals([store.torrents(), await store.load(torrent.infoHash), store.isOpen], [[], null, false]);
    store.remove(torrent.infoHash);
    await store.close();
  }
  assertEquals(warnings, []);
  assertEquals(world.clock.pending, 0);
});

Deno.test("SessionStore passes over rows that make no sense", async () => {
  const world = new World();
  const store = await world.open();
  const good = new FakeTorrent(1);
  for (const torrent of [good, ...[2, 3, 4, 5, 6].map((number) => new FakeTorrent(number))]) store.add(torrent);
  await store.close();
  const database = world.database();
  const set = (column: string, value: string | Uint8Array, number: number) =>
    database.prepare(`UPDATE torrents SET ${column} = ? WHERE info_hash = ?`).run(
      value,
      new Uint8Array(20).fill(number),
    );
  set("files", "[-1]", 2);
  set("trackers", "[[]]", 3);
  set("state", "dancing", 4);
  set("priorities", "{", 5);
  set("info_hash", new Uint8Array(3), 6);
  const again = await world.open();
  assertEquals(again.torrents().map(({ infoHash }) => infoHash.hex), [good.infoHash.hex]);
  assertEquals(world.warnings.map(({ why }) => why), ["5 torrents in it make no sense"]);
  await again.close();
});

Deno.test("SessionStore keeps folders for a run that starts elsewhere", async () => {
  await withScratch(async (stateFolder) => {
    const onWarning = (error: ShoalError) => assert(false, error.message);
    const store = new SessionStore({ platform: denoPlatform, stateFolder, onWarning });
    await store.open();
    for (const [number, folder] of [".", "./a/b", "c", "/d"].entries()) store.add(new FakeTorrent(number, { folder }));
    await store.flush();
    const here = Deno.cwd();
    assertEquals(store.torrents().map(({ folder }) => folder), [here, `${here}/a/b`, `${here}/c`, "/d"]);
    await store.close();
  });
});

Deno.test("SessionStore brings what an older version made up to date, and leaves a newer one's alone", async () => {
  const world = new World();
  await (await world.open()).close();
  world.database().exec(`PRAGMA user_version = ${MIGRATIONS.length + 1}`);
  const store = await world.open();
  assertEquals(store.isOpen, false);
  assert(world.warnings[0]!.why.startsWith("a newer version of Shoal made it"), world.warnings[0]!.why);
  await store.close();
  world.database().exec("PRAGMA user_version = 0; DROP TABLE torrents; DROP TABLE metainfo; DROP TABLE session");
  const again = await world.open();
  assertEquals([again.isOpen, again.torrents(), world.warnings.length], [true, [], 1]);
  await again.close();
});

Deno.test("SessionStore takes over the torrents that an older version kept, once", async () => {
  await withScratch(async (folder) => {
    const name = "02b4f8fb0bb978979a6663ef29e25e6537d3f413";
    const old = new URL("old_state/", import.meta.url);
    const there = [`torrents/${name}.torrent`, `${name}-3c59b17d.resume`, "dht"];
    Deno.mkdirSync(`${folder}/torrents`);
    for (const path of there) Deno.copyFileSync(new URL(path, old), `${folder}/${path}`);
    Deno.writeTextFileSync(`${folder}/torrents/${name}.torrent.0a1b2c3d.new`, "a draft that a kill has left");
    const warnings: ShoalError[] = [];
    const options = {
      platform: denoPlatform,
      stateFolder: folder,
      onWarning: (error: ShoalError) => void warnings.push(error),
    };
    const infoHash = new InfoHash(Uint8Array.from(name.match(/../g)!, (pair) => parseInt(pair, 16)));
    const file = Deno.readFileSync(`${folder}/torrents/${name}.torrent`);
    for (let run = 0; run < 2; run++) {
      const store = new SessionStore(options);
      await store.open();
      assertEquals(await store.load(infoHash), file);
      await store.close();
      const left = [...Deno.readDirSync(folder)].map((entry) => entry.name).sort();
      assertEquals(left, [`${name}-3c59b17d.resume`, "dht", "session.db"]);
    }
    assertEquals(warnings, []);
  });
});

Deno.test("SessionStore leaves files in the old folder that aren't Shoal's", async () => {
  const world = new World();
  const name = "01".repeat(20);
  world.files.put(`/state/torrents/${name}.torrent`, utf8("a torrent"));
  world.files.put("/state/torrents/mine.torrent", utf8("the user's"));
  const store = await world.open();
  assertEquals(await store.load(new InfoHash(new Uint8Array(20).fill(1))), utf8("a torrent"));
  await store.close();
  assertEquals(world.files.paths(), ["/state/torrents/mine.torrent"]);
});

Deno.test("SessionStore forgets what belongs to no torrent after 30 days, and touches nothing else", async () => {
  const world = new World();
  const store = await world.open();
  const [lasting, once, busy, link] = [
    new FakeTorrent(1),
    new FakeTorrent(2, { oneOff: true }),
    new FakeTorrent(3, { oneOff: true }),
    new FakeTorrent(4),
  ];
  for (const torrent of [lasting, once]) store.add(torrent);
  store.save(link.infoHash, utf8("what a link stands for"));
  await store.close();
  const resume = (torrent: FakeTorrent) => `/state/${torrent.infoHash.hex}-0a1b2c3d.resume`;
  const gone = [
    resume(link),
    `${resume(lasting)}.12345678.new`,
    "/state/dht.new",
    "/state/session.db.broken-17",
    "/state/session.db.broken-17-wal",
  ];
  const kept = [
    resume(lasting),
    "/state/dht",
    "/state/notes.txt",
    "/state/x.resume",
    "/state/folder/a.resume",
    "/dl/a.new",
  ];
  for (const path of [...gone, ...kept, resume(once)]) world.files.put(path, utf8(path));
  await world.clock.play(FORGET_MS - DAY);
  const paths = () => world.files.paths();
  const other = await world.open();
  other.add(busy);
  await world.clock.play(0);
  assertEquals(paths(), [...gone, ...kept, resume(once)].sort(), "a day too early");
  for (let day = 0; day < 3; day++) await world.clock.play(DAY + 60_000);
  world.files.put(resume(busy), utf8("new"));

  const again = await world.open();
  await again.flush();
  await world.clock.play(0);
  assertEquals(
    again.torrents().map(({ infoHash }) => infoHash.hex),
    [lasting, busy].map(({ infoHash }) => infoHash.hex),
  );
  assertEquals(paths(), [...kept, resume(busy)].sort());
  assertEquals(await again.load(link.infoHash), null);
  await other.close();
  await again.close();
  assertEquals(world.warnings, []);
});

/** Ways to damage a database file. */
const DAMAGES: Readonly<Record<string, (path: string, bytes: Bytes, random: () => number) => void>> = {
  "cut off": (path, bytes, random) => Deno.writeFileSync(path, bytes.subarray(0, Math.floor(random() * bytes.length))),
  "with other bytes in it": (path, bytes, random) => {
    const damaged = bytes.slice();
    const at = Math.floor(random() * bytes.length);
    for (let i = at; i < Math.min(at + 2000, bytes.length); i++) damaged[i] = Math.floor(random() * 256);
    Deno.writeFileSync(path, damaged);
  },
  "of zeros": (path, bytes) => Deno.writeFileSync(path, new Uint8Array(bytes.length)),
  "of noise": (path, bytes, random) => Deno.writeFileSync(path, bytes.map(() => Math.floor(random() * 256))),
  "of no bytes": (path) => Deno.writeFileSync(path, new Uint8Array(0)),
  "beside a log of noise": (path, bytes, random) =>
    Deno.writeFileSync(`${path}-wal`, bytes.map(() => Math.floor(random() * 256))),
};

for (const [damage, make] of Object.entries(DAMAGES)) {
  Deno.test(`SessionStore begins anew after a database that is ${damage}, or uses what is left`, async () => {
    await withScratch(async (folder) => {
      const random = seededRandom(1);
      let damaged = 0;
      for (let round = 0; round < ROUNDS; round++) {
        const stateFolder = `${folder}/${round}`;
        const path = `${stateFolder}/session.db`;
        const warnings: ShoalError[] = [];
        const open = async () => {
          const store = new SessionStore({
            platform: denoPlatform,
            stateFolder,
            onWarning: (error) => void warnings.push(error),
          });
          await store.open();
          return store;
        };
        const first = await open();
        for (let i = 0; i < 40; i++) {
          const torrent = new FakeTorrent(i);
          torrent.file = new Uint8Array(2000).fill(i);
          first.add(torrent);
        }
        await first.close();
        make(path, Deno.readFileSync(path), random);

        const second = await open();
        assert(second.isOpen, warnings[0]?.message);
        for (let i = 0; i < 40; i++) await second.load(new FakeTorrent(i).infoHash);
        const torrents = Array.from({ length: 60 }, (_, i) => new FakeTorrent(i, { name: `again ${i}` }));
        for (const torrent of torrents) {
          torrent.file = new Uint8Array(2000).fill(7);
          second.add(torrent);
        }
        await second.close();
        const third = await open();
        assertEquals(third.torrents().filter(({ name }) => name.startsWith("again")).length, 60, `round ${round}`);
        assertEquals(third.torrents().length, 60);
        await third.close();
        const aside = [...Deno.readDirSync(stateFolder)].filter(({ name }) => /\.broken-\d+$/.test(name)).length;
        damaged += aside;
        assertEquals(warnings.length, aside, warnings.map(({ message }) => message).join("; "));
      }
      const isHarmless = damage === "of no bytes" || damage === "beside a log of noise";
      if (isHarmless) assertEquals(damaged, 0);
      else assertGreater(damaged, 0);
    });
  });
}
