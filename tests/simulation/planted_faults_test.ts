/**
 * Every invariant can fail: for each rule, something is broken on purpose and has to be found.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { SessionStore } from "../../src/session/session_store.ts";
import { Content } from "../../src/swarm/content.ts";
import { Swarm } from "../../src/swarm/swarm.ts";
import { encodeHandshake } from "../../src/wire/handshake.ts";
import { FrameWriter } from "../../src/wire/frame_writer.ts";
import { BLOCK_SIZE, MessageId } from "../../src/wire/messages.ts";
import { FOLDER, PORT, type SimHost } from "./host.ts";
import { Violation } from "./invariants.ts";
import { endWell, finishAll } from "./scenario.ts";
import { play, scenarioNamed } from "./scenarios.ts";
import { Listener } from "./watch.ts";
import { World } from "./world.ts";

const LINE = { up: 500_000, down: 1_000_000, latency: 5 };

/** A seeder and some leechers, started. */
function smallSwarm(leechers: number): { world: World; seeder: SimHost; leechers: SimHost[] } {
  const world = new World({ seed: 1 });
  const tracker = world.addTracker();
  world.share({ pieceLength: 16_384, sizes: [100_000, 0, 30_000] });
  const seeder = world.addHost({ name: "seeder", profile: { ...LINE, up: 50_000 } });
  tracker.extra.push({ ip: seeder.ip, port: PORT });
  seeder.plant(() => true);
  world.go(seeder.start());
  const hosts = Array.from({ length: leechers }, (_, i) => world.addHost({ name: `leecher${i + 1}`, profile: LINE }));
  for (const host of hosts) world.go(host.start());
  return { world, seeder, leechers: hosts };
}

/** The rule that is found broken. */
async function ruleBrokenBy(run: () => Promise<void>): Promise<string> {
  try {
    await run();
  } catch (error) {
    if (error instanceof Violation) return error.rule;
    throw error;
  }
  return "none";
}

Deno.test("a swarm without faults breaks no rule", async () => {
  const { world, leechers } = smallSwarm(2);
  assertEquals(await ruleBrokenBy(() => endWell(world, leechers)), "none");
});

Deno.test("a bit that flips on the disk of a seeder is found when it is sent", async () => {
  const { world, seeder, leechers } = smallSwarm(1);
  await world.run(() => seeder.isComplete, { limit: 1_000, what: "the seeder has found that all is right" });
  seeder.files.flip(`${FOLDER}/${world.truth.files[0]!.path}`, 5);
  assertEquals(await ruleBrokenBy(() => finishAll(world, leechers)), "no byte wrong");
});

Deno.test("a file that is wrong under its final name is found", async () => {
  const { world, leechers: [leecher] } = smallSwarm(1);
  const told = leecher!.files.renamed;
  leecher!.files.renamed = (path) => {
    if (path.startsWith(FOLDER) && leecher!.files.sizeOf(path) > 0) leecher!.files.flip(path, 0);
    told(path);
  };
  assertEquals(await ruleBrokenBy(() => finishAll(world, [leecher!])), "final names");
});

Deno.test("a piece that is claimed and isn't on the disk is found", async () => {
  const { world, leechers } = smallSwarm(1);
  await world.run(() => leechers[0]!.torrent?.attached === true, { limit: 1_000, what: "it runs" });
  leechers[0]!.torrent!.have.set(3);
  assertEquals(await ruleBrokenBy(() => world.pass(1_000)), "only verified pieces");
});

Deno.test("a torrent that says it is complete and has a file too much is found", async () => {
  const { world, leechers: [leecher] } = smallSwarm(1);
  const finals = world.truth.files.map((file) => `${FOLDER}/${file.path}`);
  const told = leecher!.files.renamed;
  leecher!.files.renamed = (path) => {
    told(path);
    if (finals.some((final) => leecher!.files.sizeOf(final) < 0)) return;
    leecher!.files.plant(`${finals[0]}.part`, { from: 0, end: 1, size: 1 });
  };
  assertEquals(await ruleBrokenBy(() => finishAll(world, [leecher!])), "completion");
});

Deno.test("more unchoked peers than there are slots are found", async () => {
  const { world, seeder } = smallSwarm(12);
  await world.run(() => [...seeder.torrent?.peers() ?? []].length === 12, { limit: 5_000, what: "they meet" });
  for (const peer of seeder.torrent!.peers()) {
    peer.unchoke();
    peer.output.flush();
  }
  assertEquals(await ruleBrokenBy(() => world.pass(10)), "choker slots");
});

Deno.test("memory over the budget is found", async () => {
  const { world, seeder } = smallSwarm(0);
  await world.run(() => seeder.torrent !== null, { limit: 1_000, what: "it runs" });
  Object.defineProperty(seeder.session, "memory", { get: () => ({ used: 1e9, limit: 1e6 }) });
  assertEquals(await ruleBrokenBy(() => world.pass(1_000)), "memory budget");
});

Deno.test("more connections than allowed are found", async () => {
  const { world, seeder, leechers } = smallSwarm(3);
  await world.run(() => [...seeder.torrent?.peers() ?? []].length === 3, { limit: 5_000, what: "they meet" });
  Object.assign(seeder.options.session, { maxPeers: 2 });
  assertEquals(await ruleBrokenBy(() => finishAll(world, leechers)), "bounded queues");
});

const LEAKS: Readonly<Record<string, (host: SimHost) => unknown>> = {
  socket: (host) => host.platform!.net.listen({ host: host.ip, port: 7 }),
  file: (host) => host.platform!.files.open("/left", "write"),
  timer: (host) => host.platform!.after(3_600_000, () => {}),
};

for (const [what, leak] of Object.entries(LEAKS)) {
  Deno.test(`a ${what} that is left behind is found`, async () => {
    const { world, leechers } = smallSwarm(1);
    await finishAll(world, leechers);
    leak(leechers[0]!);
    assertEquals(await ruleBrokenBy(() => world.stop()), "nothing left behind");
  });
}

Deno.test("a program that goes on dialling, talking or announcing is found", async () => {
  const { world, leechers } = smallSwarm(1);
  world.later(300_000, async () => {
    for (let i = 0; i < 8; i++) {
      const connection = await leechers[0]!.nic.dial({ host: "10.1.0.0", port: 6881 }, {
        signal: new AbortController().signal,
      });
      connection.close();
    }
  });
  assertEquals(await ruleBrokenBy(() => endWell(world, leechers)), "quiescence");
});

Deno.test("a tracker that isn't told of the end is found", async () => {
  const { world, leechers } = smallSwarm(1);
  const [tracker] = world.trackers;
  const answer = tracker!.answer.bind(tracker);
  tracker!.answer = (ip, request) => {
    return answer(ip, { ...request, url: request.url.replace("event=stopped", "event=") });
  };
  assertEquals(await ruleBrokenBy(() => endWell(world, leechers)), "trackers told");
});

Deno.test("an honest peer that is banned is found", async () => {
  const { world, seeder, leechers } = smallSwarm(1);
  await finishAll(world, leechers);
  world.invariants.banned(leechers[0]!, `${seeder.ip}:6881`);
  assertEquals(await ruleBrokenBy(() => world.stop()), "no honest peer banned");
});

Deno.test("a leecher that doesn't finish is found, and named", async () => {
  const { world, seeder, leechers } = smallSwarm(1);
  seeder.kill();
  try {
    await finishAll(world, leechers, 60_000);
    assert(false, "it finished");
  } catch (error) {
    assert(error instanceof Violation);
    assertEquals(error.message, "every honest leecher finishes: not within 60 s; missing: leecher1 (0 of 8)");
  }
});

Deno.test("time that stands still is found", async () => {
  const { world } = smallSwarm(0);
  const again = async () => {
    for (;;) await world.sleep(0);
  };
  world.go(again());
  assertEquals(await ruleBrokenBy(() => world.pass(1_000)), "time goes on");
});

/** What a listener finds wrong with the words of a peer. */
function rulesBrokenIn(say: (writer: FrameWriter, world: World) => void): string[] {
  const { world } = smallSwarm(0);
  const broken: string[] = [];
  const listener = new Listener({ host: "10.1.0.9", port: 1 }, {
    truth: world.truth,
    spoke: () => {},
    claims: () => {},
    asks: () => {},
    moment: () => 0,
    unchoked: () => {},
    broke: (rule) => broken.push(rule),
  });
  const { infoHash } = world.truth.meta;
  listener.said(encodeHandshake({ infoHash, peerId: new Uint8Array(20), fast: true, extended: true }));
  const writer = new FrameWriter();
  say(writer, world);
  listener.said(writer.take());
  return broken;
}

Deno.test("requests beyond what the other end holds are found", () => {
  const ask = (count: number) =>
    rulesBrokenIn((writer) => {
      for (let i = 0; i < count; i++) writer.blockSignal(MessageId.request, i, 0, BLOCK_SIZE);
    });
  assertEquals(ask(250), []);
  assertEquals(ask(251), ["no request beyond reqq"]);
});

Deno.test("a block for a peer that is choked is found, and a wrong one", () => {
  const send = (options: { unchoke: boolean; wrong: boolean }) =>
    rulesBrokenIn((writer, world) => {
      if (options.unchoke) writer.signal(MessageId.unchoke);
      const at = writer.reserveBlock(1, 0, 100);
      writer.buffer.set(world.truth.data.subarray(16_384, 16_484), at);
      if (options.wrong) writer.buffer[at]! ^= 1;
    });
  assertEquals(send({ unchoke: true, wrong: false }), []);
  assertEquals(send({ unchoke: false, wrong: false }), ["nothing for the choked"]);
  assertEquals(send({ unchoke: true, wrong: true }), ["no byte wrong"]);
});

Deno.test("a bitfield with bits past the end is found", () => {
  assertEquals(rulesBrokenIn((writer) => writer.bitfield(Uint8Array.of(255))), []);
  assertEquals(rulesBrokenIn((writer) => writer.bitfield(Uint8Array.of(255, 1))), ["honest words"]);
});

/** Puts something else in the place of a method while a test runs. */
function plant<T extends object, Name extends keyof T>(on: T, name: Name, method: T[Name]): Disposable {
  const original = on[name];
  on[name] = method;
  return { [Symbol.dispose]: () => void (on[name] = original) };
}

Deno.test("a torrent that keeps its connections while it is paused is found", async () => {
  using _ = plant(Swarm.prototype, "shut", () => {});
  const { world, leechers: [leecher] } = smallSwarm(1);
  await world.run(() => leecher!.torrent?.peers()[Symbol.iterator]().next().done === false, {
    limit: 5_000,
    what: "they meet",
  });
  leecher!.torrent!.pause();
  assertEquals(await ruleBrokenBy(() => world.pass(1_000)), "quiet states");
});

Deno.test("a torrent that connects to somebody while it is paused is found", async () => {
  const { world, leechers: [leecher] } = smallSwarm(1);
  await world.run(() => leecher!.torrent?.attached === true, { limit: 1_000, what: "it runs" });
  leecher!.torrent!.pause();
  using _ = plant(leecher!, "state", "paused");
  world.invariants.connected(leecher!, "10.1.0.0:6881");
  assertEquals(await ruleBrokenBy(() => world.pass(1)), "quiet states");
});

Deno.test("a choice of files that loses a piece is found", async () => {
  const { select } = Content.prototype;
  using _ = plant(Content.prototype, "select", async function (this: Content, files) {
    await select.call(this, files);
    this.download.lost([...this.have].slice(0, 1));
  });
  const { world, leechers: [leecher] } = smallSwarm(1);
  leecher!.choosy = true;
  await world.run(() => (leecher!.torrent?.have.count ?? 0) > 3, { limit: 10_000, what: "pieces come" });
  await ruleBrokenBy(() => world.pass(1_000));
  world.go(leecher!.torrent!.setFiles(new Set([0])));
  assertEquals(await ruleBrokenBy(() => world.pass(1_000)), "nothing lost");
});

Deno.test("a state that may not follow another is found", async () => {
  const { world, seeder } = smallSwarm(0);
  world.invariants.entered(seeder, { state: "seeding", previous: "stopped" });
  assertEquals(await ruleBrokenBy(() => world.pass(1)), "states");
});

Deno.test("a torrent that is in no list of its session is found", async () => {
  const { world, seeder } = smallSwarm(0);
  await world.run(() => seeder.isComplete, { limit: 1_000, what: "it runs" });
  Object.defineProperty(seeder.session, "torrents", { get: () => [] });
  assertEquals(await ruleBrokenBy(() => world.pass(1_000)), "states");
});

Deno.test("a seed without one of its files is found", async () => {
  const { world, seeder } = smallSwarm(0);
  await world.run(() => seeder.isComplete, { limit: 1_000, what: "it runs" });
  seeder.files.moveAway(`${FOLDER}/${world.truth.files[0]!.path}`);
  assertEquals(await ruleBrokenBy(() => world.pass(1_000)), "seeds are whole");
});

Deno.test("a request for a piece that is here already is found", async () => {
  const { world, leechers: [leecher] } = smallSwarm(1);
  await world.run(() => leecher!.torrent?.have.isEmpty === false, { limit: 10_000, what: "a piece comes" });
  await world.pass(1);
  const [peer] = leecher!.torrent!.peers();
  const [index] = leecher!.torrent!.have;
  peer!.writer.blockSignal(MessageId.request, index!, 0, BLOCK_SIZE);
  peer!.output.flush();
  assertEquals(await ruleBrokenBy(() => world.pass(1)), "only what is missing");
});

/** The rule that is found broken first when scenarios are played with a fault. */
async function ruleBrokenIn(name: string): Promise<string> {
  for (let seed = 1; seed <= 20; seed++) {
    const { failure } = await play(scenarioNamed(name), { seed });
    if (failure !== null) return failure instanceof Violation ? failure.rule : String(failure);
  }
  return "none";
}

Deno.test("changes that aren't kept are found", async () => {
  using _ = plant(SessionStore.prototype, "markDirty", () => {});
  assertEquals(await ruleBrokenIn("sessions"), "changes kept");
});
