/**
 * Scenarios with rate limits: no host exceeds its limits, and no peer is disconnected because a limit makes it slow.
 *
 * @module
 */

import type { SimHost } from "./host.ts";
import { addPeer, addSeeder, drawScale, drawTorrent, endWell, type Scenario, startWithin } from "./scenario.ts";
import type { World } from "./world.ts";

/** Milliseconds between two checks. */
const LOOK_MS = 1_000;
/** Seconds of unused rate that a limit saves up. */
const BURST_SECONDS = 0.4;
/** Bytes per connection that may exceed a limit: its first bytes, and a block that was requested before. */
const SLIP = 16_384 + 256;
/** Matches the message when a slow peer is disconnected. */
const DROPPED = /silent for too long|for one message|does not read/;

interface Limits {
  readonly down?: number | null;
  readonly up?: number | null;
}

/** Checks periodically that a host keeps its limits, measured since its start or the last change of a limit. */
function watchLimits(
  world: World,
  host: SimHost,
): { change(limits: Limits, of: "session" | "torrent"): void } {
  let since = 0;
  let down = 0;
  let up = 0;
  const { maxDown = null, maxUp = null } = host.options.session;
  const limits = { session: { down: maxDown, up: maxUp }, torrent: { down: null, up: null } as Required<Limits> };
  /** Returns the lower of the limits of session and torrent in bytes a second, or `null` if there is none. */
  const rateOf = (way: "down" | "up") => {
    const rate = Math.min(limits.session[way] ?? Infinity, limits.torrent[way] ?? Infinity);
    return rate === Infinity ? null : rate;
  };
  const check = (what: string, { got, rate }: { readonly got: number; readonly rate: number | null }) => {
    if (rate === null) return;
    const passed = (world.clock.now() - since) / 1000;
    const connections = new Set(
      host.events.map((event) => event.event === "peer" && event.action === "connected" ? event.address : ""),
    ).size;
    const most = rate * (passed + BURST_SECONDS) + SLIP * connections;
    world.invariants.hold(
      "limits",
      host,
      got > most ? `${what}: ${Math.round(got)} bytes in ${passed} s at ${rate} B/s` : null,
    );
  };
  const look = () => {
    const swarm = host.torrent;
    if (!swarm || host.session === null) return;
    if (since === 0) since = world.clock.now() - LOOK_MS;
    check("down", { got: swarm.downloaded - down, rate: rateOf("down") });
    check("up", { got: swarm.uploaded - up, rate: rateOf("up") });
    const dropped = host.events.find((event) =>
      event.event === "peer" && event.action === "disconnected" && DROPPED.test(event.message)
    );
    const breach = dropped?.event === "peer" ? `it dropped ${dropped.address}: ${dropped.message}` : null;
    world.invariants.hold("limits", host, breach);
  };
  world.later(LOOK_MS, function again() {
    look();
    if (since === 0 || host.session !== null) world.later(LOOK_MS, again);
  });
  return {
    change(changed, of) {
      look();
      Object.assign(limits[of], changed);
      host[of]?.setLimits(changed);
      since = world.clock.now();
      down = host.torrent?.downloaded ?? 0;
      up = host.torrent?.uploaded ?? 0;
    },
  };
}

const limited: Scenario = {
  name: "limited",
  purpose: "Hosts have rate limits, some of them tiny, and change them: no limit is exceeded, and all finish.",
  async run(world) {
    drawTorrent(world, { pieces: [6, 30], pieceLengths: [16_384, 32_768, 65_536] });
    const rate = () => world.chance(0.3) ? null : drawScale(world, 1_000, 300_000);
    // A peer that gets no block in a minute gives up on the sender, so the seeder must not be that slow.
    const seeder = addSeeder(world, {
      session: { maxUp: world.chance(0.5) ? null : drawScale(world, 8_000, 300_000) },
    });
    const leechers = Array.from(
      { length: world.pick(1, 8) },
      (_, i) => addPeer(world, `peer${i + 1}`, { session: { maxDown: rate(), maxUp: rate() } }),
    );
    startWithin(world, leechers, 5_000);
    const watched = [seeder, ...leechers].map((host) => ({ host, watch: watchLimits(world, host) }));
    const { host, watch } = world.oneOf(watched);
    world.later(world.between(1_000, 60_000), () => {
      if (host.session !== null) {
        const limits = world.chance(0.3) ? { down: null, up: null } : { down: 200_000, up: 20_000 };
        watch.change(limits, world.chance(0.5) ? "session" : "torrent");
      }
    });
    const other = world.oneOf(watched);
    world.later(world.between(1_000, 60_000), () => {
      if (other.host.torrent !== null) other.watch.change({ down: 50_000, up: 30_000 }, "torrent");
    });
    await endWell(world, leechers);
  },
};

/** Scenarios with rate limits. */
export const LIMIT_SCENARIOS: readonly Scenario[] = [limited];
