import { assert, assertEquals } from "@std/assert";
import { Bitfield } from "../../../src/base/bitfield.ts";
import { WebPicker, type WebSource } from "../../../src/swarm/web_seeds/web_picker.ts";
import { BLOCK, PIECE, WebLab } from "./web_lab.ts";

/** Returns runs of a lab in which no web seed acts by itself. */
function stage(pieces: number, options: { missing?: readonly number[]; budget?: number } = {}) {
  const lab = new WebLab({ webSeeds: [], files: pieces * PIECE, ...options });
  const { started } = lab.download;
  if (options.missing) {
    const have = new Bitfield(pieces);
    for (let index = 0; index < pieces; index++) if (!options.missing.includes(index)) have.set(index);
    lab.download.reset(have);
  }
  const runs = new WebPicker(lab.download, {
    pieceLength: PIECE,
    totalLength: lab.data.length,
    peers: () => lab.peers,
    now: () => lab.clock.now(),
    random: () => 0.5,
  });
  const source = (more: Partial<WebSource> = {}): WebSource => {
    const all = new Bitfield(pieces);
    all.setAll();
    return { number: -1, pieces: all, rate: PIECE / 10, wholeOnly: false, last: -1, quiet: false, ...more };
  };
  return { lab, runs, source, started };
}

/** Returns the first piece of a run and the piece after its last. */
function span(run: { at: number; end: number } | null): [number, number] | null {
  return run && [run.at / PIECE, run.end / PIECE];
}

Deno.test("WebPicker begin the first run anywhere, and others at the beginning of the largest gap", () => {
  const { runs, source } = stage(20);
  assertEquals(span(runs.claim(source())), [10, 11]);
  const { runs: others, source: of } = stage(20, { missing: [1, 2, 5, 6, 7, 8, 12, 13, 14] });
  assertEquals(span(others.claim(of({ rate: 10 * PIECE }))), [5, 9]);
});

Deno.test("WebPicker go on where the last one ended, while that is worth it", () => {
  const { runs, source } = stage(20, { missing: [3, 4, 5, 6, 10, 11, 12, 13, 14, 15, 19] });
  assertEquals(span(runs.claim(source({ last: 4 * PIECE })))?.[0], 4);
  const elsewhere = stage(20, { missing: [3, 4, 5, 6, 10, 11, 12, 13, 14, 15, 19] });
  const rate = PIECE; // a run of ten pieces
  assertEquals(span(elsewhere.runs.claim(elsewhere.source({ last: 19 * PIECE, rate })))?.[0], 10);
});

Deno.test("WebPicker begin with the pieces that come first, and never go on from them to others", () => {
  const { lab, runs, source } = stage(20);
  lab.download.setPriorities((index) => index === 3 || index === 4 ? 1 : index < 10 ? -1 : 0);
  const rate = 10 * PIECE;
  assertEquals(span(runs.claim(source({ rate, last: 6 * PIECE }))), [3, 5]);
  assertEquals(span(runs.claim(source({ rate, wholeOnly: true }))), [10, 20]);
  assertEquals(span(runs.claim(source({ rate, wholeOnly: true }))), [0, 3]);
});

Deno.test("WebPicker end before the first piece ahead that isn't wanted any more", () => {
  const { lab, runs, source, started } = stage(20, { missing: [4, 5, 6, 7, 8, 9] });
  const run = runs.claim(source({ rate: 10 * PIECE }))!;
  assertEquals(span(run), [4, 10]);
  lab.download.wantedChanged = () => runs.trim();
  const wanted = new Bitfield(20);
  for (const index of [4, 6, 9]) wanted.set(index);
  lab.download.setWanted(wanted);
  assertEquals(span(run), [4, 5]);
  assertEquals([started.picker.size, [...started.reserved]], [2, [4]]);
  run.release();
  assertEquals([started.picker.size, started.reserved.size], [3, 0]);
});

Deno.test("WebPicker keep away from where another run will soon be", () => {
  const { runs, source } = stage(21, { missing: Array.from({ length: 20 }, (_, i) => i + 1) });
  assertEquals(span(runs.claim(source({ rate: PIECE / 2 }))), [1, 6]);
  assertEquals(span(runs.claim(source({ number: -2 })))?.[0], 13, "the middle of what is left");
});

Deno.test("WebPicker are as long as ten seconds, and leave others their share", () => {
  assertEquals(span(stageRun(100, PIECE)), [50, 60]);
  const { lab, runs, source } = stage(100);
  lab.peer();
  assertEquals(
    span(runs.claim(source({ rate: 100 * PIECE }))),
    [50, 75],
    "a quarter, with one peer, or a quarter second",
  );
});

function stageRun(pieces: number, rate: number) {
  const { runs, source } = stage(pieces);
  return runs.claim(source({ rate }));
}

Deno.test("WebPicker ask for nothing that the web seed hasn't got, or that others fetch", () => {
  const { lab, runs, source } = stage(3);
  const some = new Bitfield(3);
  some.set(1);
  const peer = lab.peer([1]);
  lab.download.fill(peer);
  assertEquals(runs.claim(source({ pieces: some })), null);
});

Deno.test("WebPicker put what they don't bring back, and what has come stays", () => {
  const { lab, runs, source, started } = stage(4, { missing: [0, 1, 2, 3] });
  const run = runs.claim(source({ rate: PIECE }))!;
  assertEquals([span(run), started.picker.size], [[2, 4], 2]);
  assert(run.ready());
  assertEquals(run.put(lab.data, 2 * PIECE, 2 * PIECE + BLOCK + 100), BLOCK + 100);
  runs.release(run);
  assert(run.over);
  assertEquals([started.picker.has(3), started.active.get(2)?.received, started.active.get(2)?.free], [true, 1, 1]);
  runs.release(run);
});

Deno.test("WebPicker keep no memory for a piece of which nothing has come", () => {
  const { runs, source, started } = stage(2);
  const run = runs.claim(source())!;
  assert(run.ready());
  assertEquals([started.active.size, started.pool.lent], [1, 1]);
  runs.release(run);
  assertEquals([started.active.size, started.pool.lent, started.picker.size], [0, 0, 2]);
});

Deno.test("WebPicker yield half of what is ahead to who has nothing to do, once", () => {
  const { lab, runs, source, started } = stage(10, { missing: [0, 1, 2, 3, 4, 5, 6, 7] });
  const run = runs.claim(source({ rate: PIECE }))!;
  assertEquals([span(run), run.ahead], [[0, 8], 8]);
  runs.share(0);
  assertEquals(run.ahead, 8, "nobody is idle");
  assert(run.ready());
  assertEquals(run.ahead, 7);
  const peer = lab.peer();
  runs.share(0);
  assertEquals([run.ahead, run.end / PIECE], [3, 4]);
  assert(peer.requests.size > 0, "the peer is asked at once");
  assertEquals(started.picker.size + started.active.size, 5);
});

Deno.test("WebRun goes past a piece that somebody else has finished", async () => {
  const { lab, runs, source } = stage(3, { missing: [0, 1] });
  const run = runs.claim(source({ rate: PIECE }))!;
  assert(run.ready());
  run.put(lab.data, 0, 100);
  const peer = lab.peer([0]);
  lab.clock.advance(4000);
  lab.download.fill(peer);
  assertEquals(peer.requests.size, 0, "a web seed that is said to be quick isn't overtaken");
  for (let block = 0; block < 2; block++) {
    peer.request(0, block * BLOCK, BLOCK, lab.clock.now());
    lab.answer(peer);
  }
  await lab.clock.play(0);
  assert(run.ready());
  assertEquals(run.at, PIECE);
  assertEquals(lab.written.get(0)?.length, PIECE);
});

Deno.test("WebPicker end for what somebody waits for, and begin anew with it", () => {
  const begun = () => {
    const { lab, runs, source } = stage(40);
    const run = runs.claim(source({ rate: PIECE }))!;
    assertEquals(span(run), [20, 30]);
    run.ready();
    const urge = (pieces: number[], awaited: number[]) => {
      lab.download.prioritise({ pieces, awaited: new Set(awaited) });
      runs.yieldToUrgent();
      return run.over;
    };
    return { urge, next: () => span(runs.claim(source({ number: -2, rate: PIECE })))?.[0] };
  };
  const ahead = begun();
  assertEquals([ahead.urge([25, 26], [25]), ahead.next()], [true, 25]);
  const elsewhere = begun();
  assertEquals([elsewhere.urge([3, 4], [3]), elsewhere.next()], [true, 3]);
  // Pieces that are wanted soon, but not awaited, don't end a run. The next free web seed begins with them.
  const soon = begun();
  assertEquals([soon.urge([3, 4], []), soon.next()], [false, 3]);
  const here = begun();
  assertEquals([here.urge([20], [20]), here.next() === 20], [false, false]);
  const busy = begun();
  assertEquals([busy.urge([3, 20], [3]), busy.next()], [false, 3], "the other one is urgent, too");
});
