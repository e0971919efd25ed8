import { assert, assertEquals, assertGreater, assertLess } from "@std/assert";
import { Bitfield } from "../../../src/base/bitfield.ts";
import { type Bytes, concatBytes } from "../../../src/base/bytes.ts";
import { serveRange, type WebAnswer, type WebCall } from "../../support/scripted_web.ts";
import { PIECE, WebLab } from "./web_lab.ts";

const A = "http://a.example/";
const B = "http://b.example/";

function isA(call: WebCall): boolean {
  return call.url.startsWith(A);
}

/** Returns the right answer of a lab's server. */
function right(call: WebCall, lab: WebLab): WebAnswer {
  return serveRange(call, lab.fileOf(call.url));
}

function wrong(answer: WebAnswer): WebAnswer {
  return { ...answer, body: answer.body!.map((byte) => byte ^ 1) as Bytes };
}

Deno.test("WebSeeds fetch a file, each byte once, in ranges of several pieces", async () => {
  const lab = new WebLab({ files: 10 * PIECE + 5 });
  await lab.play(1000);
  assert(lab.complete);
  assertEquals([lab.taken, lab.download.wasted], [lab.data.length, 0]);
  assertLess(lab.web.calls.length, 4, "a run is long");
  assertEquals(lab.told, ["web.example:80 connected", "web.example:80 disconnected: the download is complete"]);
  assertEquals(lab.seeds.downloaded, lab.data.length);
  assertEquals(lab.web.open, 0);
});

Deno.test("WebSeeds.sources() says what each is doing, and each kind of failure is told once", async () => {
  const fails = ["connection refused", "connection refused", "no answer within 20 s"];
  const lab = new WebLab({
    files: [{ name: "a", length: 4 * PIECE }, { name: "b", length: 4 * PIECE }],
    script: (call, lab) => {
      if (call.url.endsWith("b")) return { status: 404 };
      const refuse = fails.shift();
      return refuse === undefined ? right(call, lab) : { refuse };
    },
  });
  const state = () => lab.seeds.sources().map(({ status, message }) => `${status}: ${message}`);
  assertEquals(lab.seeds.sources().length, 1);
  await lab.play(1_000);
  const wait = lab.seeds.sources()[0]!.secondsUntilNext!;
  assert(wait > 3 && wait <= 5, `${wait}`);
  assertEquals([state(), lab.seeds.has], [["failed: connection refused"], "all"]);
  await lab.play(60_000);
  const { url, downloaded, secondsUntilNext } = lab.seeds.sources()[0]!;
  assertEquals([url, downloaded, secondsUntilNext], [lab.meta.webSeeds[0]!, 4 * PIECE, null]);
  const has = lab.seeds.has;
  assert(has !== null && has !== "all");
  assertEquals([has(0), has(7)], [true, false]);
  assertEquals(lab.warnings.map((text) => text.slice(text.indexOf("a web seed"))), [
    "a web seed failed: connection refused; it is tried again in 5 s",
    "a web seed failed: no answer within 20 s; it is tried again in 20 s",
    "a web seed failed: it answers 404, so that some of its files are not used",
  ]);
  lab.seeds.ban(url, "it lies");
  assertEquals([state(), lab.seeds.has], [["given up: banned: it lies"], null]);
});

Deno.test("WebSeeds rest when nothing is wanted any more, and go on when something is", async () => {
  const lab = new WebLab({ files: 10 * PIECE });
  const wanted = new Bitfield(10);
  for (const index of [2, 3, 4]) wanted.set(index);
  lab.download.setWanted(wanted);
  await lab.play(1000);
  assertEquals([[...lab.download.have], lab.download.complete], [[2, 3, 4], true]);
  await lab.play(60_000);
  assertEquals([lab.taken, lab.web.open], [3 * PIECE, 0]);
  for (let index = 0; index < 10; index++) wanted.set(index);
  lab.download.setWanted(wanted);
  await lab.play(1000);
  assert(lab.complete);
  assertEquals([lab.taken, lab.download.wasted, lab.web.open], [10 * PIECE, 0, 0]);
  const round = ["web.example:80 connected", "web.example:80 disconnected: the download is complete"];
  assertEquals(lab.told, [...round, ...round]);
});

Deno.test("WebSeeds end a request at the first piece that isn't wanted any more, and fetch none of it", async () => {
  const lab = new WebLab({
    files: 20 * PIECE,
    script: (call, lab) => ({ ...right(call, lab), step: PIECE / 4, pause: 100 }),
  });
  await lab.play(300);
  const wanted = new Bitfield(20);
  const at = [...lab.download.started.active.keys()][0]!;
  for (const index of [at, at + 1]) wanted.set(index);
  lab.download.setWanted(wanted);
  await lab.play(5_000);
  assertEquals([[...lab.download.have], lab.download.complete, lab.web.open], [[at, at + 1], true, 0]);
  assertLess(lab.taken, 3 * PIECE);
});

Deno.test("WebSeeds fetch many files across their borders, and ask nobody for padding", async () => {
  const lab = new WebLab({
    files: [
      { name: "a", length: 2 * PIECE + 7 },
      { name: "pad", length: PIECE - 7, pad: true },
      { name: "empty", length: 0 },
      { name: "b & c", length: 5 },
      { name: "d", length: 3 * PIECE },
    ],
  });
  await lab.play(1000);
  assert(lab.complete);
  assertEquals([lab.taken, lab.download.wasted], [lab.data.length - (PIECE - 7), 0]);
  const asked = new Set(lab.web.calls.map(({ url }) => url));
  const folder = "http://web.example/folder/";
  assertEquals([...asked].sort(), [`${folder}a`, `${folder}b%20%26%20c`, `${folder}d`]);
});

Deno.test("WebSeeds go on where a connection was cut off, without fetching anything twice", async () => {
  let left = 3 * PIECE + 123;
  const lab = new WebLab({
    script: (call, lab) => {
      if (left < 0) return right(call, lab);
      const answer = right(call, lab);
      const part = answer.body!.slice(0, left);
      left -= answer.body!.length;
      return left < 0 ? { ...answer, body: part, cut: true } : answer;
    },
  });
  await lab.play(1000);
  assert(!lab.complete);
  const offline = "the connection was cut off; it is tried again in 5 s";
  assertEquals(lab.told, ["web.example:80 connected", `web.example:80 disconnected: ${offline}`]);
  await lab.play(10_000);
  assert(lab.complete);
  assertLess(lab.taken - lab.data.length, 16384, "no more than the block that was broken off");
});

Deno.test("WebSeeds wait longer and longer for a server that isn't there", async () => {
  const times: number[] = [];
  const lab = new WebLab({
    script: (_, lab) => {
      times.push(lab.clock.now());
      return { refuse: "connection refused" };
    },
  });
  await lab.play(30 * 60_000);
  const waits = times.slice(1).map((time, i) => Math.round((time - times[i]!) / 1000));
  assertEquals(waits, [5, 10, 20, 40, 80, 160, 300, 300, 300, 300]);
  assertEquals(lab.told[0], "web.example:80 refused: connection refused; it is tried again in 5 s");
});

Deno.test("WebSeeds come back when the server wants them to", async () => {
  let busy = 2;
  const lab = new WebLab({
    script: (call, lab) => busy-- > 0 ? { status: 503, headers: { "retry-after": "77" } } : right(call, lab),
  });
  await lab.play(70_000);
  assertEquals(lab.web.calls.length, 1);
  await lab.play(80_000);
  assertEquals(lab.web.calls.length, 2);
  await lab.play(20_000);
  assert(lab.complete);
});

Deno.test("WebSeeds leave a file alone that the server hasn't got, and give up a server that has none", async () => {
  const files = [{ name: "a", length: 2 * PIECE }, { name: "b", length: 2 * PIECE }, { name: "c", length: 2 * PIECE }];
  const lab = new WebLab({
    files,
    script: (call, lab) => call.url.endsWith("b") ? { status: 404 } : right(call, lab),
  });
  await lab.play(60_000);
  assertEquals([...lab.written.keys()].sort(), [0, 1, 4, 5]);
  assertEquals(lab.web.calls.filter(({ url }) => url.endsWith("b")).length, 1);
  const none = new WebLab({ files, script: () => ({ status: 410 }) });
  await none.play(60_000);
  assertEquals(none.web.calls.length, 3);
  assertEquals(none.told, ["web.example:80 refused: given up: it answers 410"]);
});

Deno.test("WebSeeds give up a server that lacks one file after the other", async () => {
  const files = Array.from({ length: 100 }, (_, i) => ({ name: `${i}`, length: PIECE }));
  const lab = new WebLab({ files, script: () => ({ status: 404 }) });
  await lab.play(60_000);
  assertEquals(lab.web.calls.length, 16);
  assertEquals(lab.told, ["web.example:80 refused: given up: 16 files in a row: it answers 404"]);
});

Deno.test("WebSeeds take no file of another size for the right one", async () => {
  for (const bytes of [10 * PIECE - 1, 10 * PIECE + 1]) {
    for (const ranges of [true, false]) {
      const other = new Uint8Array(bytes);
      const lab = new WebLab({
        script: (call) => ranges ? serveRange(call, other) : serveRange({ ...call, range: null }, other),
      });
      await lab.play(1000);
      assertEquals(lab.told.at(-1), `web.example:80 refused: given up: its file has ${bytes} bytes, not ${10 * PIECE}`);
      assertEquals(lab.taken, 0);
    }
  }
});

const NONSENSE: [name: string, change: (answer: WebAnswer) => WebAnswer, why: string | RegExp][] = [
  ["another range", (answer) => {
    const headers = { "content-range": answer.headers!["content-range"]!.replace(/bytes \d+/, "bytes 1") };
    return { ...answer, headers };
  }, /it was asked for bytes \d+-\d+ and sends/],
  ["no range", (answer) => ({ ...answer, headers: {} }), "it says 206 without a valid range"],
  ["204", () => ({ status: 204 }), "it answers 204"],
];

for (const [name, change, why] of NONSENSE) {
  Deno.test(`WebSeeds give up a server that sends ${name}, after some attempts`, async () => {
    const lab = new WebLab({
      script: (call, lab) => change(serveRange({ ...call, range: call.range ?? "0-" }, lab.data)),
    });
    await lab.play(300_000);
    assertLess(lab.web.calls.length, 4);
    const last = lab.told.at(-1)!;
    assert(last.includes("given up: "), last);
    assert(typeof why === "string" ? last.includes(why) : why.test(last), last);
  });
}

Deno.test("WebSeeds take an archive that is labelled as compressed, and leave a file that is compressed on the way", async () => {
  const labelled = new WebLab({
    script: (call, lab) => {
      const answer = right(call, lab);
      return { ...answer, headers: { ...answer.headers, "content-encoding": "gzip" } };
    },
  });
  await labelled.play(10_000);
  assert(labelled.complete, labelled.told.join());
  const files = [{ name: "a.tgz", length: 4 * PIECE }, { name: "b.txt", length: 4 * PIECE }];
  const mixed = new WebLab({
    files,
    webSeeds: ["http://a.example/"],
    script: (call, lab) => {
      if (call.url.endsWith("a.tgz")) return serveRange(call, lab.data.slice(0, 4 * PIECE));
      return { status: 200, headers: { "content-encoding": "gzip" }, body: new Uint8Array(1000) };
    },
  });
  await mixed.play(60_000);
  assertEquals(mixed.failed, []);
  assert(!mixed.complete);
  assertEquals([...mixed.written.keys()].sort(), [0, 1, 2, 3]);
});

Deno.test("WebSeeds try again when a body is shorter than it should be", async () => {
  let short = true;
  const lab = new WebLab({
    script: (call, lab) => {
      const answer = right(call, lab);
      const { "content-length": _, ...headers } = answer.headers!;
      const body = short ? answer.body!.slice(0, -5) : answer.body!;
      short = false;
      return { ...answer, headers, body };
    },
  });
  await lab.play(1000);
  assert(lab.told.some((line) => line.includes("its answer lacks 5 bytes at the end; it is tried again in 5 s")));
  await lab.play(10_000);
  assert(lab.complete);
});

Deno.test("WebSeeds read nothing past what they asked for", async () => {
  const lab = new WebLab({
    files: 500 * PIECE,
    script: (call, lab) => {
      const answer = right(call, lab);
      const { "content-length": _, ...headers } = answer.headers!;
      return { ...answer, headers, body: concatBytes([answer.body!, new Uint8Array(1 << 20)]) };
    },
  });
  await lab.play(1000);
  assert(lab.told.some((line) => line.includes("its answer is longer than it says")), lab.told.join("\n"));
  assertLess(lab.web.calls[0]!.taken, (4 << 20) + 40_001);
});

Deno.test("WebSeeds take what is shorter than asked for, when it says so, and ask for the rest", async () => {
  const lab = new WebLab({
    script: (call, lab) => {
      const [first, last] = (call.range ?? `0-${lab.data.length - 1}`).split("-").map(Number) as [number, number];
      return serveRange({ ...call, range: `${first}-${Math.min(last, first + 50_000)}` }, lab.data);
    },
  });
  await lab.play(2000);
  assert(lab.complete);
  assertEquals(lab.taken, lab.data.length);
});

Deno.test("WebSeeds shut out who sends wrong data, name it, and get the rest elsewhere", async () => {
  const lab = new WebLab({
    webSeeds: [A, B],
    files: 40 * PIECE,
    script: (call, lab) => isA(call) ? wrong(right(call, lab)) : { ...right(call, lab), pause: 20 },
  });
  await lab.play(20_000);
  assert(lab.complete);
  assertEquals(lab.told.filter((line) => line.startsWith("a.")), [
    "a.example:80 connected",
    `a.example:80 banned: it sent wrong data for piece ${lab.failed[0]!.split(" ")[0]}`,
    `a.example:80 disconnected: banned: it sent wrong data for piece ${lab.failed[0]!.split(" ")[0]}`,
  ]);
  assert(lab.failed.every((line) => line.endsWith(`from ${A}`)), "nobody else is suspected");
  const calls = lab.web.calls.filter(isA).length;
  await lab.play(60_000);
  assertEquals(lab.web.calls.filter(isA).length, calls, "it is never asked again");
});

Deno.test("WebSeeds follow redirects, remember where a file is, and forget it when it isn't there any more", async () => {
  let moved = false;
  const lab = new WebLab({
    files: 400 * PIECE,
    script: (call, lab) => {
      if (call.url.startsWith("http://web.example")) {
        return { redirect: `http://${moved ? "new" : "old"}.example/x/file.bin` };
      }
      if (lab.web.calls.length > 4) moved = true;
      if (moved && call.url.startsWith("http://old")) return { status: 403 };
      const [first, last] = (call.range ?? `0-${lab.data.length - 1}`).split("-").map(Number) as [number, number];
      return serveRange({ ...call, range: `${first}-${Math.min(last, first + (1 << 20))}` }, lab.data);
    },
  });
  await lab.play(10_000);
  assert(lab.complete);
  const hosts = lab.web.calls.map(({ url }) => new URL(url).hostname[0]);
  assertEquals(hosts.slice(0, 3), ["w", "o", "o"], hosts.join());
  assertEquals(hosts.filter((host) => host === "w").length, 2, hosts.join());
  assert(hosts.includes("n"), hosts.join());
});

Deno.test("WebSeeds use a server that sends whole files only, from their beginning", async () => {
  const lab = new WebLab({
    files: 100 * PIECE,
    script: (call, lab) => serveRange({ ...call, range: null }, lab.data),
  });
  await lab.play(10_000);
  assert(lab.complete);
  assertLess(lab.web.calls.length, 4);
  assertLess(lab.taken, 1.5 * lab.data.length);
});

Deno.test("WebSeeds end a request that brings too little, and let others have what it was for", async () => {
  const lab = new WebLab({
    webSeeds: [A, B],
    files: 20 * PIECE,
    script: (call, lab) => isA(call) ? { ...right(call, lab), body: new Uint8Array(), hang: true } : right(call, lab),
  });
  await lab.play(15_000);
  assert(lab.complete, "it doesn't even take until the request is ended");
  const alone = new WebLab({ script: (call, lab) => ({ ...right(call, lab), body: new Uint8Array(), hang: true }) });
  await alone.play(22_000);
  assertEquals(alone.told.slice(1), [
    "web.example:80 disconnected: it sent 0 bytes in 20 s; it is tried again in 5 s",
  ]);
});

Deno.test("WebSeeds end a body that trickles", async () => {
  const lab = new WebLab({ script: (call, lab) => ({ ...right(call, lab), step: 100, pause: 1000 }) });
  await lab.play(25_000);
  assert(lab.told.some((line) => /it sent \d+ bytes in 20 s/.test(line)), lab.told.join("\n"));
});

Deno.test("WebSeeds read no more than there is memory for", async () => {
  const lab = new WebLab({ files: 50 * PIECE, budget: 2 });
  const writes: (() => void)[] = [];
  lab.write = () => new Promise((resolve) => void writes.push(resolve));
  await lab.play(1000);
  assertEquals([writes.length, lab.budget.used], [2, 2 * PIECE]);
  assertLess(lab.taken, 4 * PIECE, "what doesn't fit stays with the server");
  for (let turn = 0; turn < 200 && !lab.download.have.isFull; turn++) {
    for (const done of writes.splice(0)) done();
    await lab.play(500);
    assert(lab.budget.used <= 2 * PIECE);
  }
  assert(lab.complete);
  assertLess(lab.taken - lab.data.length, 40_000, "nothing was asked for again");
});

Deno.test("WebSeeds are used four at a time, with two connections at most", async () => {
  const webSeeds = Array.from({ length: 80 }, (_, i) => `http://${i}.example/`);
  const lab = new WebLab({
    webSeeds,
    files: 1200 * PIECE,
    script: (call, lab) => ({ ...right(call, lab), pause: 100 }),
  });
  let [most, hosts] = [0, 0];
  for (let turn = 0; turn < 24; turn++) {
    await lab.play(500);
    const open = lab.web.calls.filter((call) => !call.ended);
    most = Math.max(most, open.length);
    hosts = Math.max(hosts, new Set(open.map(({ url }) => url)).size);
  }
  assertEquals([most, hosts], [8, 4]);
});

Deno.test("WebSeeds are satisfied with one connection where the second is refused", async () => {
  const lab = new WebLab({
    files: 200 * PIECE,
    script: (call, lab) => lab.web.open > 1 ? { status: 503 } : { ...right(call, lab), pause: 10 },
  });
  await lab.play(60_000);
  assert(lab.complete);
  assertEquals(lab.web.calls.filter(({ taken }) => taken === 0).length, 1, "asked for once");
  assertEquals(lab.told.length, 2, lab.told.join("\n"));
});

Deno.test("WebSeeds end all when they are stopped, also what waits for memory", async () => {
  const lab = new WebLab({ files: 50 * PIECE, budget: 1 });
  lab.write = () => new Promise(() => {});
  await lab.play(1000);
  assertEquals(lab.web.open, 1);
  lab.seeds.stop("we are stopping");
  await lab.clock.play(0);
  assertEquals(lab.web.open, 0);
  assertEquals(lab.told.at(-1), "web.example:80 disconnected: we are stopping");
});

Deno.test("WebSeeds and peers share a torrent, and nothing is fetched twice while both are quick", async () => {
  const lab = new WebLab({
    files: 60 * PIECE,
    script: (call, lab) => ({ ...right(call, lab), pause: 40 }),
  });
  const peer = lab.peer();
  for (let turn = 0; turn < 200 && !lab.complete; turn++) {
    lab.download.fill(peer);
    for (let i = 0; i < 4 && peer.requests.size > 0; i++) lab.answer(peer);
    await lab.play(50);
  }
  assert(lab.complete);
  assertGreater(peer.down.total, 10 * PIECE);
  assertGreater(lab.taken, 10 * PIECE);
  assertLess(lab.download.wasted, 3 * PIECE);
});

Deno.test("WebSeeds finish what peers have left lying", async () => {
  const lab = new WebLab({ webSeeds: [], files: 4 * PIECE });
  const peer = lab.peer();
  lab.download.fill(peer);
  lab.answer(peer);
  lab.answer(peer);
  lab.answer(peer);
  peer.closed = true;
  lab.download.countPeer(peer, -1);
  lab.download.takeBack(peer);
  lab.seeds.add(["http://late.example/"]);
  await lab.play(8000);
  assert(lab.complete);
  assertEquals([lab.taken, lab.download.wasted], [lab.data.length - 3 * 16384, 0]);
});

Deno.test("WebSeeds take over the last pieces from a peer that has gone quiet", async () => {
  const lab = new WebLab({ webSeeds: [], files: 2 * PIECE });
  const peer = lab.peer();
  lab.download.fill(peer);
  lab.seeds.add(["http://late.example/"]);
  await lab.play(1000);
  assertEquals(lab.web.calls.length, 0, "it isn't known to be slow yet");
  await lab.play(20_000);
  assert(lab.complete);
  assertEquals(peer.requests.size, 0, "cancelled");
});

Deno.test("WebSeeds leave the last pieces to peers when they have gone quiet themselves", async () => {
  const lab = new WebLab({
    files: 12 * PIECE,
    script: (call, lab) => {
      const answer = right(call, lab);
      return { ...answer, body: answer.body!.slice(0, 40_000), hang: true };
    },
  });
  await lab.play(1000);
  const peer = lab.peer();
  for (let turn = 0; turn < 16 && !lab.complete; turn++) {
    lab.download.fill(peer);
    while (peer.requests.size > 0) lab.answer(peer);
    await lab.play(1000);
  }
  assert(lab.complete, "before the web seed was given up");
});

for (const ownLimit of [false, true]) {
  Deno.test(`WebSeeds are read from no faster than the limit of ${ownLimit ? "the torrent" : "all"}, and not blamed for it`, async () => {
    const rate = 4096;
    // Less than the minimum that a web seed has to deliver per minute if it is to blame.
    const lab = new WebLab({
      files: 10 * PIECE,
      webSeeds: [A, B],
      maxDown: rate,
      ownLimit,
      script: (call, lab) => ({ ...right(call, lab), step: 1024 }),
    });
    for (let second = 1; !lab.complete; second++) {
      await lab.play(1000);
      assert(lab.taken <= rate * second + 4 * 1024, `${lab.taken} bytes in ${second} s`);
      assertLess(second, 1.1 * 10 * PIECE / rate + 2);
    }
    assertEquals(lab.told.filter((line) => !/connected$|complete$/.test(line)), []);
    assertEquals(lab.clock.pending, 0);
  });
}
