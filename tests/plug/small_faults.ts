/**
 * Injects faults into file system calls that are not part of a download: the stores of metadata and of the DHT, the
 * database, creating a torrent, reading a blocklist, folder locks, file names, and the operations of a storage. Every
 * call has every fault, one per run, and the result may only be a warning or a clear error.
 *
 * @module
 */

import { assert, assertEquals, assertInstanceOf } from "@std/assert";
import { utf8 } from "../../src/base/bytes.ts";
import { ReadBudget } from "../../src/base/read_budget.ts";
import { ShoalError } from "../../src/base/errors.ts";
import { InfoHash } from "../../src/base/info_hash.ts";
import { InfoHashes } from "../../src/base/info_hashes.ts";
import { parseMagnet, parseMetainfo } from "../../src/metainfo/mod.ts";
import { DatabaseError } from "../../src/platform/database_error.ts";
import type { Platform } from "../../src/platform/platform.ts";
import type { StoredTorrent } from "../../src/session/store_schema.ts";
import type { TorrentHandle as SessionTorrent } from "../../src/swarm/torrent_handle.ts";
import { restoreTorrents } from "../../src/session/torrent_record.ts";
import { readBlocklist } from "../../src/session/blocklist.ts";
import { createTorrent } from "../../src/session/create_torrent.ts";
import { DhtService } from "../../src/session/dht_service.ts";
import { findMetadata } from "../../src/session/metadata_sources.ts";
import { FORGET_MS, SessionStore, type TorrentRecord } from "../../src/session/session_store.ts";
import { FolderLocks } from "../../src/storage/folder_locks.ts";
import { MemoryDatabases } from "../support/memory_database.ts";
import { MemoryFiles } from "../support/memory_files.ts";
import { DatagramSocket } from "../../src/transport/datagram_socket.ts";
import { RECORD as PLAIN } from "../support/torrent_record.ts";
import { VERSIONS } from "../support/torrents.ts";
import { VirtualClock } from "../support/virtual_clock.ts";
import { folderToOpen } from "../../src/swarm/incomplete_folder.ts";
import { readPiece, sha1, storageOf, Torrent } from "../storage/fixture.ts";
import { type Call, FaultFiles, type Plan, plansFor } from "./fault_files.ts";
import { finishing, platformOf } from "./memory_lab.ts";
import { MemoryNetwork } from "./memory_network.ts";
import { operationChores, runOperation } from "./operation_faults.ts";

const INFO = utf8(`d6:lengthi5e4:name1:x12:piece lengthi16384e6:pieces20:${"p".repeat(20)}e`);

const RECORD: TorrentRecord = { ...PLAIN, name: "x", folder: "here" };

/** Work that uses files. Returns the number of warnings. */
type Chore = (files: FaultFiles, clock: VirtualClock, memory: MemoryFiles) => Promise<number>;

/**
 * Resolves a magnet link with metadata from peers, then again, as in another run, with the stored metadata if it was
 * saved. Opening the store takes over files of an older version, and removes files that aren't needed.
 */
const magnetChore: Chore = async (files, clock) => {
  const warnings: unknown[] = [];
  const magnet = parseMagnet(new InfoHash(sha1(INFO)).hex);
  const databases = new MemoryDatabases();
  const platform: Platform = {
    ...platformOf(clock, new MemoryNetwork(clock, 1024), files),
    openDatabase: (path) => Promise.resolve(databases.open(path)),
  };
  for (let run = 0; run < 2; run++) {
    const store = new SessionStore({
      platform,
      stateFolder: "/state",
      onWarning: (error) => void warnings.push(error),
    });
    await store.open();
    const meta = await findMetadata(magnet, {
      given: new Promise(() => {}),
      reads: new ReadBudget(1 << 20),
      platform,
      store,
      portable: false,
      signal: new AbortController().signal,
      askPeers: () => Promise.resolve(INFO),
      askForHashes: () => new Promise(() => {}),
      onWarning: (error) => void warnings.push(error),
    });
    assertEquals(meta.infoHash.hex, magnet.infoHash.hex);
    assertEquals(parseMetainfo(new TextEncoder().encode(`d4:info${new TextDecoder().decode(meta.info)}e`)).name, "x");
    await store.close();
  }
  return warnings.length;
};

/**
 * Restores a complete torrent whose folder is missing. The torrent is paused with a warning, unless the check for the
 * folder fails, which leaves the error to opening the torrent.
 */
const restoreChore: Chore = async (files) => {
  const kept: StoredTorrent = {
    ...RECORD,
    folder: "/unmounted",
    infoHash: new InfoHash(sha1(INFO)),
    infoHashes: new InfoHashes(new InfoHash(sha1(INFO)), null),
    addedAt: 1,
    doneAt: 1,
    touchedAt: 1,
    downloaded: 0,
    uploaded: 0,
  };
  let isPaused = false;
  const torrent = { pause: () => void (isPaused = true) } as unknown as SessionTorrent;
  const warnings: unknown[] = [];
  const restored = await restoreTorrents({
    torrents: () => [kept],
    load: () => Promise.resolve(null),
    holds: () => false,
  }, {
    session: { get: () => null, add: () => Promise.resolve(torrent), remove: () => Promise.resolve() },
    portable: false,
    files,
    isOver: () => false,
    yieldToEventLoop: () => Promise.resolve(),
    onWarning: (error) => void warnings.push(error),
  });
  assertEquals([restored, isPaused], [[torrent], warnings.length === 1]);
  return 0;
};

/** Opens a store with a damaged database, which is moved aside with a warning, and adds a torrent to a new database. */
const databaseChore: Chore = async (files, clock) => {
  const warnings: unknown[] = [];
  const databases = new MemoryDatabases();
  const path = "/state/session.db";
  const platform: Platform = {
    ...platformOf(clock, new MemoryNetwork(clock, 1024), files),
    async openDatabase() {
      const isAside = files.calls.some((call) => call.operation === "rename" && !files.failed.includes(call));
      if (!isAside) throw new DatabaseError("corrupt", { what: "cannot open the database", path });
      return await Promise.resolve(databases.open(path));
    },
  };
  const store = new SessionStore({ platform, stateFolder: "/state", onWarning: (error) => void warnings.push(error) });
  await store.open();
  store.add({
    infoHash: new InfoHash(new Uint8Array(20)),
    infoHashes: new InfoHashes(new InfoHash(new Uint8Array(20)), null),
    isDescribed: false,
    record: () => RECORD,
    torrentFile: () => null,
    traffic: { downloaded: 0, uploaded: 0 },
  });
  await store.flush();
  if (files.failed.length === 0) assertEquals(store.torrents().map(({ folder }) => folder), ["/here"]);
  await store.close();
  return Math.max(0, warnings.length - 1);
};

/** Starts and stops the DHT twice. */
const dhtChore: Chore = async (files, clock) => {
  const warnings: unknown[] = [];
  const inner = platformOf(clock, new MemoryNetwork(clock, 1024), files);
  const platform: Platform = { ...inner, net: Object.assign(Object.create(inner.net), { openUdp: silentSocket }) };
  for (let run = 0; run < 2; run++) {
    const socket = new DatagramSocket({ platform, place: () => ({ host: "10.0.0.1", port: 6881 }) });
    const service = await DhtService.start({
      platform,
      socket,
      port: 6881,
      reachability: { isMapped: () => false, portFor: () => 6881 },
      bootstrap: [],
      stateFolder: "/state",
      onExternalAddress() {},
      onWarning: (error) => void warnings.push(error),
    });
    await service?.stop();
    socket.close();
  }
  return warnings.length;
};

/** Chores that create a torrent of a folder with a link, or fail with an error that names a path. */
const createChores = VERSIONS.map((version): Chore => async (files, clock) => {
  const platform = platformOf(clock, new MemoryNetwork(clock, 1024), files);
  try {
    const { meta } = await createTorrent("/data", { platform, version, trackers: [], webSeeds: [] });
    const paths = meta.files.filter(({ pad }) => !pad).map(({ path }) => path.join("/"));
    assertEquals(paths, ["data/a", "data/link", "data/sub/b"]);
    return 0;
  } catch (error) {
    assertInstanceOf(error, ShoalError);
    assertEquals(error.kind, "storage");
    assert(error.where.startsWith("/data"), error.message);
    return 1;
  }
});

/** Reads a blocklist, or fails with an error that names the file. */
const blocklistChore: Chore = async (files) => {
  try {
    assertEquals((await readBlocklist("/data/list", files)).ranges.has("10.1.2.3"), true);
    return 0;
  } catch (error) {
    assertInstanceOf(error, ShoalError);
    assertEquals([error.kind, error.where], ["storage", "/data/list"]);
    return 1;
  }
};

/** Two processes claim the same torrent in the same folder, in which a killed process has left a claim. */
const lockChore: Chore = async (files) => {
  const infoHash = new InfoHash(new Uint8Array(20));
  try {
    const [ours, theirs] = [new FolderLocks(files), new FolderLocks(files)];
    const claim = await ours.take("/data", { infoHash, now: 1 });
    const second = await theirs.take("/data", { infoHash, now: 2 });
    assert(claim === null || second === null);
    await claim?.release();
    await second?.release();
    return 0;
  } catch (error) {
    assertInstanceOf(error, ShoalError);
    assertEquals(error.kind, "storage");
    return 1;
  }
};

/**
 * A torrent whose file is on disk under the name in the torrent, not Shoal's safe name, with a needless `.part` file.
 */
const NAMED = new Torrent(64, [{ path: "t/x_", length: 100 }]);
const namesChore: Chore = async (files, clock) => {
  const warnings: unknown[] = [];
  try {
    for (let run = 0; run < 2; run++) {
      const storage = storageOf(NAMED, files, {
        clock,
        folder: "/data",
        pathsOf: () => [["t", "x\t"], ["t", "x_"]],
        onWarning: (error) => void warnings.push(error),
      });
      try {
        assertEquals((await storage.open("check", { onProgress() {} })).count, 2);
      } finally {
        await storage.close();
      }
    }
    return warnings.length;
  } catch (error) {
    assertInstanceOf(error, ShoalError);
    assertEquals(error.kind, "storage");
    return 1;
  }
};

/** A torrent of one file, and one of two. */
const LONE = new Torrent(64, [{ path: "x", length: 100 }]);
const PAIR = new Torrent(64, [{ path: "t/a", length: 128 }, { path: "t/z", length: 128 }]);
/**
 * Seeds an unfinished file that is named itself, lists a folder that holds nothing of a torrent, and seeds an unfinished
 * file that another process finishes meanwhile.
 */
const seedChore: Chore = async (files, clock, memory) => {
  try {
    for (const [folder, pieces] of [["/data/x", 2], ["/empty", 0]] as const) {
      const storage = storageOf(LONE, files, { clock, folder, readOnly: true });
      try {
        assertEquals((await storage.open("check", { onProgress() {} })).count, pieces);
        const searched = await storage.searched();
        assertEquals(searched?.holds ?? null, pieces === 0 ? ["other"] : null);
      } finally {
        await storage.close();
      }
    }
    const storage = storageOf(PAIR, files, { clock, folder: "/seed", readOnly: true, maxOpenFiles: 1 });
    try {
      assertEquals((await storage.open("check", { onProgress() {} })).count, 4);
      memory.put("/seed/t/a", memory.get("/seed/t/a.part")!);
      memory.delete("/seed/t/a.part");
      assertEquals(await readPiece(PAIR, storage, 0), PAIR.piece(0));
    } finally {
      await storage.close();
    }
    return 0;
  } catch (error) {
    assertInstanceOf(error, ShoalError);
    assertEquals(error.kind, "storage");
    return 1;
  }
};

/** Chooses between a folder for unfinished data, which is empty, and one for complete data, which is to be made. */
const incompleteChore: Chore = async (files) => {
  const meta = parseMetainfo(new TextEncoder().encode(`d4:info${new TextDecoder().decode(INFO)}e`));
  try {
    const folders = { folder: "/out", incomplete: "/unfinished" };
    assertEquals(await folderToOpen(meta, { files, infoHash: meta.infoHash, ...folders }), "/unfinished");
    return 0;
  } catch (error) {
    assertInstanceOf(error, ShoalError);
    assertEquals(error.kind, "storage");
    return 1;
  }
};

/** Returns a UDP socket that receives nothing. */
function silentSocket() {
  const closed = Promise.withResolvers<null>();
  return {
    address: { host: "10.0.0.1", port: 6881 },
    send: () => Promise.resolve(),
    receive: () => closed.promise,
    join: () => Promise.resolve(),
    close: () => closed.resolve(null),
  };
}

/**
 * Injects every possible fault into every call of every chore.
 *
 * @returns All calls.
 * @throws {AssertionError} If a run has another effect than warnings or a clear error.
 */
export async function tryChores(): Promise<Call[]> {
  const tried: Call[] = [];
  for (const chore of operationChores) {
    const { calls } = await runOperation(chore, null);
    for (const [at, call] of calls.entries()) {
      for (const plan of plansFor(call, at)) await runOperation(chore, plan);
    }
    tried.push(...calls);
  }
  for (
    const chore of [
      magnetChore,
      restoreChore,
      databaseChore,
      dhtChore,
      ...createChores,
      blocklistChore,
      lockChore,
      namesChore,
      seedChore,
      incompleteChore,
    ]
  ) {
    const { calls } = await runChore(chore, null);
    for (const [at, call] of calls.entries()) {
      for (const plan of plansFor(call, at)) await runChore(chore, plan);
    }
    tried.push(...calls);
  }
  return tried;
}

async function runChore(chore: Chore, plan: Plan | null): Promise<FaultFiles> {
  const clock = new VirtualClock();
  const memory = new MemoryFiles({ wallClock: () => clock.wallClock() });
  if (chore === blocklistChore) memory.put("/data/list", utf8("10.0.0.0/8\n"));
  if (createChores.includes(chore)) {
    memory.put("/data/a", new Uint8Array(40_000).fill(1));
    memory.put("/data/sub/b", new Uint8Array(10).fill(2));
    memory.putLink("/data/link", "a");
  }
  if (chore === databaseChore) memory.put("/state/session.db", utf8("damaged"));
  if (chore === magnetChore) {
    memory.put(`/state/torrents/${"01".repeat(20)}.torrent`, utf8("of an older version"));
    memory.put(`/state/${"01".repeat(20)}-0a1b2c3d.resume`, utf8("of a torrent that nobody knows"));
    clock.jump(FORGET_MS + 1);
  }
  if (chore === lockChore) {
    memory.put(`/data/.shoal-${"00".repeat(20)}.lock`, utf8(".shoal-s0.lock\n"));
    memory.put("/data/.shoal-s0.lock", new Uint8Array(0));
  }
  if (chore === namesChore) {
    memory.put("/data/t/x\t", NAMED.file("t/x_"));
    memory.put("/data/t/x\t.part", new Uint8Array(0));
  }
  if (chore === seedChore) {
    memory.put("/data/x.part", LONE.file("x"));
    memory.put("/empty/other", new Uint8Array(1));
    memory.put("/seed/t/a.part", PAIR.file("t/a"));
    memory.put("/seed/t/z", PAIR.file("t/z"));
  }
  const files = new FaultFiles(memory, { ...(plan && { plan }), sites: true, after() {} });
  const warnings = await finishing(chore(files, clock, memory), clock);
  const why = plan === null ? "no fault" : `${plan.fault} at ${files.failed[0]?.operation} by ${files.failed[0]?.site}`;
  assert(warnings <= files.failed.length, `${why}: ${warnings} warnings`);
  assertEquals(memory.openHandles, 0, `${why}: files are left open`);
  assertEquals(clock.pending, 0, `${why}: timers are left`);
  return files;
}
