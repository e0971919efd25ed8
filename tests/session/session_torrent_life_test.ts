import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { concatBytes, equalBytes, utf8 } from "../../src/base/bytes.ts";
import { ShoalError } from "../../src/base/errors.ts";
import { encodeTorrent } from "../../src/metainfo/encode_torrent.ts";
import { magnetOf, parseMagnet, parseMetainfo } from "../../src/metainfo/mod.ts";
import type { Platform } from "../../src/platform/platform.ts";
import { Session } from "../../src/session/session.ts";
import type { SessionEvent } from "../../src/session/session_events.ts";
import type { Torrent } from "../../src/swarm/torrent.ts";
import { mayFollow, type TorrentState } from "../../src/swarm/torrent_state.ts";
import { finishing, platformOf } from "../plug/memory_lab.ts";
import { MemoryNetwork } from "../plug/memory_network.ts";
import { sha1 } from "../storage/fixture.ts";
import { MemoryFiles } from "../support/memory_files.ts";
import { noise } from "../support/payload.ts";
import { tries } from "../support/property.ts";
import { seededRandom } from "../support/random.ts";
import { VirtualClock } from "../support/virtual_clock.ts";

const HOST = "10.0.0.1";
const ANNOUNCE = "http://tracker.test/announce";
const PIECE = 16 * 1024;
const FILES = { a: 3 * PIECE - 1000, b: 5 * PIECE, c: 4 * PIECE + 5000 };

/** Returns a torrent of three files, and their contents. */
function several(seed: number) {
  const content = Object.entries(FILES).map(([name, length]) => ({ path: [name], length }));
  const data = noise(FILES.a + FILES.b + FILES.c, seed);
  const hashes = [];
  for (let at = 0; at < data.length; at += PIECE) hashes.push(sha1(data.subarray(at, at + PIECE)));
  const parts = { name: "t", pieceLength: PIECE, pieces: concatBytes(hashes), content, trackers: [] };
  const meta = parseMetainfo(encodeTorrent(parts));
  const bytes = new Map(
    meta.files.map(({ path, offset, length }) => [path.at(-1)!, data.slice(offset, offset + length)]),
  );
  return { meta, bytes };
}

const { meta, bytes } = several(7);

/** Sessions on one network, each with files in memory. */
class Lab {
  readonly clock = new VirtualClock();
  readonly #net: MemoryNetwork;
  readonly #sessions: Session[] = [];

  constructor(rate = 64 * 1024) {
    this.#net = new MemoryNetwork(this.clock, rate);
  }

  async session(
    options: {
      readonly whole?: boolean;
      readonly mounts?: readonly string[];
      readonly change?: (platform: Platform) => Platform;
    } = {},
  ) {
    const files = new MemoryFiles({ mounts: options.mounts ?? [] });
    if (options.whole) putAll(files);
    const platform = platformOf(this.clock, this.#net, files);
    const session = new Session({
      platform: options.change?.(platform) ?? platform,
      bind: HOST,
      encryption: "off",
    });
    this.#sessions.push(session);
    const events: SessionEvent[] = [];
    session.subscribe((event) => void events.push(event));
    await session.start();
    return { session, files, events };
  }

  /** Starts a seeder and returns its address. */
  async seeder() {
    const { session } = await this.session({ whole: true });
    await session.add(meta, { folder: "/dl", seedOnly: true, trust: true });
    return session.listenAddress;
  }

  /** Lets time pass until a condition holds. */
  async until(isSo: () => boolean): Promise<void> {
    for (const end = this.clock.now() + 600_000; !isSo();) {
      assert(this.clock.now() < end, "it never comes to that");
      await this.clock.play(10);
    }
  }

  async stop(): Promise<void> {
    await finishing(Promise.all(this.#sessions.map((session) => session.stop())), this.clock);
    assertEquals(this.clock.pending, 0, "a timer is left");
  }
}

function putAll(files: MemoryFiles, folder = "/dl"): void {
  for (const [name, data] of bytes) files.put(`${folder}/t/${name}`, data);
}

function assertAllIn(folder: string, files: MemoryFiles, why = ""): void {
  for (const [name, data] of bytes) {
    const found = files.get(`${folder}/t/${name}`);
    assert(found !== null && equalBytes(found, data), `${why}: ${folder}/t/${name}`);
  }
}

function states(events: readonly SessionEvent[]): string[] {
  return events.flatMap((event) => event.event === "state" ? [event.state] : []);
}

Deno.test("a torrent can be resumed by who is told of its error, at once", async () => {
  for (const told of ["error", "state"]) {
    const lab = new Lab();
    const { session, files, events } = await lab.session();
    session.subscribe(({ event, infohash }) => {
      const torrent = session.torrents.find(({ infoHash }) => infoHash.hex === infohash);
      if (event !== told || torrent?.state !== "error") return;
      putAll(files);
      torrent.resume();
    });
    const torrent = await session.add(meta, { folder: "/dl", seedOnly: true });
    const failed = torrent.finished;
    await finishing(assertRejects(() => failed, ShoalError, "there is no such file"), lab.clock);
    await finishing(torrent.finished, lab.clock);
    assertEquals([torrent.state, torrent.error], ["seeding", null]);
    assertEquals(states(events), ["error", "checking", "seeding"]);
    await lab.stop();
  }
});

Deno.test("what a torrent had begun when it ran into an error is of no interest when it is tried again", async () => {
  const lab = new Lab();
  let broken = true;
  const change = (platform: Platform): Platform => {
    const dial: Platform["net"]["dial"] = (address, options) => {
      if (!broken) return platform.net.dial(address, options);
      return Promise.reject(new ShoalError("network", { what: "cannot connect", where: HOST, why: "no such address" }));
    };
    const { net } = platform;
    return {
      ...platform,
      net: { dial, listen: (o) => net.listen(o), openUdp: (o) => net.openUdp(o), resolve: (h) => net.resolve(h) },
    };
  };
  const peers = [await lab.seeder()];
  const { session, files } = await lab.session({ change });
  const torrent = await session.add(parseMagnet(magnetOf(meta)), { folder: "/dl", peers });
  await lab.until(() => torrent.state === "error");
  broken = false;
  torrent.resume();
  // The search that was under way at the error has no effect.
  await finishing(torrent.finished, lab.clock);
  assertAllIn("/dl", files);
  await lab.stop();
});

Deno.test("a check is not over because the files before it were finished meanwhile", async () => {
  const lab = new Lab();
  const peers = [await lab.seeder()];
  const { session, files, events } = await lab.session();
  const torrent = await session.add(meta, { folder: "/dl", peers });
  await lab.until(() => torrent.state === "downloading");
  const gate = files.hold(({ operation, path }) => operation === "rename" && path.startsWith("/dl/t/"));
  await lab.until(() => torrent.snapshot().verified === meta.size);
  assert(gate.waiting > 0);
  const checked = torrent.recheck();
  await lab.clock.play(1000);
  assertEquals(torrent.state, "checking");
  gate.open();
  await finishing(checked, lab.clock);
  assertEquals(states(events), ["downloading", "checking", "seeding"]);
  await finishing(torrent.finished, lab.clock);
  assertEquals(events.filter(({ event }) => event === "completed").length, 1);
  assertAllIn("/dl", files);
  await lab.stop();
});

Deno.test("a torrent that is paused during a check leaves its peers at once", async () => {
  const lab = new Lab();
  const peers = [await lab.seeder()];
  const { session, files } = await lab.session();
  const gate = files.hold(({ path }) => path.startsWith("/dl"));
  const torrent = await session.add(parseMagnet(magnetOf(meta)), { folder: "/dl", peers });
  await lab.until(() => gate.waiting > 0);
  assertEquals([torrent.state, torrent.snapshot().peerCount], ["checking", 1]);
  torrent.pause();
  assertEquals([torrent.state, torrent.snapshot().peerCount], ["checking", 0]);
  gate.open();
  await lab.until(() => torrent.state === "paused");
  torrent.resume();
  await finishing(torrent.finished, lab.clock);
  await lab.stop();
});

Deno.test("web seeds are asked only while a torrent is at work", async () => {
  const lab = new Lab();
  const asked: string[] = [];
  const change = (platform: Platform): Platform => ({
    ...platform,
    http: {
      ...platform.http,
      stream: ({ url }) => {
        asked.push(url);
        return Promise.reject(new Error("nobody serves files here"));
      },
    },
  });
  const { session, files } = await lab.session({ change });
  const withSeed = { ...meta, webSeeds: ["http://seed.test/one/"] };
  const torrent = await session.add(withSeed, { folder: "/dl" });
  torrent.pause();
  await lab.until(() => torrent.state === "paused");
  await session.add({ ...meta, webSeeds: ["http://seed.test/two/"] }, { folder: "/dl" });
  await lab.clock.play(60_000);
  assertEquals(asked, []);
  torrent.resume();
  await lab.until(() => new Set(asked.map((url) => url.split("/")[3])).size === 2);
  torrent.pause();
  await lab.clock.play(1000);
  const count = asked.length;
  await session.add({ ...meta, webSeeds: ["http://seed.test/three/"] }, { folder: "/dl" });
  await lab.clock.play(60_000);
  assertEquals(asked.length, count);
  await finishing(session.remove(torrent), lab.clock);

  // A torrent with an error that is only being moved sends no requests, either.
  files.put("/dl/t/a/x", new Uint8Array(1));
  const failed = await session.add(withSeed, { folder: "/dl" });
  await finishing(assertRejects(() => failed.finished, ShoalError), lab.clock);
  files.delete("/dl/t/a/x");
  await finishing(failed.move("/there").catch(() => {}), lab.clock);
  await lab.clock.play(60_000);
  assertEquals([failed.state, asked.length], ["error", count]);
  await lab.stop();
});

Deno.test("a torrent that is stopped while it moves is where it was", async () => {
  const lab = new Lab();
  const { session, files } = await lab.session({ whole: true, mounts: ["/there"] });
  const torrent = await session.add(meta, { folder: "/dl" });
  await finishing(torrent.finished, lab.clock);
  const gate = files.hold(({ operation, path }) => operation === "write" && path.startsWith("/there"));
  const moved = assertRejects(() => torrent.move("/there"), ShoalError, "it has been stopped");
  await lab.until(() => gate.waiting > 0);
  const stopped = torrent.stop();
  gate.open();
  await finishing(Promise.all([moved, stopped]), lab.clock);
  assertEquals([torrent.folder, torrent.state], ["/dl", "stopped"]);
  assertAllIn("/dl", files);
  await lab.stop();
});

Deno.test("Torrent.setFiles() leaves peers that are of no more use, and finds them again", async () => {
  const lab = new Lab(16 * 1024);
  const peers = [await lab.seeder()];
  const { session } = await lab.session();
  const torrent = await session.add(parseMagnet(magnetOf(meta)), { folder: "/dl", peers, sequential: true }) as Torrent;
  await finishing(torrent.metadata, lab.clock);
  await assertRejects(() => torrent.setFiles(new Set([0, 3])), ShoalError, "the torrent has 3 files");
  await lab.until(() => torrent.have.count >= 6);
  torrent.setLimits({ down: 1 });
  await finishing(torrent.setFiles(new Set([0])), lab.clock);
  await lab.until(() => torrent.complete);
  await finishing(torrent.finished, lab.clock);
  assertEquals([torrent.state, torrent.snapshot().peerCount], ["seeding", 0]);
  torrent.setLimits({ down: null });
  await finishing(torrent.setFiles(null), lab.clock);
  await finishing(torrent.finished, lab.clock);
  await lab.stop();
});

Deno.test("a magnet link's torrent can be moved, paused and have files chosen while nobody knows what it holds", async () => {
  const lab = new Lab();
  const seeder = await lab.seeder();
  const { session, files } = await lab.session();
  const torrent = await session.add(parseMagnet(magnetOf(meta)), { folder: "/dl" }) as Torrent;
  await finishing(torrent.move("/there"), lab.clock);
  await finishing(torrent.setFiles(new Set([3])), lab.clock);
  await finishing(torrent.recheck(), lab.clock);
  torrent.pause();
  assertEquals([torrent.folder, torrent.askedFiles, torrent.state], ["/there", [3], "paused"]);
  torrent.resume();
  torrent.addPeers([seeder]);
  await finishing(assertRejects(() => torrent.finished, ShoalError, "the torrent has 3 files"), lab.clock);
  assertEquals(torrent.state, "error");
  await finishing(torrent.setFiles(new Set([1])), lab.clock);
  torrent.resume();
  await finishing(torrent.finished, lab.clock);
  assertEquals([torrent.wantedFiles, files.paths().includes("/there/t/b")], [[1], true]);
  await lab.stop();
});

Deno.test("Session.remove() happens once, and who adds the torrent meanwhile has a new one", async () => {
  const lab = new Lab();
  const { session, files, events } = await lab.session({ whole: true });
  const torrent = await session.add(meta, { folder: "/dl" });
  await finishing(torrent.finished, lab.clock);
  const gate = files.hold(({ operation }) => operation === "remove");
  const removed = session.remove(torrent, { data: true });
  await assertRejects(() => session.remove(torrent), ShoalError);
  await lab.until(() => gate.waiting > 0);
  const added = session.add(meta, { folder: "/dl" });
  await lab.clock.play(1000);
  assertEquals(session.torrents, []);
  gate.open();
  await finishing(removed, lab.clock);
  const again = await added;
  assertEquals(again === torrent, false);
  assertEquals(events.filter(({ event }) => event === "removed").length, 1);
  await lab.until(() => again.state === "downloading");
  assertThrows(() => torrent.setLimits({ down: 1 }), ShoalError, "it has been stopped");
  assertThrows(() => torrent.setTrackers([]), ShoalError, "it has been stopped");
  torrent.pause();
  torrent.resume();
  await torrent.recheck();
  assertEquals(torrent.state, "stopped");
  await lab.stop();
});

Deno.test("who reads a file that isn't wanted any more, or whose data is gone, is told so", async () => {
  const lab = new Lab();
  const { session, files } = await lab.session();
  const torrent = await session.add(meta, { folder: "/dl" });
  await lab.until(() => torrent.state === "downloading");
  const reader = torrent.open(2);
  const read = assertRejects(() => reader.read(2 * PIECE), ShoalError, "isn't downloaded");
  await finishing(torrent.setFiles(new Set([0])), lab.clock);
  await finishing(read, lab.clock);
  await assertRejects(() => reader.read(2 * PIECE), ShoalError, "isn't downloaded");
  await finishing(torrent.setFiles(null), lab.clock);
  const waits = reader.read(2 * PIECE);
  torrent.addPeers([await lab.seeder()]);
  assert((await finishing(waits, lab.clock)).length > 0);
  await finishing(torrent.finished, lab.clock);

  const { session: other, files: whole } = await lab.session({ whole: true });
  const seed = await other.add(meta, { folder: "/dl", seedOnly: true, trust: true });
  await finishing(seed.finished, lab.clock);
  whole.cut("/dl/t/c", 0);
  const lost = seed.open(2);
  await finishing(assertRejects(() => lost.read(2 * PIECE), ShoalError), lab.clock);
  await lab.until(() => seed.snapshot().verified < meta.size);
  await assertRejects(() => lost.read(2 * PIECE), ShoalError, "isn't downloaded");
  assertAllIn("/dl", files);
  await lab.stop();
});

Deno.test("a choice of files that fails halfway, and can't be undone, is an error of the torrent, too", async () => {
  const lab = new Lab();
  const { session, files } = await lab.session({ whole: true });
  const torrent = await session.add(meta, { folder: "/dl", files: new Set([0, 2]) });
  await finishing(torrent.finished, lab.clock);
  files.cut("/dl/t/b", 3 * PIECE);
  files.onCall = ({ operation }) => operation === "rename" ? "device" : null;
  await finishing(assertRejects(() => torrent.setFiles(null), ShoalError, "the device failed"), lab.clock);
  assertEquals([torrent.state, torrent.wantedFiles], ["error", [0, 2]]);
  files.onCall = () => null;
  torrent.resume();
  torrent.addPeers([await lab.seeder()]); // parts of the pieces at the edges were in the other file
  await finishing(torrent.finished, lab.clock);
  await finishing(torrent.setFiles(null), lab.clock);
  await finishing(torrent.finished, lab.clock);
  assertAllIn("/dl", files);
  await lab.stop();
});

Deno.test("trackers that a user has taken from a magnet link don't come back with the metadata", async () => {
  const lab = new Lab();
  const { session } = await lab.session();
  const link = parseMagnet(`${magnetOf(meta)}&tr=${encodeURIComponent("http://tracker.test/announce")}`);
  const torrent = await session.add(link, { folder: "/dl" });
  assertEquals(torrent.trackers, [["http://tracker.test/announce"]]);
  torrent.setTrackers([]);
  torrent.addPeers([await lab.seeder()]);
  await finishing(torrent.finished, lab.clock);
  assertEquals(torrent.trackers, []);
  await lab.stop();
});

/** Runs random commands on a downloading torrent, then lets it finish. */
async function play(seed: number): Promise<void> {
  const random = seededRandom(seed);
  const below = (count: number) => Math.floor(random() * count);
  const lab = new Lab(128 * 1024);
  const peers = [await lab.seeder(), await lab.seeder()];
  const announces: string[] = [];
  const change = (platform: Platform): Platform => ({
    ...platform,
    http: {
      ...platform.http,
      request: ({ url }) => {
        announces.push(new URL(url).searchParams.get("event") ?? "");
        return Promise.resolve({ status: 200, headers: new Headers(), body: utf8("d8:intervali1800ee"), url });
      },
    },
  });
  const { session, files, events } = await lab.session({ change });
  // A leecher downloads from the torrent all the time.
  const { session: other } = await lab.session();
  const leecher = await other.add(meta, { folder: "/dl", peers: [session.listenAddress] });
  leecher.setLimits({ down: 5000 });
  const isMagnet = random() < 0.4;
  const source = isMagnet ? parseMagnet(magnetOf(meta)) : meta;
  if (random() < 0.3) putAll(files, "/one");
  if (random() < 0.3) files.put("/one/t/a", bytes.get("a")!);
  if (random() < 0.3) files.put("/one/t/c", bytes.get("c")!.slice(0, 40000));
  const choice = random() < 0.3 ? { files: new Set([below(3)]) } : {};
  const torrent = await session.add({ ...source, trackers: [[ANNOUNCE]] }, {
    folder: "/one",
    sequential: random() < 0.3,
    check: random() < 0.3,
    ...choice,
  }) as Torrent;
  torrent.addPeers(peers);
  // The disk fails at times.
  let faults = 0;
  files.onCall = ({ operation, path }) => {
    if (faults === 0 || !/^\/(one|two)\//.test(path) || !["write", "sync", "open", "rename"].includes(operation)) {
      return null;
    }
    faults--;
    return "device";
  };
  let resumes = random() < 0.3;
  session.subscribe(({ event }) => {
    if (event === "error" && resumes) torrent.resume();
  });
  const done: Promise<unknown>[] = [];
  const log: string[] = [];
  // Every refused command has to give a reason for the user.
  const expect = (work: Promise<unknown>) =>
    done.push(work.catch((error) => assert(error instanceof ShoalError, `${log}: ${error?.stack}`)));
  const commands: Record<string, () => void> = {
    pause: () => torrent.pause(),
    resume: () => torrent.resume(),
    queue: () => torrent.queue(),
    recheck: () => expect(torrent.recheck()),
    setFiles: () => expect(torrent.setFiles([null, new Set([0]), new Set([1, 2]), new Set([0, 2])][below(4)]!)),
    setPriority: () => torrent.setPriority([below(3)], "high"),
    setSequential: () => torrent.setSequential(random() < 0.5),
    move: () => expect(torrent.move(["/one", "/two"][below(2)]!)),
    addPeers: () => torrent.addPeers(peers),
    setLimits: () => torrent.setLimits({ down: [null, 1000, 100_000][below(3)]! }),
    setTrackers: () => torrent.setTrackers(random() < 0.3 ? [] : [[ANNOUNCE]]),
    merge: () => expect(session.add(meta, { folder: torrent.folder, files: new Set([below(3)]) })),
    fault: () => void (faults = below(3)),
    lose: () => {
      const name = ["a", "b", "c"][below(3)]!;
      const path = `${torrent.folder}/t/${name}`;
      const data = files.get(path);
      if (data === null) return;
      if (random() < 0.3) return files.delete(path);
      files.cut(path, Math.min(data.length, Math.max(2 * PIECE, below(data.length))));
    },
    read: () => {
      if (torrent.meta === null || !torrent.wantedFiles.includes(1)) return;
      const reader = torrent.open(1);
      const signal = AbortSignal.timeout(1e9);
      done.push(reader.read(below(FILES.b), { signal }).catch(() => {}));
      done.push(lab.clock.play(0).then(() => reader.close()));
    },
    look: () => {
      torrent.snapshot();
      torrent.files();
      torrent.pieceMap(10);
    },
  };
  const names = Object.keys(commands);
  // Listeners of events may give commands at once.
  let mayAnswer = true;
  session.subscribe(({ event }) => {
    if (!mayAnswer || random() > 0.05) return;
    const name = names[below(names.length)]!;
    log.push(`(${name}@${event}@${torrent.state})`);
    commands[name]!();
  });
  for (let i = 0; i < 25; i++) {
    const name = names[below(names.length)]!;
    log.push(`${name}@${torrent.state}`);
    commands[name]!();
    if (random() < 0.6) await lab.clock.play([0, 1, 20, 300, 3000][below(5)]!);
    const { state, error } = torrent;
    assertEquals(state === "error", error !== null, `${seed}: ${log}`);
  }
  if (random() < 0.3) {
    mayAnswer = false;
    await finishing(random() < 0.5 ? torrent.stop() : session.remove(torrent, { data: true }), lab.clock);
    log.push("stopped");
  } else {
    resumes = mayAnswer = false;
    faults = 0;
    await finishing(Promise.all(done), lab.clock);
    torrent.resume();
    torrent.setLimits({ down: null });
    // Earlier failures of the disk may be noticed only now.
    await finishing(torrent.setFiles(null).catch(() => {}), lab.clock);
    if (torrent.state === "error") torrent.resume();
    await finishing(torrent.setFiles(null), lab.clock);
    await finishing(torrent.recheck(), lab.clock);
    torrent.addPeers(peers);
    await finishing(torrent.finished, lab.clock).catch((error) => {
      throw new Error(`${seed}: ${torrent.state} ${JSON.stringify(torrent.error)} ${log.join(" ")}: ${error}`);
    });
    assertEquals(torrent.state, "seeding", `${seed}: ${log}`);
    assertAllIn(torrent.folder, files, `${seed}: ${log}`);
  }
  await finishing(Promise.all(done), lab.clock);
  await finishing(torrent.stop(), lab.clock);
  // Trackers are told in turns that the torrent starts, perhaps as a partial seed (BEP 21), and stops, and of at most
  // one completed download.
  const told = announces.map((event) => ({ started: "S", paused: "P", completed: "C", stopped: "X" })[event] ?? "")
    .join("");
  assert(/^([SP]P*C?P*X)*$/.test(told) && told.indexOf("C") === told.lastIndexOf("C"), `${seed}: ${told} ${log}`);
  let before: TorrentState = isMagnet ? "metadata" : "checking";
  for (const event of events) {
    if (event.event === "error") assert(event.code !== "unexpected", `${seed}: ${event.message} ${log}`);
    if (event.event !== "state") continue;
    assertEquals(event.previous, before, `${seed}: ${log}`);
    assert(mayFollow(before, event.state), `${seed}: ${before} to ${event.state}`);
    before = event.state;
  }
  await lab.stop();
}

Deno.test("whatever is asked of a torrent, and whenever, it settles, and is finished right in the end", async () => {
  const first = Number(Deno.env.get("LIFE_SEED") ?? 1);
  const count = Number(Deno.env.get("LIFE_COUNT") ?? tries(15));
  for (let seed = first; seed < first + count; seed++) {
    try {
      await play(seed);
    } catch (error) {
      throw new Error(`seed ${seed}`, { cause: error });
    }
  }
});
