import { assert, assertEquals } from "@std/assert";
import {
  MAX_METADATA,
  MAX_METADATA_ATTEMPTS,
  MAX_WRONG_METADATA,
  METADATA_AGAIN_MS,
  METADATA_EVICTED_MS,
  METADATA_FORGET_MS,
  METADATA_HEDGE_MS,
  METADATA_REFUSAL_MS,
} from "../../../src/base/defences.ts";
import { equalBytes } from "../../../src/base/bytes.ts";
import { METADATA_PART } from "../../../src/peer/mod.ts";
import { MetadataBudget } from "../../../src/swarm/metadata/metadata_budget.ts";
import { type MetadataProgress, MetadataScheduler } from "../../../src/swarm/metadata/metadata_scheduler.ts";
import { noise } from "../../support/payload.ts";
import { seededRandom } from "../../support/random.ts";

/** A peer of the pure tests. */
class Helper {
  readonly address: { readonly host: string; readonly port: number };
  constructor(host: string, readonly info: Uint8Array<ArrayBuffer>, port = 1) {
    this.address = { host, port };
  }

  part(part: number, now = 0): { data: Uint8Array; totalSize: number; now: number } {
    return {
      data: this.info.slice(part * METADATA_PART, (part + 1) * METADATA_PART),
      totalSize: this.info.length,
      now,
    };
  }
}

const payloads = new Map<number, Uint8Array<ArrayBuffer>>();

function payload(size: number): Uint8Array<ArrayBuffer> {
  const known = payloads.get(size);
  if (known) return known;
  const made = noise(size, size);
  payloads.set(size, made);
  return made;
}

/** Returns a copy with a wrong byte in a part. */
function spoilt(info: Uint8Array<ArrayBuffer>, part = 0): Uint8Array<ArrayBuffer> {
  const wrong = info.slice();
  wrong[part * METADATA_PART] = wrong[part * METADATA_PART]! ^ 1;
  return wrong;
}

function downloadOf<P extends { readonly address: { readonly host: string; readonly port: number } }>(
  info: Uint8Array,
  budget = new MetadataBudget(),
): MetadataScheduler<P> {
  const isSame = (parts: Iterable<Uint8Array>) => {
    let at = 0;
    for (const part of parts) {
      if (!equalBytes(part, info.subarray(at, at + part.length))) return false;
      at += part.length;
    }
    return at === info.length;
  };
  // As for a magnet link with two info-hashes, the parts are read twice.
  return new MetadataScheduler<P>({ budget, isRight: (parts) => isSame(parts) && isSame(parts) });
}

// A whole search, in virtual time.

/**
 * A peer's reaction to a request: milliseconds until the peer sends the part, or a kind of failure; `null` for silence.
 */
type Answer = (part: number, now: number) => number | "reject" | "die" | "other part" | "wrong size" | null;

/** A peer of {@linkcode play}. */
interface Actor {
  readonly host: string;
  readonly port?: number;
  /** Time of joining in milliseconds; 0 when absent. */
  readonly joins?: number;
  /** Metadata that the peer has; the right metadata when absent. */
  readonly info?: Uint8Array<ArrayBuffer>;
  /** Size that the peer claims; the size of its metadata when absent. */
  readonly size?: number;
  readonly answer: Answer;
  /** Milliseconds after which a peer that left returns. */
  readonly returns?: number;
}

interface Player {
  readonly actor: Actor;
  readonly address: { readonly host: string; readonly port: number };
  /** Time at which the peer can send its next answer. */
  free: number;
}

const quick: Answer = () => 50;
const silent: Answer = () => null;

/**
 * Plays a search in which each peer sends its answers one after the other.
 *
 * @returns Milliseconds until the metadata is complete (-1 for never), banned peers and requests.
 */
function play(
  info: Uint8Array,
  actors: readonly Actor[],
  options: { readonly limit?: number; readonly budget?: MetadataBudget } = {},
) {
  const { limit = 600_000, budget } = options;
  const download = downloadOf<Player>(info, budget);
  const banned = new Set<string>();
  const asked: { host: string; part: number; at: number }[] = [];
  const open = new Set<Player>();
  const events: { at: number; order: number; run: () => void }[] = [];
  let [now, order, found] = [0, 0, -1];
  const at = (time: number, run: () => void) => {
    events.push({ at: time, order: order++, run });
    events.sort((a, b) => a.at - b.at || a.order - b.order);
  };
  const leave = (player: Player) => {
    if (!open.delete(player)) return;
    download.left(player, now);
    if (player.actor.returns !== undefined) at(now + player.actor.returns, () => join(player.actor));
    askAll();
  };
  const ask = (player: Player) => {
    for (const part of download.ask(player, now)) {
      asked.push({ host: player.address.host, part, at: now });
      reply(player, part);
    }
  };
  const askAll = () => download.order(now).forEach(ask);
  const reply = (player: Player, part: number) => {
    const { answer, info: its = info, size = its.length } = player.actor;
    const what = answer(part, now);
    if (what === null) return;
    if (what === "die") return at(now + 20, () => leave(player));
    if (what === "reject") {
      return at(now + 20, () => open.has(player) && (download.rejected(player, part, now), ask(player)));
    }
    player.free = Math.max(player.free, now) + (typeof what === "number" ? what : 20);
    at(player.free, () => {
      if (!open.has(player)) return;
      const named = what === "other part" ? part + 1_000 : part;
      const length = Math.min(METADATA_PART, size - part * METADATA_PART);
      const data = new Uint8Array(what === "wrong size" ? length - 1 : length);
      data.set(its.subarray(part * METADATA_PART, part * METADATA_PART + data.length));
      const progress = download.received(player, named, { data, totalSize: size, now });
      if (progress.kind === "done") {
        assertEquals(progress.info, info);
        found = now;
      }
      if (progress.kind === "lie") {
        const liars = [...open].filter((one) =>
          one === progress.liar || (progress.ban && one.address.host === progress.liar.address.host)
        );
        for (const liar of liars) banned.add(`${liar.address.host} ${liar.address.port}`);
        liars.forEach(leave);
      }
      if (progress.kind === "distrust") askAll();
      ask(player);
    });
  };
  const join = (actor: Actor) => {
    const player = { actor, address: { host: actor.host, port: actor.port ?? 1 }, free: 0 };
    if (banned.has(`${player.address.host} ${player.address.port}`)) return;
    open.add(player);
    download.offered(player, actor.size ?? (actor.info ?? info).length, now);
    ask(player);
  };
  const tick = () => {
    askAll();
    at(now + 500, tick);
  };
  for (const actor of actors) at(actor.joins ?? 0, () => join(actor));
  at(250, tick);
  while (found < 0 && now < limit) {
    const next = events.shift()!;
    now = next.at;
    next.run();
  }
  download.stop();
  return { found, banned, asked };
}

/** Returns several equal peers, each with an address of its own. */
function crowd(count: number, actor: Omit<Actor, "host">, name = "x"): Actor[] {
  return Array.from({ length: count }, (_, i) => ({ ...actor, host: `${name}${i}` }));
}

const small = payload(2 * METADATA_PART + 5);
const middle = payload(40 * METADATA_PART);
const wrong = spoilt(middle, 7);
const drip: Answer = () => 6_500;

const SCENES: readonly {
  readonly name: string;
  readonly info: Uint8Array<ArrayBuffer>;
  readonly actors: readonly Actor[];
  /** The most milliseconds until the metadata is complete. */
  readonly within: number;
}[] = [
  {
    name: "one that says nothing, three good ones a second later",
    info: small,
    actors: [{ host: "mute", answer: silent }, ...crowd(3, { joins: 1_000, answer: quick })],
    within: 2_500,
  },
  {
    name: "one that says nothing, and one good one that came before it",
    info: small,
    actors: [{ host: "good", answer: () => 400 }, { host: "mute", answer: silent }],
    within: 3_000,
  },
  {
    name: "many parts, of which one that says nothing holds two",
    info: middle,
    actors: [{ host: "mute", answer: silent }, ...crowd(3, { joins: 300, answer: quick })],
    within: 3_000,
  },
  {
    name: "twenty that say nothing, one good one at last",
    info: small,
    actors: [...crowd(20, { answer: silent }, "mute"), { host: "good", joins: 5_000, answer: quick }],
    within: 6_000,
  },
  {
    name: "silent ones that come one after the other, just before each part is asked again",
    info: small,
    actors: [
      { host: "good", joins: 100, answer: quick },
      ...Array.from({ length: 30 }, (_, i) => ({ host: `mute${i}`, joins: i * 400, answer: silent })),
    ],
    within: 2_500,
  },
  {
    name: "one that gives all but the last part",
    info: middle,
    actors: [
      { host: "sly", answer: (part) => (part === 39 ? null : 10) },
      { host: "good", joins: 1_000, answer: quick },
    ],
    within: 3_500,
  },
  {
    name: "lines that die when they are asked for something, and come back",
    info: small,
    actors: [
      ...crowd(5, { answer: () => "die", returns: 1_000 }, "dead"),
      { host: "good", joins: 1_000, answer: quick },
    ],
    within: 2_000,
  },
  {
    name: "the only one dies after every second part, and comes back",
    info: middle,
    actors: [{ host: "shaky", answer: ((count) => () => (++count % 3 === 0 ? "die" : 50))(0), returns: 5_000 }],
    within: 400_000,
  },
  {
    name: "answers with another part's number",
    info: middle,
    actors: [...crowd(3, { answer: () => "other part" }, "odd"), { host: "good", joins: 500, answer: quick }],
    within: 4_000,
  },
  {
    name: "parts that are too short",
    info: middle,
    actors: [...crowd(3, { answer: () => "wrong size" }, "short"), { host: "good", joins: 500, answer: quick }],
    within: 3_000,
  },
  {
    name: "all turn down everything but one that comes later",
    info: small,
    actors: [...crowd(10, { answer: () => "reject" }, "mean"), { host: "good", joins: 3_000, answer: quick }],
    within: 4_000,
  },
  {
    name: "the only one turns down each part the first time",
    info: small,
    actors: [{
      host: "moody",
      answer: ((seen) => (part) => seen.has(part) ? 50 : (seen.add(part), "reject"))(new Set()),
    }],
    within: 20_000,
  },
  {
    name: "the only one loses the first request for each part",
    info: small,
    actors: [{ host: "deaf", answer: ((seen) => (part) => seen.has(part) ? 50 : (seen.add(part), null))(new Set()) }],
    within: 60_000,
  },
  {
    name: "four that name huge sizes and drip, an honest one 4 s later",
    info: small,
    actors: [
      ...[1, 2, 3, 4].map((i) => ({ host: `drip${i}`, info: payload(1), size: MAX_METADATA - i, answer: drip })),
      { host: "good", joins: 4_000, answer: quick },
    ],
    within: 5_000,
  },
  {
    name: "forty that name sizes of their own and drip, an honest one 30 s later",
    info: middle,
    actors: [
      ...Array.from({ length: 40 }, (_, i) => ({
        host: `drip${i}`,
        info: payload(1),
        size: 100 * METADATA_PART + i,
        answer: () => 1_500,
      })),
      { host: "good", joins: 30_000, answer: quick },
    ],
    within: 34_000,
  },
  {
    name: "as many places as there are taken by quick ones that name large sizes, an honest slow one later",
    info: small,
    actors: [
      ...Array.from({ length: 8 }, (_, i) => ({
        host: `quick${i}`,
        info: payload(1),
        size: MAX_METADATA - i,
        answer: () => 20,
      })),
      { host: "good", joins: 2_000, answer: () => 900 },
    ],
    within: 6_000,
  },
  {
    name: "drips at the right size, beside one honest",
    info: middle,
    actors: [...crowd(6, { answer: drip }, "drip"), { host: "good", joins: 1_000, answer: quick }],
    within: 6_000,
  },
  {
    name: "ten that send a wrong part, one honest",
    info: middle,
    actors: [...crowd(10, { info: wrong, answer: quick }, "liar"), { host: "good", joins: 200, answer: quick }],
    within: 15_000,
  },
  {
    name: "ten that spoil the first part and then say nothing, one honest",
    info: middle,
    actors: [
      ...Array.from({ length: 10 }, (_, i) => ({
        host: `liar${i}`,
        info: wrong,
        answer: ((count) => () => (count++ < 2 ? 20 : null))(0),
      })),
      { host: "good", joins: 200, answer: quick },
    ],
    within: 12_000,
  },
  {
    name: "an honest one behind the same address as a liar",
    info: middle,
    actors: [
      { host: "nat", port: 1, info: wrong, answer: quick },
      { host: "nat", port: 2, answer: quick },
    ],
    within: 6_000,
  },
  {
    name: "many liars on ports of one address, one honest elsewhere",
    info: middle,
    actors: [
      ...Array.from({ length: 12 }, (_, i) => ({ host: "sock", port: i + 1, info: wrong, answer: () => 30 })),
      { host: "good", joins: 500, answer: quick },
    ],
    within: 10_000,
  },
  {
    name: "the only one is honest and slow: 20 KB a second",
    info: payload(60 * METADATA_PART),
    actors: [{ host: "slow", answer: () => 800 }],
    within: 60 * 800 + 500,
  },
  {
    name: "the only one is honest and takes ten seconds for a part",
    info: middle,
    actors: [{ host: "slow", answer: () => 10_000 }],
    within: 500_000,
  },
];

for (const { name, info, actors, within } of SCENES) {
  Deno.test(`MetadataDownload is quick enough with ${name}`, () => {
    const { found, banned } = play(info, actors);
    assert(found >= 0 && found <= within, `it took ${found} ms`);
    assert(![...banned].some((host) => host.startsWith("good") || host.startsWith("slow")), [...banned].join());
  });
}

Deno.test("MetadataScheduler shuts out those who sent what was wrong, and an address that did so on many ports", () => {
  const honest = { host: "good", joins: 3_000, answer: () => 400 };
  const sock = Array.from({ length: 6 }, (_, i) => ({ host: "sock", port: i + 1, info: wrong, answer: () => 5 }));
  const { found, banned } = play(middle, [...sock, honest]);
  assert(found > 0);
  assertEquals([...banned].filter((one) => one.startsWith("sock")).length, 6);
  assert(MAX_WRONG_METADATA < 6);
  const { banned: liars } = play(middle, [...crowd(3, { info: wrong, answer: () => 5 }, "liar"), honest]);
  assertEquals([...liars].sort(), ["liar0 1", "liar1 1", "liar2 1"]);
});

Deno.test("MetadataScheduler doesn't shut out this machine for the lies of some of its programs", () => {
  const programs = Array.from(
    { length: 6 },
    (_, i) => ({ host: "127.0.0.1", port: i + 1, info: wrong, answer: () => 5 }),
  );
  const { found, banned } = play(middle, [...programs, { host: "127.0.0.1", port: 9, answer: () => 400 }]);
  assert(found > 0);
  assertEquals(banned.size, 6);
});

Deno.test("MetadataScheduler finds the liars among those who helped, whatever the order", () => {
  for (let seed = 1; seed <= 30; seed++) {
    const random = seededRandom(seed);
    const actors = Array.from({ length: 6 }, (_, i) => ({
      host: `${i < 3 ? "liar" : "good"}${i}`,
      ...(i < 3 && { info: spoilt(middle, Math.floor(random() * 40)) }),
      joins: Math.floor(random() * 1_000),
      answer: () => Math.floor(random() * 300),
    }));
    const { found, banned } = play(middle, actors, { limit: 60_000 });
    assert(found >= 0, `seed ${seed}`);
    for (const host of banned) assert(host.startsWith("liar"), `seed ${seed}: ${host} is honest`);
  }
});

Deno.test("MetadataScheduler doesn't ask a peer that keeps it waiting for anything more while others answer", () => {
  const { asked } = play(middle, [{ host: "mute", answer: silent }, ...crowd(2, { joins: 500, answer: () => 900 })]);
  assertEquals(asked.filter(({ host }) => host === "mute").length, 2);
});

// Single decisions.

Deno.test("MetadataScheduler asks several peers for different parts, for more as they answer quickly", () => {
  const info = payload(10 * METADATA_PART + 5);
  const download = downloadOf<Helper>(info);
  const helpers = ["a", "b", "c"].map((host) => new Helper(host, info));
  for (const helper of helpers) download.offered(helper, info.length, 0);
  assertEquals(helpers.map((helper) => download.ask(helper, 0)), [[0, 1], [2, 3], [4, 5]]);
  assertEquals(download.ask(helpers[0]!, 0), []);
  assertEquals(download.received(helpers[0]!, 0, helpers[0]!.part(0, 100)).kind, "more");
  assertEquals(download.ask(helpers[0]!, 100), [6, 7]);
  assertEquals(download.progress, 1 / 11);
});

Deno.test("MetadataScheduler asks the next one for what is late or turned down or was taken along, and takes late answers", () => {
  const info = payload(METADATA_PART);
  const download = downloadOf<Helper>(info);
  const [slow, mean, gone, good] = ["a", "b", "c", "d"].map((host) => new Helper(host, info)) as Helper[];
  for (const helper of [slow, mean, gone, good]) download.offered(helper!, info.length, 0);
  assertEquals(download.ask(slow!, 0), [0]);
  // No peer has sent anything so far. New peers are tried, too, but not all at once.
  assertEquals(download.ask(mean!, 0), [0]);
  assertEquals(download.ask(gone!, 0), [0]);
  assertEquals(download.ask(good!, 0), []);
  download.rejected(mean!, 0, 0);
  download.left(gone!, 0);
  assertEquals(download.ask(mean!, METADATA_REFUSAL_MS - 1), []);
  assertEquals(download.ask(mean!, METADATA_HEDGE_MS), [0]);
  assertEquals(download.ask(good!, METADATA_HEDGE_MS), [0]);
  assertEquals(download.ask(slow!, METADATA_HEDGE_MS), []);
  assertEquals(download.received(slow!, 0, slow!.part(0, 2 * METADATA_HEDGE_MS)).kind, "done");
});

Deno.test("MetadataScheduler doesn't hold late answers against anybody, but takes nothing that it did not ask for", () => {
  const info = payload(3 * METADATA_PART);
  const download = downloadOf<Helper>(info);
  const [slow, good] = [new Helper("a", info), new Helper("b", info)];
  download.offered(slow, info.length, 0);
  assertEquals(download.received(slow, 0, slow.part(0)).kind, "unwanted");
  assertEquals(download.ask(slow, 0), [0, 1]);
  download.offered(good, info.length, 0);
  download.ask(good, METADATA_HEDGE_MS);
  const now = METADATA_HEDGE_MS + 10;
  assertEquals(download.received(good, 0, good.part(0, now)).kind, "more");
  assertEquals(download.received(slow, 0, slow.part(0, now)).kind, "more");
  assertEquals(download.received(slow, 0, slow.part(0, now)).kind, "unwanted");
  // A peer that now names another size may still answer earlier requests.
  download.offered(slow, 5, now);
  assertEquals(download.received(slow, 1, slow.part(1, now)).kind, "more");
  assertEquals(download.received(slow, 1, slow.part(1, now)).kind, "unwanted");
});

Deno.test("MetadataScheduler asks the only one that doesn't answer again, ever more seldom", () => {
  const info = payload(METADATA_PART);
  const download = downloadOf<Helper>(info);
  const only = new Helper("a", info);
  download.offered(only, info.length, 0);
  const times: number[] = [];
  for (let now = 0; now <= 200_000; now += 500) if (download.ask(only, now).length > 0) times.push(now);
  const first = METADATA_AGAIN_MS;
  assertEquals(times, [0, first, 3 * first, 7 * first, 7 * first + 60_000, 7 * first + 120_000]);
});

Deno.test("MetadataScheduler names those that don't answer, so that others can have their places", () => {
  const info = payload(3 * METADATA_PART);
  const download = downloadOf<Helper>(info);
  const [mute, good] = [new Helper("a", info), new Helper("b", info)];
  for (const helper of [mute, good]) {
    download.offered(helper, info.length, 0);
    download.ask(helper, 0);
  }
  assertEquals([...download.silent(METADATA_AGAIN_MS - 1)], []);
  assertEquals(download.received(good, 2, good.part(2, 100)).kind, "more");
  assertEquals([...download.silent(METADATA_AGAIN_MS)], [mute]);
});

Deno.test("MetadataScheduler lets only so many sizes go on at the same time, but tries everybody", () => {
  const info = payload(3 * METADATA_PART);
  const download = downloadOf<Helper>(info);
  const liars = Array.from({ length: 12 }, (_, i) => new Helper(`liar${i}`, payload((i + 5) * METADATA_PART)));
  for (const liar of liars) download.offered(liar, liar.info.length, 0);
  for (const liar of liars) assert(download.ask(liar, 0).length > 0);
  for (const liar of liars) download.received(liar, 0, liar.part(0, 100));
  const working = liars.filter((liar) => download.ask(liar, 100).length > 0);
  assertEquals(working.length, MAX_METADATA_ATTEMPTS);
  const honest = new Helper("honest", info);
  download.offered(honest, info.length, 200);
  assert(download.ask(honest, 200).length > 0);
});

Deno.test("MetadataScheduler keeps what came for a while when all are gone, but not for ever", () => {
  const info = payload(3 * METADATA_PART);
  const budget = new MetadataBudget();
  const download = downloadOf<Helper>(info, budget);
  const [one, two] = [new Helper("a", info), new Helper("b", info)];
  download.offered(one, info.length, 0);
  assertEquals(download.ask(one, 0), [0, 1]);
  download.received(one, 0, one.part(0));
  download.left(one, 0);
  assertEquals(download.order(METADATA_FORGET_MS - 1), []);
  download.offered(two, info.length, METADATA_FORGET_MS - 1);
  assertEquals(download.ask(two, METADATA_FORGET_MS - 1), [1, 2]);
  download.left(two, METADATA_FORGET_MS);
  download.order(3 * METADATA_FORGET_MS);
  assertEquals(budget.used, 0);
});

// Memory.

/** Lets a peer send every requested part except the last `keepBack` parts. */
function fill(
  download: MetadataScheduler<Helper>,
  helper: Helper,
  options: { now: number; keepBack?: number },
): number {
  const { now, keepBack = 1 } = options;
  const count = Math.ceil(helper.info.length / METADATA_PART);
  let given = 0;
  for (let parts = download.ask(helper, now); parts.length > 0; parts = download.ask(helper, now)) {
    for (const part of parts) {
      if (part >= count - keepBack) return given;
      const progress: MetadataProgress<Helper> = download.received(helper, part, helper.part(part, now));
      if (progress.kind === "done") return given + 1;
      given++;
    }
  }
  return given;
}

Deno.test("MetadataBudget bounds what all torrents hold, and lets an honest one have the place of the silent", () => {
  const budget = new MetadataBudget(16 * METADATA_PART);
  for (let torrent = 0; torrent < 4; torrent++) {
    const download = downloadOf<Helper>(payload(1), budget);
    for (let i = 0; i < 4; i++) {
      const liar = new Helper(`liar${i}`, payload(METADATA_PART * (10 + i)));
      download.offered(liar, liar.info.length, 0);
      fill(download, liar, { now: 0 });
      assert(budget.used <= budget.limit);
    }
  }
  assertEquals(budget.used, budget.limit);
  const info = payload(12 * METADATA_PART);
  const download = downloadOf<Helper>(info, budget);
  const honest = new Helper("honest", info);
  download.offered(honest, info.length, 10_000);
  assertEquals(fill(download, honest, { now: 10_000, keepBack: 0 }), 12);
});

Deno.test("MetadataBudget gives one that has just lost its memory no chance to take it back at once", () => {
  const budget = new MetadataBudget(8 * METADATA_PART);
  const [first, second] = [downloadOf<Helper>(payload(1), budget), downloadOf<Helper>(payload(1), budget)];
  const info = payload(9 * METADATA_PART);
  const [liar, other] = [new Helper("a", info), new Helper("b", info)];
  first.offered(liar, info.length, 0);
  fill(first, liar, { now: 0 });
  second.offered(other, info.length, 9_000);
  assert(fill(second, other, { now: 9_000 }) > 0);
  assertEquals(first.progress, 0);
  assertEquals(first.ask(liar, 9_000 + METADATA_EVICTED_MS - 1), []);
});

Deno.test("MetadataBudget lets the largest dictionary through while others fill all memory and go on sending", () => {
  const budget = new MetadataBudget(64 * METADATA_PART);
  const info = payload(32 * METADATA_PART);
  const honest = {
    download: downloadOf<Helper>(info, budget),
    helper: new Helper("honest", info),
    asked: [] as number[],
  };
  const liars = Array.from({ length: 9 }, (_, i) => ({
    download: downloadOf<Helper>(payload(1), budget),
    helper: new Helper(`liar${i}`, payload(32 * METADATA_PART)),
    asked: [] as number[],
  }));
  const all = [...liars, honest];
  for (const { download, helper } of all) download.offered(helper, helper.info.length, 0);
  let found = -1;
  for (let now = 0; now < 120_000 && found < 0; now += 100) {
    for (const one of all) {
      one.download.order(now);
      one.asked.push(...one.download.ask(one.helper, now));
      // The liars are half as fast, and send nothing of the last quarter.
      if (one !== honest && now % 200 === 0) continue;
      const part = one.asked.shift();
      if (part === undefined || (one !== honest && part >= 24)) continue;
      if (one.download.received(one.helper, part, one.helper.part(part, now)).kind === "done") found = now;
      assert(budget.used <= budget.limit);
    }
  }
  assert(found > 0 && found < 60_000, `${found} ms`);
});
