import { assert, assertEquals, assertRejects } from "@std/assert";
import { concatBytes } from "../../src/base/bytes.ts";
import { encodeTorrent } from "../../src/metainfo/encode_torrent.ts";
import { parseMetainfo } from "../../src/metainfo/mod.ts";
import { Session } from "../../src/session/session.ts";
import { OpeningQueue } from "../../src/swarm/opening_queue.ts";
import { finishing, platformOf } from "../plug/memory_lab.ts";
import { MemoryNetwork } from "../plug/memory_network.ts";
import { sha1 } from "../storage/fixture.ts";
import { MemoryFiles } from "../support/memory_files.ts";
import { settle, VirtualClock } from "../support/virtual_clock.ts";

/** The number of torrents that are opened at the same time. */
const TURNS = 2;
/** Milliseconds after which a slow opening no longer holds up other torrents. */
const PATIENCE = 1_000;

/** Torrents that wait to be opened. Each opening goes on until the test ends it. */
class Row {
  readonly clock = new VirtualClock();
  readonly turns = new OpeningQueue(this.clock);
  /** Torrents in the order in which their opening began. */
  readonly begun: number[] = [];
  readonly passOn: (() => void)[] = [];
  readonly aborts: AbortController[] = [];
  readonly ends: PromiseWithResolvers<string>[] = [];
  readonly results: Promise<string>[] = [];

  constructor(count: number) {
    for (let i = 0; i < count; i++) {
      const abort = new AbortController();
      const end = Promise.withResolvers<string>();
      this.aborts.push(abort);
      this.ends.push(end);
      const open = (passOn: () => void) => {
        this.begun.push(i);
        this.passOn[i] = passOn;
        return end.promise;
      };
      const result = this.turns.take(open, abort.signal);
      result.catch(() => {}); // the test awaits the result later
      this.results.push(result);
    }
  }
}

function upTo(end: number): number[] {
  return Array.from({ length: end }, (_, i) => i);
}

Deno.test("OpeningQueue opens two at a time, in order", async () => {
  const row = new Row(10);
  await settle();
  assertEquals(row.begun, upTo(TURNS));
  for (let i = 0; i < 10; i++) {
    row.ends[i]!.resolve(`done ${i}`);
    assertEquals(await row.results[i], `done ${i}`);
    await settle();
    assertEquals(row.begun, upTo(Math.min(10, TURNS + i + 1)));
  }
  assertEquals(row.clock.pending, 0);
});

Deno.test("OpeningQueue gives a turn back when it fails", async () => {
  const row = new Row(9);
  await settle();
  for (let i = 0; i < TURNS; i++) {
    row.ends[i]!.reject(new Error(`broken ${i}`));
    await assertRejects(() => row.results[i]!, Error, `broken ${i}`);
  }
  await settle();
  assertEquals(row.begun, upTo(2 * TURNS));
});

Deno.test("OpeningQueue lets those go at once that give up while they wait, and never opens them", async () => {
  const row = new Row(6);
  await settle();
  for (const i of [2, 4]) {
    row.aborts[i]!.abort(new Error("stopped"));
    await assertRejects(() => row.results[i]!, Error, "stopped");
  }
  for (let i = 0; i < TURNS; i++) row.ends[i]!.resolve("");
  await settle();
  assertEquals(row.begun, [0, 1, 3, 5]);
  // No torrent waits any more, and both slots are free again.
  for (const i of [3, 5]) row.ends[i]!.resolve("");
  await Promise.all([row.results[3], row.results[5]]);
  const more: number[] = [];
  for (let i = 0; i < 6; i++) {
    void row.turns.take(() => {
      more.push(i);
      return new Promise<void>(() => {});
    }, new AbortController().signal);
  }
  await settle();
  assertEquals(more, upTo(TURNS));
  const given = AbortSignal.abort(new Error("too late"));
  await assertRejects(() => row.turns.take(() => Promise.resolve(), given), Error, "too late");
});

Deno.test("OpeningQueue doesn't have others wait for one that has much to do, and counts its turn once", async () => {
  const row = new Row(8);
  await settle();
  row.passOn[1]!();
  row.passOn[1]!();
  await settle();
  assertEquals(row.begun, upTo(TURNS + 1));
  row.ends[1]!.resolve("late");
  assertEquals(await row.results[1], "late");
  await settle();
  assertEquals(row.begun, upTo(TURNS + 1));
});

Deno.test("OpeningQueue doesn't have others wait for a disk that hangs", async () => {
  const row = new Row(6);
  await settle();
  await row.clock.play(PATIENCE - 1);
  assertEquals(row.begun, upTo(TURNS));
  await row.clock.play(1);
  assertEquals(row.begun, upTo(2 * TURNS));
  await row.clock.play(PATIENCE);
  assertEquals(row.begun, upTo(6));
});

Deno.test("OpeningQueue has garbage collected after many turns, and not for a few", async () => {
  let collected = 0;
  const clock = new VirtualClock();
  const platform = {
    after: (ms: number, run: () => void) => clock.after(ms, run),
    collectGarbage: () => void collected++,
  };
  const turns = new OpeningQueue(platform);
  const { signal } = new AbortController();
  for (let i = 0; i < 63; i++) await turns.take(() => Promise.resolve(), signal);
  assertEquals(collected, 0);
  for (let i = 0; i < 65; i++) await turns.take(() => Promise.resolve(), signal);
  assertEquals(collected, 2);
});

const PIECE = 16 * 1024;

/** Adds small torrents with complete files. On the disk, calls for the first torrents hang until the gate is opened. */
async function slowStart(count: number) {
  const clock = new VirtualClock();
  const files = new MemoryFiles();
  const metas = Array.from({ length: count }, (_, i) => {
    const data = new Uint8Array(PIECE).fill(i + 1);
    files.put(`/dl/t${i}`, data);
    const parts = {
      name: `t${i}`,
      pieceLength: PIECE,
      pieces: concatBytes([sha1(data)]),
      content: PIECE,
      trackers: [],
    };
    return parseMetainfo(encodeTorrent(parts));
  });
  const gate = files.hold(({ operation, path }) => operation === "read" && path.startsWith("/dl/"));
  const session = new Session({
    platform: platformOf(clock, new MemoryNetwork(clock, PIECE), files),
    bind: "10.0.0.1",
  });
  await session.start();
  const torrents = await Promise.all(metas.map((meta) => session.add(meta, { folder: "/dl" })));
  await settle();
  const looked = () => torrents.map((_, i) => files.calls.some(({ path }) => path === `/dl/t${i}`));
  return { clock, gate, session, torrents, looked };
}

Deno.test("torrents that wait to be opened are checking, can be paused, and leave at once", async () => {
  const { clock, gate, session, torrents, looked } = await slowStart(6);
  assertEquals(looked(), [true, true, false, false, false, false]);
  assertEquals(
    torrents.map((torrent) => [torrent.state, torrent.snapshot().progress]),
    torrents.map(() => ["checking", 0]),
  );
  torrents[2]!.pause();
  assert(torrents[2]!.paused);
  // The torrents before this one still hang.
  await torrents[3]!.stop();
  assertEquals(torrents[3]!.state, "stopped");
  await session.remove(torrents[4]!, { data: true });
  assertEquals(session.torrents.length, 4);
  assertEquals(looked()[3], false);
  gate.open();
  await finishing(Promise.all([0, 1, 5].map((i) => torrents[i]!.finished)), clock);
  await settle();
  assertEquals(torrents.map(({ state }) => state), [
    ...["seeding", "seeding"],
    ...["paused", "stopped", "stopped", "seeding"],
  ]);
  await finishing(session.stop(), clock);
  assertEquals(clock.pending, 0);
});

Deno.test("a session that is stopped opens none of the torrents that wait", async () => {
  const { clock, gate, session, torrents, looked } = await slowStart(6);
  const stopped = session.stop();
  await settle();
  assertEquals(torrents.slice(TURNS).map(({ state }) => state), Array(4).fill("stopped"));
  gate.open();
  await finishing(stopped, clock);
  assertEquals(looked(), [true, true, false, false, false, false]);
  assertEquals(clock.pending, 0);
});
