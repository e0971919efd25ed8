/**
 * Tests that the invariants of the simulation detect violations: for each rule, a fault is planted and must be found.
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
import type { Version } from "./truth.ts";
import { Listener } from "./watch.ts";
import { World } from "./world.ts";

const LINE = { up: 500_000, down: 1_000_000, latency: 5 };

/** Starts a seeder and some leechers. */
function smallSwarm(leechers: number, version: Version = "v1"): { world: World; seeder: SimHost; leechers: SimHost[] } {
  const world = new World({ seed: 1 });
  const tracker = world.addTracker();
  world.share({ pieceLength: 16_384, sizes: [100_000, 0, 30_000], version });
  const seeder = world.addHost({ name: "seeder", profile: { ...LINE, up: 50_000 } });
  tracker.extra.push({ ip: seeder.ip, port: PORT });
  seeder.plant(() => true);
  world.go(seeder.start());
  const hosts = Array.from({ length: leechers }, (_, i) => world.addHost({ name: `leecher${i + 1}`, profile: LINE }));
  for (const host of hosts) world.go(host.start());
  return { world, seeder, leechers: hosts };
}

/** Returns the rule whose violation a function throws, or "none". */
async function ruleBrokenBy(run: () => Promise<void>): Promise<string> {
  try {
    await run();
  } catch (error) {
    if (error instanceof Violation) return error.rule;
    throw error;
  }
  return "none";
}

for (const version of ["v1", "v2", "hybrid"] as const) {
  Deno.test(`Invariants finds no violation in a ${version} swarm without faults`, async () => {
    const { world, leechers } = smallSwarm(2, version);
    assertEquals(await ruleBrokenBy(() => endWell(world, leechers)), "none");
  });

  Deno.test(`Invariants finds wrong bytes that a ${version} seeder sends after a bit flip on its disk`, async () => {
    const { world, seeder, leechers } = smallSwarm(1, version);
    await world.run(() => seeder.isComplete, { limit: 1_000, what: "the seeder has found that all is right" });
    seeder.files.flip(`${FOLDER}/${world.truth.files[0]!.path}`, 5);
    assertEquals(await ruleBrokenBy(() => finishAll(world, leechers)), "no byte wrong");
  });

  Deno.test(`Invariants finds a wrong file of a ${version} torrent under its final name`, async () => {
    const { world, leechers: [leecher] } = smallSwarm(1, version);
    const told = leecher!.files.renamed;
    leecher!.files.renamed = (path) => {
      if (path.startsWith(FOLDER) && leecher!.files.sizeOf(path) > 0) leecher!.files.flip(path, 0);
      told(path);
    };
    assertEquals(await ruleBrokenBy(() => finishAll(world, [leecher!])), "final names");
  });

  Deno.test(`Invariants finds a claimed piece of a ${version} torrent that isn't on the disk`, async () => {
    const { world, leechers } = smallSwarm(1, version);
    await world.run(() => leechers[0]!.torrent?.attached === true, { limit: 1_000, what: "it runs" });
    leechers[0]!.torrent!.have.set(3);
    assertEquals(await ruleBrokenBy(() => world.pass(1_000)), "only verified pieces");
  });
}

Deno.test("Invariants finds a surplus file of a complete torrent", async () => {
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

Deno.test("Invariants finds more unchoked peers than upload slots", async () => {
  const { world, seeder } = smallSwarm(12);
  await world.run(() => [...seeder.torrent?.peers() ?? []].length === 12, { limit: 5_000, what: "they meet" });
  for (const peer of seeder.torrent!.peers()) {
    peer.unchoke();
    peer.output.flush();
  }
  assertEquals(await ruleBrokenBy(() => world.pass(10)), "choker slots");
});

Deno.test("Invariants finds memory use beyond the budget", async () => {
  const { world, seeder } = smallSwarm(0);
  await world.run(() => seeder.torrent !== null, { limit: 1_000, what: "it runs" });
  Object.defineProperty(seeder.session, "memory", { get: () => ({ used: 1e9, limit: 1e6 }) });
  assertEquals(await ruleBrokenBy(() => world.pass(1_000)), "memory budget");
});

Deno.test("Invariants finds more connections than allowed", async () => {
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
  Deno.test(`Invariants finds a ${what} that a stopped program leaves`, async () => {
    const { world, leechers } = smallSwarm(1);
    await finishAll(world, leechers);
    leak(leechers[0]!);
    assertEquals(await ruleBrokenBy(() => world.stop()), "nothing left behind");
  });
}

Deno.test("stayQuiet() finds a program that goes on dialling", async () => {
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

Deno.test("endWell() finds a missing stopped announce", async () => {
  const { world, leechers } = smallSwarm(1);
  const [tracker] = world.trackers;
  const answer = tracker!.answer.bind(tracker);
  tracker!.answer = (ip, request) => {
    return answer(ip, { ...request, url: request.url.replace("event=stopped", "event=") });
  };
  assertEquals(await ruleBrokenBy(() => endWell(world, leechers)), "trackers told");
});

Deno.test("Invariants finds a ban of a well-behaved peer", async () => {
  const { world, seeder, leechers } = smallSwarm(1);
  await finishAll(world, leechers);
  world.invariants.banned(leechers[0]!, `${seeder.ip}:6881`);
  assertEquals(await ruleBrokenBy(() => world.stop()), "no honest peer banned");
});

Deno.test("finishAll() throws an error that names a leecher that doesn't finish", async () => {
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

Deno.test("World.run() finds a virtual clock that stands still", async () => {
  const { world } = smallSwarm(0);
  const again = async () => {
    for (;;) await world.sleep(0);
  };
  world.go(again());
  assertEquals(await ruleBrokenBy(() => world.pass(1_000)), "time goes on");
});

/** Returns the rules that a listener finds broken in the messages of a peer. */
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

Deno.test("Listener finds more outstanding requests than reqq", () => {
  const ask = (count: number) =>
    rulesBrokenIn((writer) => {
      for (let i = 0; i < count; i++) writer.blockSignal(MessageId.request, i, 0, BLOCK_SIZE);
    });
  assertEquals(ask(250), []);
  assertEquals(ask(251), ["no request beyond reqq"]);
});

Deno.test("Listener finds a block to a choked peer, and wrong bytes in a block", () => {
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

Deno.test("Listener finds a bitfield with bits past the end", () => {
  assertEquals(rulesBrokenIn((writer) => writer.bitfield(Uint8Array.of(255))), []);
  assertEquals(rulesBrokenIn((writer) => writer.bitfield(Uint8Array.of(255, 1))), ["honest words"]);
});

/** Replaces a method or property until the result is disposed of. */
function plant<T extends object, Name extends keyof T>(on: T, name: Name, method: T[Name]): Disposable {
  const original = on[name];
  on[name] = method;
  return { [Symbol.dispose]: () => void (on[name] = original) };
}

Deno.test("Invariants finds connections of a paused torrent", async () => {
  using _ = plant(Swarm.prototype, "shut", () => {});
  const { world, leechers: [leecher] } = smallSwarm(1);
  await world.run(() => leecher!.torrent?.peers()[Symbol.iterator]().next().done === false, {
    limit: 5_000,
    what: "they meet",
  });
  leecher!.torrent!.pause();
  assertEquals(await ruleBrokenBy(() => world.pass(1_000)), "quiet states");
});

Deno.test("Invariants finds a new connection of a paused torrent", async () => {
  const { world, leechers: [leecher] } = smallSwarm(1);
  await world.run(() => leecher!.torrent?.attached === true, { limit: 1_000, what: "it runs" });
  leecher!.torrent!.pause();
  using _ = plant(leecher!, "state", "paused");
  world.invariants.connected(leecher!, "10.1.0.0:6881");
  assertEquals(await ruleBrokenBy(() => world.pass(1)), "quiet states");
});

Deno.test("Invariants finds a piece that is lost when files are selected", async () => {
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

Deno.test("Invariants finds a forbidden change of state", async () => {
  const { world, seeder } = smallSwarm(0);
  world.invariants.entered(seeder, { state: "seeding", previous: "stopped" });
  assertEquals(await ruleBrokenBy(() => world.pass(1)), "states");
});

Deno.test("Invariants finds a running torrent that its session doesn't list", async () => {
  const { world, seeder } = smallSwarm(0);
  await world.run(() => seeder.isComplete, { limit: 1_000, what: "it runs" });
  Object.defineProperty(seeder.session, "torrents", { get: () => [] });
  assertEquals(await ruleBrokenBy(() => world.pass(1_000)), "states");
});

Deno.test("Invariants finds a missing file of a seed", async () => {
  const { world, seeder } = smallSwarm(0);
  await world.run(() => seeder.isComplete, { limit: 1_000, what: "it runs" });
  seeder.files.moveAway(`${FOLDER}/${world.truth.files[0]!.path}`);
  assertEquals(await ruleBrokenBy(() => world.pass(1_000)), "seeds are whole");
});

Deno.test("Invariants finds a request for a piece that the host has", async () => {
  const { world, leechers: [leecher] } = smallSwarm(1);
  await world.run(() => leecher!.torrent?.have.isEmpty === false, { limit: 10_000, what: "a piece comes" });
  await world.pass(1);
  const [peer] = leecher!.torrent!.peers();
  const [index] = leecher!.torrent!.have;
  peer!.writer.blockSignal(MessageId.request, index!, 0, BLOCK_SIZE);
  peer!.output.flush();
  assertEquals(await ruleBrokenBy(() => world.pass(1)), "only what is missing");
});

/** Plays a scenario with up to 20 seeds, and returns the rule that is broken first, or "none". */
async function ruleBrokenIn(name: string): Promise<string> {
  for (let seed = 1; seed <= 20; seed++) {
    const { failure } = await play(scenarioNamed(name), { seed });
    if (failure !== null) return failure instanceof Violation ? failure.rule : String(failure);
  }
  return "none";
}

Deno.test("the scenario sessions finds changes that aren't saved", async () => {
  using _ = plant(SessionStore.prototype, "markDirty", () => {});
  assertEquals(await ruleBrokenIn("sessions"), "changes kept");
});
