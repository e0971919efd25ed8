import { assert, assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import { MAX_URGENT_PIECES } from "../../../src/base/defences.ts";
import { Readers, type Urgency } from "../../../src/swarm/pieces/time_critical.ts";
import { settle } from "../../support/virtual_clock.ts";
import { asked, BLOCKS, Lab } from "./download_lab.ts";

/** Returns readers of a torrent that has these pieces. */
function readersOf(have: Set<number>) {
  let last: Urgency | null = null;
  let changes = 0;
  const prioritise = (urgency: Urgency) => {
    last = urgency;
    changes++;
  };
  const readers = new Readers(() => ({ have, wants: () => true, prioritise }));
  return {
    readers,
    told: () => ({ pieces: [...last!.pieces], awaited: [...last!.awaited] }),
    changes: () => changes,
    arrive: (index: number) => {
      have.add(index);
      readers.arrived(index);
    },
  };
}

Deno.test("Readers make what is missing in their windows urgent, in turn, the first first", () => {
  const { readers, told, changes } = readersOf(new Set([1, 20]));
  const film = readers.open();
  film.move({ first: 0, end: 4 });
  assertEquals(told(), { pieces: [0, 2, 3], awaited: [] });
  const end = readers.open();
  end.move({ first: 20, end: 23 });
  const other = readers.open();
  other.move({ first: 2, end: 6 });
  assertEquals(told().pieces, [0, 21, 2, 3, 22, 4, 5]);
  const before = changes();
  other.move({ first: 2, end: 6 });
  assertEquals(changes(), before, "nothing has changed");
  film.close();
  other.close();
  assertEquals(told().pieces, [21, 22]);
  end.close();
  end.close();
  assertEquals(told(), { pieces: [], awaited: [] });
});

Deno.test("Readers let nobody make everything urgent", () => {
  const { readers, told } = readersOf(new Set());
  readers.open().move({ first: 0, end: 1_000_000 });
  const second = readers.open();
  second.move({ first: 500_000, end: 1_000_000 });
  assertEquals(told().pieces.length, MAX_URGENT_PIECES);
  assert(told().pieces.includes(500_000 + MAX_URGENT_PIECES / 2 - 1), "each has its share");
});

Deno.test("Readers who wait come before all others, and are woken by the piece", async () => {
  const { readers, told, arrive } = readersOf(new Set([7]));
  const [one, two] = [readers.open(), readers.open()];
  one.move({ first: 0, end: 3 });
  two.move({ first: 9, end: 11 });
  await one.wait(7);
  const woken: string[] = [];
  const waits = [one.wait(2).then(() => woken.push("one")), two.wait(2).then(() => woken.push("two"))];
  assertEquals(told(), { pieces: [2, 0, 9, 1, 10], awaited: [2] });
  arrive(0);
  await settle();
  assertEquals(woken, []);
  arrive(2);
  await Promise.all(waits);
  assertEquals(woken, ["one", "two"]);
  assertEquals(told(), { pieces: [1, 9, 10], awaited: [] });
});

Deno.test("Readers who give up, are closed or see the torrent end wait no more", async () => {
  const { readers, told } = readersOf(new Set());
  const [one, two, three] = [readers.open(), readers.open(), readers.open()];
  const stop = new AbortController();
  const reason = new Error("the client has gone");
  const waits = [one.wait(5, stop.signal), two.wait(5), three.wait(6)];
  for (const wait of waits) wait.catch(() => {});
  stop.abort(reason);
  assertStrictEquals(await assertRejects(() => waits[0]!), reason);
  assertEquals(told().awaited, [5, 6], "another one waits for it still");
  two.close();
  await assertRejects(() => waits[1]!, Error, "closed");
  await assertRejects(() => two.wait(5), Error, "closed");
  assertEquals(told().awaited, [6]);
  assertStrictEquals(await assertRejects(() => one.wait(1, stop.signal)), reason);
  readers.end();
  await assertRejects(() => waits[2]!, Error, "the torrent was stopped");
  await assertRejects(() => three.wait(6), Error, "the torrent was stopped");
});

Deno.test("Readers find what is there when the check is over", async () => {
  const have = new Set<number>();
  const { readers, told } = readersOf(have);
  const reader = readers.open();
  reader.move({ first: 3, end: 6 });
  const wait = reader.wait(3);
  have.add(3).add(4);
  readers.checked();
  await wait;
  assertEquals(told(), { pieces: [5], awaited: [] });
});

Deno.test("Readers wake each wait of a reader by the block that it is for, and have all of them fetched", async () => {
  const readable = new Set<number>();
  let last: Urgency | null = null;
  const host = { have: new Set<number>(), wants: () => true, prioritise: (urgency: Urgency) => void (last = urgency) };
  const readers = new Readers(() => host, (_, block) => readable.has(block));
  const reader = readers.open();
  const woken: number[] = [];
  for (const block of [5, 500]) {
    reader.move({ first: 0, end: 2 }, block);
    void reader.wait(0).then(() => woken.push(block));
  }
  assertEquals(last!.positions, new Map([[0, [5, 500]]]));
  readable.add(5);
  readers.readable(0);
  await settle();
  assertEquals(woken, [5]);
  readable.add(500);
  readers.readable(0);
  await settle();
  assertEquals(woken, [5, 500]);
});

Deno.test("Readers tell the download when nobody has waited for a piece for some time", async () => {
  let readable = -1;
  const told: number[][] = [];
  const prioritise = ({ awaited }: Urgency) => void told.push([...awaited]);
  const readers = new Readers(() => ({ have: new Set(), wants: () => true, prioritise }), (_, block) => {
    return block <= readable;
  });
  const reader = readers.open();
  const read = async (block: number) => {
    reader.move({ first: 3, end: 4 }, block);
    const wait = reader.wait(3);
    readable = block;
    readers.readable(3);
    await wait;
  };
  await read(0);
  assertEquals(told.splice(0), [[], [3]]);
  for (let block = 1; block < 10; block++) {
    readers.turn();
    await read(block);
  }
  assertEquals(told, [], "it goes on reading");
  readers.turn();
  assertEquals(told, []);
  readers.turn();
  assertEquals(told.splice(0), [[]], "it has stopped");
  readers.turn();
  readers.turn();
  assertEquals(told, []);
  await read(10);
  assertEquals(told, [[3]]);
});

const urgent = (pieces: number[], awaited: number[] = []): Urgency => ({ pieces, awaited: new Set(awaited) });

Deno.test("PieceDownload begins with what is urgent, with whoever has it", () => {
  const lab = new Lab(40);
  const [all, some] = [lab.peer(), lab.peer({ pieces: [31, 5] })];
  lab.download.prioritise(urgent([30, 31, 32, 33]));
  assertEquals([...asked(all)], [[30, BLOCKS], [31, BLOCKS], [32, BLOCKS], [33, BLOCKS]]);
  assertEquals([...asked(some)], [[5, BLOCKS]]);
  lab.download.prioritise(urgent([]));
  lab.answerAll(all);
  lab.download.fill(all);
  assertEquals([...asked(all).keys()].filter((index) => index >= 30 && index < 34), []);
});

Deno.test("PieceDownload makes way for a piece that somebody waits for and nobody was asked for", () => {
  const lab = new Lab(40, { sequential: true });
  const [one, two] = [lab.peer(), lab.peer({ pieces: [0, 1, 2, 3] })];
  lab.download.fill(one);
  lab.download.fill(two);
  assertEquals([...asked(one).keys()], [0, 1, 2, 3]);
  // Pieces that are wanted soon, but not awaited, wait their turn.
  lab.download.prioritise(urgent([20, 21]));
  assertEquals([...asked(one).keys()], [0, 1, 2, 3]);
  // An awaited piece displaces other requests, except urgent ones and those that another peer also has.
  const other = [...asked(two)];
  lab.download.prioritise(urgent([20, 21, 1], [20]));
  assertEquals([...asked(one).keys()].slice(0, 3), [1, 20, 21]);
  assertEquals([...asked(two)].slice(0, other.length), other);
  // The next call changes nothing: every awaited block has been requested.
  const before = [...asked(one)];
  lab.download.prioritise(urgent([20, 21, 1], [20]));
  assertEquals([...asked(one)], before);
});

Deno.test("PieceDownload has every peer send a part of the piece that somebody waits for", () => {
  const lab = new Lab(8, { blocks: 16 });
  const [one, two, third] = [lab.peer(), lab.peer(), lab.peer({ pieces: [0, 1] })];
  lab.download.prioritise(urgent([5, 6], [5]));
  assertEquals([asked(one).get(5), asked(two).get(5), asked(third).get(5)], [8, 8, undefined]);
});

Deno.test("PieceDownload asks a fast peer for what a slow one was asked for, when somebody waits for it", () => {
  const lab = new Lab(8);
  const slow = lab.peer({ slow: true });
  lab.download.prioritise(urgent([5], [5]));
  const late = asked(slow).get(5);
  assert(late !== undefined && late > 0);
  const fast = lab.peer();
  lab.clock.advance(200);
  lab.download.fill(fast);
  assertEquals(asked(fast).get(5), BLOCKS);
  lab.answerAll(fast);
  // The piece was taken back from the slow peer, and no block came twice.
  assertEquals([asked(slow).get(5), lab.download.wasted], [undefined, 0]);
});

Deno.test("PieceDownload gives up a piece that nobody waits for when there is no memory for one that somebody does", async () => {
  const lab = new Lab(8, { budget: 2, sequential: true });
  const peer = lab.peer();
  lab.download.fill(peer);
  assertEquals([...asked(peer).keys()], [0, 1]);
  lab.answer(peer);
  lab.download.prioritise(urgent([6], [6]));
  assertEquals([...asked(peer).keys()].sort(), [0, 6]);
  lab.answerAll(peer);
  await settle();
  assert(lab.log.includes("done 6") && lab.log.includes("done 0"), lab.log.join());
});
