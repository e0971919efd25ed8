import { assertEquals } from "@std/assert";
import { encodeCompactPeer, type PeerAddress } from "../../src/base/address.ts";
import { concatBytes, utf8 } from "../../src/base/bytes.ts";
import { InfoHash } from "../../src/base/info_hash.ts";
import { MAX_NAMED_PEERS } from "../../src/base/defences.ts";
import type { Reach } from "../../src/base/networks.ts";
import { Announcer } from "../../src/tracker/announcer.ts";
import { reachOfHost } from "../../src/tracker/credible_peers.ts";
import { ScriptedTrackers } from "../support/scripted_trackers.ts";
import { announceReply, connectReply, TrackerWay, UdpWorld } from "../support/udp_world.ts";
import { settle, VirtualClock } from "../support/virtual_clock.ts";

const LOOPBACK = ["127.0.0.1", "::1", "64:ff9b::7f00:1"];
const LAN = ["192.168.1.1", "10.0.0.9", "fd00::9", "2002:c0a8:101::1"];
const PUBLIC = ["8.8.8.8", "2a00::1"];
const NOBODY = ["0.0.0.0", "224.0.0.1", "255.255.255.255"];
const ALL = [...LOOPBACK, ...LAN, ...PUBLIC, ...NOBODY];
const compact = (family: 4 | 6) => {
  return concatBytes(
    ALL.filter((host) => host.includes(":") === (family === 6)).map((host) => encodeCompactPeer({ host, port: 7 })!),
  );
};
const dictionaries = ALL.map((ip) => ({ ip, port: 7 }));

/** Returns the peers that an announcer passes on from the reply of a tracker at `url`. */
async function believed(
  url: string,
  options: {
    readonly form?: "compact" | "dictionaries";
    readonly isPrivate?: boolean;
    readonly names?: Record<string, string[]>;
    readonly reach?: Reach;
  } = {},
): Promise<string[]> {
  const { form = "compact", names = {} } = options;
  const reply = form === "compact" ? { peers: compact(4), peers6: compact(6) } : { peers: dictionaries };
  const world = new ScriptedTrackers(() => ({
    reply: { interval: 1800, complete: 1, incomplete: 9, ...reply },
    ...(options.reach && { reach: options.reach }),
  }));
  const found: string[] = [];
  const announcer = new Announcer({
    platform: Object.assign(world, {
      net: { resolve: (name: string) => Promise.resolve(names[name] ?? []) },
    }),
    tiers: [[url]],
    infoHash: new InfoHash(new Uint8Array(20)),
    peerId: utf8("-SH0100-abcdefghijkl"),
    port: 6881,
    isPrivate: () => options.isPrivate ?? false,
    progress: () => ({ uploaded: 0, downloaded: 0, left: 1 }),
    onPeers: (peers) => found.push(...peers.map(({ host }) => host)),
    onReport: () => {},
    wantedPeers: () => 50,
  });
  announcer.start();
  await settle();
  await announcer.stop();
  return found.toSorted();
}

Deno.test("HttpTracker believes a tracker about the networks that it can know, in every form", async () => {
  const names = {
    "split.example": ["10.1.2.3"],
    "evil.example": ["9.9.9.9", "192.168.1.1"],
    "here.example": ["127.0.0.1"],
  };
  const cases: readonly (readonly [url: string, hosts: readonly string[]])[] = [
    ["http://9.9.9.9/a", PUBLIC],
    ["http://[2001:db8::1]/a", PUBLIC],
    ["https://evil.example/a", PUBLIC],
    ["http://unknown.example/a", PUBLIC],
    ["http://192.168.7.7:6969/a", [...LAN, ...PUBLIC]],
    ["http://[fd00::5]/a", [...LAN, ...PUBLIC]],
    ["http://split.example/a", [...LAN, ...PUBLIC]],
    ["http://nas/a", [...LAN, ...PUBLIC]],
    ["http://127.0.0.1:1/a", [...LOOPBACK, ...LAN, ...PUBLIC]],
    ["http://[::1]/a", [...LOOPBACK, ...LAN, ...PUBLIC]],
    ["http://localhost:1/a", [...LOOPBACK, ...LAN, ...PUBLIC]],
    ["http://here.example/a", [...LOOPBACK, ...LAN, ...PUBLIC]],
  ];
  for (const [url, hosts] of cases) {
    for (const form of ["compact", "dictionaries"] as const) {
      assertEquals(await believed(url, { form, names }), hosts.toSorted(), `${url} ${form}`);
    }
  }
});

Deno.test("HttpTracker goes by the addresses that were asked, whatever a name stands for afterwards", async () => {
  const names = { "turning.example": ["127.0.0.1"] };
  for (const reach of ["internet", "network", "machine"] as const) {
    const hosts = { internet: PUBLIC, network: [...LAN, ...PUBLIC], machine: [...LOOPBACK, ...LAN, ...PUBLIC] };
    assertEquals(await believed("http://turning.example/a", { names, reach }), hosts[reach].toSorted(), reach);
  }
});

Deno.test("HttpTracker looks a few peers up that are named, and believes their addresses as all others", async () => {
  const names = ["one.example", "two.example", "three", "four.example", "five.example"];
  const peers = [...names, "8.8.8.8", "1.2.3", "a b", "-", "x.9", ""].map((ip) => ({ ip, port: 7 }));
  const world = new ScriptedTrackers(() => ({ reply: { interval: 1800, peers } }));
  const asked: string[] = [];
  const found: PeerAddress[] = [];
  const resolve = (name: string) => {
    asked.push(name);
    if (name === "two.example") return Promise.reject(new Error("not known"));
    return Promise.resolve(name === "three" ? ["192.168.1.1", "127.0.0.1"] : ["9.9.9.1", "2a00::1"]);
  };
  const announcer = new Announcer({
    platform: Object.assign(world, { net: { resolve } }),
    tiers: [["http://9.9.9.9/a"]],
    infoHash: new InfoHash(new Uint8Array(20)),
    peerId: utf8("-SH0100-abcdefghijkl"),
    port: 6881,
    progress: () => ({ uploaded: 0, downloaded: 0, left: 1 }),
    onPeers: (peers) => found.push(...peers),
    onReport: () => {},
    wantedPeers: () => 50,
  });
  announcer.start();
  await settle();
  assertEquals(asked, names.slice(0, MAX_NAMED_PEERS));
  assertEquals(found.map(({ host }) => host), ["8.8.8.8", "9.9.9.1", "2a00::1", "9.9.9.1", "2a00::1"]);
  await announcer.stop();
});

Deno.test("HttpTracker believes the tracker of a private torrent about local networks, but not about this machine", async () => {
  assertEquals(await believed("http://9.9.9.9/a", { isPrivate: true }), [...LAN, ...PUBLIC].toSorted());
  assertEquals(
    await believed("http://127.0.0.1/a", { isPrivate: true }),
    [...LOOPBACK, ...LAN, ...PUBLIC].toSorted(),
  );
});

Deno.test("UdpTracker believes a tracker by the address that answers, whatever else its name stands for", async () => {
  const world = new UdpWorld();
  world.names.set("evil.example", ["9.9.9.9", "fd00::1"]);
  world.answer = (datagram) => {
    if (datagram.isConnect) return [{ bytes: connectReply(datagram) }];
    const family = datagram.parts.to.startsWith("[") ? 6 : 4;
    return [{ bytes: announceReply(datagram, { leechers: 9, peers: [...compact(family)] }) }];
  };
  const found: PeerAddress[] = [];
  const announcer = new Announcer({
    platform: world,
    tiers: [["udp://evil.example:80"]],
    infoHash: new InfoHash(new Uint8Array(20)),
    peerId: utf8("-SH0100-abcdefghijkl"),
    port: 6881,
    udp: new TrackerWay(world).udp,
    progress: () => ({ uploaded: 0, downloaded: 0, left: 1 }),
    onPeers: (peers) => found.push(...peers),
    onReport: () => {},
    wantedPeers: () => 50,
  });
  announcer.start();
  await world.play(2000);
  const expected = ["8.8.8.8", "2a00::1", "fd00::9", "2002:c0a8:101::1"];
  assertEquals(found.map(({ host }) => host).toSorted(), expected.toSorted());
  await Promise.all([announcer.stop(), world.play(3000)]);
});

Deno.test("reachOfHost() does not wait for a name server that hangs", async () => {
  const clock = new VirtualClock();
  let reach = "";
  void reachOfHost("a.example", { platform: clock, resolve: () => new Promise(() => {}) }).then((found) =>
    reach = found
  );
  await clock.play(5_000);
  assertEquals([reach, clock.pending], ["internet", 0]);
});

Deno.test("Announcer says so when nothing of what a tracker names can be believed", async () => {
  const peers = encodeCompactPeer({ host: "10.0.0.1", port: 7 })!;
  const world = new ScriptedTrackers(() => ({ reply: { interval: 1800, complete: 1, incomplete: 1, peers } }));
  const told: string[] = [];
  const announcer = new Announcer({
    platform: world,
    tiers: [["http://9.9.9.9/a"]],
    infoHash: new InfoHash(new Uint8Array(20)),
    peerId: utf8("-SH0100-abcdefghijkl"),
    port: 6881,
    progress: () => ({ uploaded: 0, downloaded: 0, left: 1 }),
    onPeers: () => told.push("peers"),
    onReport: ({ status, peers, message }) => told.push(`${status} ${peers} ${message}`),
    wantedPeers: () => 50,
  });
  announcer.start();
  await settle();
  assertEquals(told, ["warning 0 it names addresses (1) that lead nowhere, or into networks that it is not in"]);
  await announcer.stop();
});
