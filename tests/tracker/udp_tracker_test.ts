import { assertEquals, assertMatch } from "@std/assert";
import type { PeerAddress } from "../../src/base/address.ts";
import { fromUtf8, utf8 } from "../../src/base/bytes.ts";
import { InfoHash } from "../../src/base/info_hash.ts";
import type { AnnounceProgress } from "../../src/tracker/announce_request.ts";
import { Announcer, type AnnouncerOptions, type TrackerReport } from "../../src/tracker/announcer.ts";
import type { UdpTrackers } from "../../src/tracker/udp_trackers.ts";
import {
  announceReply,
  connectReply,
  Datagram,
  errorReply,
  goodTracker,
  TrackerWay,
  UdpWorld,
} from "../support/udp_world.ts";

const MINUTE = 60_000;
const A = "udp://10.0.0.1:6969/announce";
const A_ADDRESS = { host: "10.0.0.1", port: 6969 };
const PEER = [10, 0, 0, 9, 0x1a, 0xe1];
const PEER6 = [0x2a, ...new Array<number>(14).fill(0), 9, 0x1a, 0xe1];

/** Announcers of one session. */
class Bench {
  readonly world = new UdpWorld();
  readonly peers: PeerAddress[] = [];
  readonly reports: TrackerReport[] = [];
  progress: AnnounceProgress = { uploaded: 1, downloaded: 2, left: 3 };
  readonly way: TrackerWay;
  readonly udp: UdpTrackers;
  readonly announcer: Announcer;

  constructor(tiers: string[][], options: { readonly bind?: string } = {}) {
    this.way = new TrackerWay(this.world, options.bind);
    this.udp = this.way.udp;
    this.announcer = this.announcerFor(tiers);
  }

  announcerFor(tiers: string[][], more: Partial<AnnouncerOptions> = {}): Announcer {
    return new Announcer({
      platform: this.world,
      tiers,
      infoHash: new InfoHash(new Uint8Array(20).fill(65)),
      peerId: utf8("-SH0100-abcdefghijkl"),
      port: 6881,
      udp: this.udp,
      progress: () => this.progress,
      onPeers: (peers) => this.peers.push(...peers),
      onReport: (report) => this.reports.push(report),
      wantedPeers: () => 50,
      ...more,
    });
  }

  get outcomes(): string[] {
    return this.reports.map(({ status, message }) => message === "" ? status : message);
  }
}

Deno.test("UdpTracker connects, announces as BEP 15 has it, and hands on peers and counts", async () => {
  const bench = new Bench([[A]]);
  bench.world.answer = goodTracker({ peers: PEER });
  bench.announcer.start();
  await bench.world.play(0);
  assertEquals(bench.world.log, ["0 10.0.0.1:6969 connect", "0 10.0.0.1:6969 started"]);
  assertEquals(bench.reports, [{ url: A, status: "ok", seeders: 1, leechers: 2, peers: 1, message: "" }]);
  assertEquals(bench.peers, [{ host: "10.0.0.9", port: 6881 }]);
  const { bytes, connectionId } = bench.world.sent[1]!;
  const view = new DataView(bytes.buffer);
  assertEquals(connectionId, 7n);
  assertEquals(bytes.subarray(16, 36), new Uint8Array(20).fill(65));
  assertEquals(fromUtf8(bytes.subarray(36, 56)), "-SH0100-abcdefghijkl");
  assertEquals([view.getUint32(84), view.getInt32(92), view.getUint16(96)], [0, 50, 6881]);
  bench.progress = { uploaded: 11, downloaded: 22, left: 3 };
  await bench.announcer.stop();
  const sums = [view, new DataView(bench.world.sent[2]!.bytes.buffer)].map((view) =>
    [56, 64, 72].map((at) => view.getBigInt64(at))
  );
  assertEquals(sums, [[0n, 3n, 0n], [20n, 3n, 10n]], "downloaded and uploaded since it was told that we started");
});

Deno.test("UdpTracker tells the tracker its path and query, and a long one in several options (BEP 41)", async () => {
  const long = `/announce?pass=${"x".repeat(300)}`;
  const bench = new Bench([[`udp://10.0.0.1:1${long}`], ["udp://10.0.0.1:2"]]);
  bench.world.answer = (datagram) => [{
    bytes: datagram.isConnect ? connectReply(datagram) : errorReply(datagram, "no"),
  }];
  bench.announcer.start();
  await bench.world.play(0);
  const [first, second] = bench.world.sent.filter((datagram) => !datagram.isConnect);
  const options = first!.bytes.subarray(98);
  assertEquals([options[0], options[1], options[257], options[258]], [2, 255, 2, long.length - 255]);
  assertEquals(fromUtf8(options.subarray(2, 257))! + fromUtf8(options.subarray(259, -1)), long);
  assertEquals(options.at(-1), 0);
  assertEquals(second!.bytes.length, 98);
});

Deno.test("UdpTracker uses a connection id for a minute, for all torrents, and then asks for another", async () => {
  const bench = new Bench([[A]]);
  bench.world.answer = goodTracker({ interval: 30 });
  const other = bench.announcerFor([[A]]);
  bench.announcer.start();
  other.start();
  await bench.world.play(61_000);
  assertEquals(bench.world.log.map((line) => line.replace(" 10.0.0.1:6969", "")), [
    ...["0 connect", "0 started", "0 started", "30000 -", "30000 -", "60000 connect", "60000 -", "60000 -"],
  ]);
  assertEquals(bench.world.sockets.length, 1);
});

Deno.test("UdpTracker sends lost requests again, holds others up for 5 s, and is given up after 15 s", async () => {
  const bench = new Bench([[A], ["udp://10.0.0.2:6969"]]);
  const good = goodTracker({ peers: [10, 0, 0, 3, 0, 9] });
  bench.world.answer = (datagram) => datagram.parts.to.startsWith("10.0.0.2") ? good(datagram) : [];
  bench.announcer.start();
  await bench.world.play(MINUTE);
  assertEquals(bench.world.log, [
    ...[0, 2500].map((at) => `${at} 10.0.0.1:6969 connect`),
    ...["5000 10.0.0.2:6969 connect", "5000 10.0.0.2:6969 started"],
    "7500 10.0.0.1:6969 connect",
  ]);
  assertEquals(bench.outcomes, ["ok", "no answer within 15 s"]);
});

Deno.test("UdpTracker keeps to the 15 * 2 ^ n seconds of BEP 15 where there is time", async () => {
  const bench = new Bench([]);
  const announcer = bench.announcerFor([[A]], { timeout: 120 * MINUTE });
  announcer.start();
  await bench.world.play(119 * MINUTE);
  const waits = bench.world.sent.map(({ parts }, i, all) => (parts.at - (all[i - 1]?.parts.at ?? 0)) / 1000);
  assertEquals(waits, [0, 15, 30, 60, 120, 240, 480, 960, 1920]);
});

Deno.test("UdpTracker finds its way past lost answers of either kind", async () => {
  const bench = new Bench([[A]]);
  const good = goodTracker();
  bench.world.answer = (datagram) => [1, 3].includes(bench.world.sent.length) ? [] : good(datagram);
  bench.announcer.start();
  await bench.world.play(MINUTE);
  assertEquals(bench.world.log, [
    ...["0 10.0.0.1:6969 connect", "2500 10.0.0.1:6969 connect"],
    ...["2500 10.0.0.1:6969 started", "5000 10.0.0.1:6969 started"],
  ]);
  assertEquals(bench.outcomes, ["ok"]);
});

Deno.test("UdpTracker takes an answer that comes after it has asked again", async () => {
  const bench = new Bench([[A]]);
  bench.world.answer = (datagram) => {
    if (datagram.isConnect) return [{ bytes: connectReply(datagram) }];
    bench.world.after(4000, () => datagram.parts.from.deliver(announceReply(datagram), A_ADDRESS));
    return [];
  };
  bench.announcer.start();
  await bench.world.play(5000);
  assertEquals(bench.outcomes, ["ok"]);
});

Deno.test("UdpTracker believes nobody who has the wrong transaction id, or another address or port", async () => {
  const bench = new Bench([[A]]);
  const evil = { peers: [6, 6, 6, 6, 6, 6] };
  bench.world.answer = (datagram) => {
    const wrong = new Datagram(datagram.bytes, datagram.parts);
    wrong.bytes[15]! ^= 1;
    const reply = (to: Datagram) => to.isConnect ? connectReply(to, 666n) : announceReply(to, evil);
    return [
      { bytes: reply(wrong) },
      { bytes: reply(datagram), from: { host: "10.0.0.66", port: 6969 } },
      { bytes: reply(datagram), from: { host: "10.0.0.1", port: 6970 } },
      { bytes: new Uint8Array(7) },
      { bytes: new Uint8Array(0) },
    ];
  };
  bench.announcer.start();
  await bench.world.play(15_000);
  assertEquals(bench.outcomes, ["no answer within 15 s"]);
  assertEquals([bench.peers, bench.world.sent.filter((datagram) => !datagram.isConnect)], [[], []]);
});

Deno.test("UdpTracker says what is wrong with an answer", async () => {
  for (
    const [kind, mangle, message] of [
      ["connect", (reply: Uint8Array) => reply.subarray(0, 12), "the answer is cut short: 12 bytes instead of 16"],
      ["connect", (reply: Uint8Array) => reply.with(3, 1), "the answer is not that of a tracker"],
      ["announce", (reply: Uint8Array) => reply.subarray(0, 19), "the answer is cut short: 19 bytes instead of 20"],
      ["announce", (reply: Uint8Array) => reply.with(3, 0), "the answer is not that of a tracker"],
      ["connect", (reply: Uint8Array) => reply.with(3, 3).subarray(0, 8), "no reason given"],
    ] as const
  ) {
    const bench = new Bench([[A]]);
    bench.world.answer = (datagram) => {
      const isMangled = datagram.isConnect === (kind === "connect");
      const reply = datagram.isConnect ? connectReply(datagram) : announceReply(datagram);
      return [{ bytes: isMangled ? mangle(reply) : reply }];
    };
    bench.announcer.start();
    await bench.world.play(0);
    assertEquals(bench.outcomes, [message]);
  }
});

Deno.test("UdpTracker shows why a tracker refuses, fit to print", async () => {
  const bench = new Bench([[A]]);
  bench.world.answer = (datagram) => [{
    bytes: datagram.isConnect ? connectReply(datagram) : errorReply(datagram, "not \x1b[31mhere\n\u202e"),
  }];
  bench.announcer.start();
  await bench.world.play(0);
  assertEquals(bench.outcomes, ["not [31mhere"]);
});

Deno.test("UdpTracker takes a refusal of an old connection id for a reason to ask for a new one, once", async () => {
  const bench = new Bench([[A]]);
  let valid = 1n;
  bench.world.answer = (datagram) => {
    if (datagram.isConnect) return [{ bytes: connectReply(datagram, valid) }];
    const refuses = datagram.connectionId !== valid;
    return [{ bytes: refuses ? errorReply(datagram, "id mismatch") : announceReply(datagram, { interval: 20 }) }];
  };
  bench.announcer.start();
  await bench.world.play(10_000);
  valid = 2n; // the tracker was restarted
  await bench.world.play(15_000);
  assertEquals(bench.outcomes, ["ok", "ok"]);
  assertEquals(bench.world.log.slice(2).map((line) => line.split(" ")[2]), ["-", "connect", "-"]);
  bench.world.answer = (datagram) => [{
    bytes: datagram.isConnect ? connectReply(datagram) : errorReply(datagram, "go away"),
  }];
  await bench.world.play(20_000);
  assertEquals(bench.outcomes.slice(2, 3), ["go away"]);
});

Deno.test("UdpTracker takes a late answer while it asks for a new connection id", async () => {
  const bench = new Bench([[A]]);
  bench.world.answer = goodTracker({ interval: 20 });
  bench.announcer.start();
  await bench.world.play(10_000);
  bench.world.answer = (datagram) => {
    if (!datagram.isConnect) {
      bench.world.after(3000, () => datagram.parts.from.deliver(announceReply(datagram), A_ADDRESS));
    }
    return [];
  };
  await bench.world.play(13_000);
  assertEquals(bench.world.log.slice(2).map((line) => line.split(" ")[2]), ["-", "connect"]);
  assertEquals(bench.outcomes, ["ok", "ok"]);
});

Deno.test("UdpTracker asks for a new connection id when nobody answers to an old one", async () => {
  const bench = new Bench([[A]]);
  let valid = 1n;
  bench.world.answer = (datagram) => {
    if (datagram.isConnect) return [{ bytes: connectReply(datagram, valid) }];
    return datagram.connectionId === valid ? [{ bytes: announceReply(datagram, { interval: 20 }) }] : [];
  };
  bench.announcer.start();
  await bench.world.play(10_000);
  valid = 2n;
  await bench.world.play(13_000);
  assertEquals(bench.outcomes, ["ok", "ok"]);
});

Deno.test("UdpTracker announces to both families of a name, and takes 18 bytes a peer over IPv6", async () => {
  const bench = new Bench([["udp://tracker.test:80/announce"]]);
  bench.world.names.set("tracker.test", ["10.0.0.1", "10.0.0.2", "2001:db8::1"]);
  const [four, six] = [goodTracker({ peers: PEER, interval: 60 }), goodTracker({ peers: PEER6, seeders: 5 })];
  bench.world.answer = (datagram) => (datagram.parts.to.startsWith("[") ? six : four)(datagram);
  bench.announcer.start();
  await bench.world.play(0);
  assertEquals(bench.world.log.toSorted(), [
    ...["0 10.0.0.1:80 connect", "0 10.0.0.1:80 started", "0 [2001:db8::1]:80 connect", "0 [2001:db8::1]:80 started"],
  ]);
  assertEquals(bench.peers.map(({ host }) => host).toSorted(), ["10.0.0.9", "2a00::9"]);
  assertEquals(bench.reports.map(({ seeders, leechers, peers }) => [seeders, leechers, peers]), [[5, 2, 2]]);
  assertEquals(bench.world.sockets.map(({ address }) => address.host), ["::"]);
  const keys = bench.world.sent.filter(({ isConnect }) => !isConnect).map(({ bytes }) => `${bytes.subarray(88, 92)}`);
  assertEquals(new Set(keys).size, 1);
  await bench.world.play(29 * MINUTE);
  assertEquals(bench.world.sent.length, 4, "the longer interval counts");
});

Deno.test("UdpTracker waits a second for the other family, and no longer once that was silent", async () => {
  const bench = new Bench([["udp://tracker.test:80"]]);
  bench.world.names.set("tracker.test", ["10.0.0.1", "2001:db8::1"]);
  const good = goodTracker({ peers: PEER });
  bench.world.answer = (datagram) => datagram.parts.to.startsWith("[") ? [] : good(datagram);
  bench.announcer.start();
  await bench.world.play(999);
  assertEquals(bench.reports.length, 0);
  await bench.world.play(1);
  assertEquals(bench.outcomes, ["ok"]);
  await bench.world.play(30 * MINUTE);
  assertEquals(bench.outcomes, ["ok", "ok"]);
  assertEquals(bench.world.log.filter((line) => line.startsWith(`${30 * MINUTE + 1000} 10.`)).length, 2);
});

Deno.test("UdpTracker tries another address of a family after a failure", async () => {
  const bench = new Bench([["udp://tracker.test:80"]]);
  bench.world.names.set("tracker.test", ["10.0.0.1", "10.0.0.2"]);
  const good = goodTracker();
  bench.world.answer = (datagram) => datagram.parts.to.startsWith("10.0.0.2") ? good(datagram) : [];
  bench.announcer.start();
  await bench.world.play(MINUTE);
  assertEquals(bench.outcomes, ["no answer within 15 s", "ok"]);
  assertEquals(bench.world.lookUps, 1);
});

Deno.test("UdpTracker with a bound address uses its family only", async () => {
  const bench = new Bench([["udp://tracker.test:80"], ["udp://[2001:db8::1]:80"]], { bind: "10.0.0.7" });
  bench.world.names.set("tracker.test", ["10.0.0.1", "2001:db8::1"]);
  bench.world.answer = (datagram) => [{ bytes: errorReply(datagram, "no") }];
  bench.announcer.start();
  await bench.world.play(0);
  assertEquals(bench.world.sockets.map(({ address }) => address.host), ["10.0.0.7"]);
  assertEquals(bench.outcomes, ["no", "it has no address that can be reached from 10.0.0.7"]);
});

Deno.test("UdpTracker reports what keeps it from asking at all", async () => {
  const tiers = [["udp://nowhere.test:80"], ["udp://[::1]:80"], ["udp://10.0.0.1"], ["udp://10.0.0.1:0"]];
  const bench = new Bench([...tiers, [`udp://10.0.0.1:1/${"x".repeat(2000)}`]]);
  bench.world.refused.add("::");
  bench.announcer.start();
  await bench.world.play(0);
  assertEquals(bench.outcomes, [
    'no address is known for the host "nowhere.test"',
    "cannot listen (::): not on this machine",
    "a UDP tracker needs a port in its URL",
    "a UDP tracker needs a port in its URL",
    "the URL is too long for a UDP tracker",
  ]);
});

Deno.test("UdpTracker gives a name server up that does not answer", async () => {
  const bench = new Bench([["udp://tracker.test:80"]]);
  bench.world.net.resolve = () => new Promise(() => {});
  bench.announcer.start();
  await bench.world.play(15_000);
  assertEquals(bench.outcomes, ["the name server did not answer within 15 s"]);
});

Deno.test("Announcer.stop() tells UDP trackers over each family, and leaves no timer behind", async () => {
  const bench = new Bench([["udp://tracker.test:80"]]);
  bench.world.names.set("tracker.test", ["10.0.0.1", "2001:db8::1"]);
  bench.world.answer = goodTracker();
  bench.announcer.start();
  await bench.world.play(10 * MINUTE);
  const stopping = bench.announcer.stop();
  await bench.world.play(0);
  await stopping;
  const said = bench.world.log.slice(4).map((line) => line.replace(`${10 * MINUTE} `, "")).toSorted();
  assertEquals(said, [
    "10.0.0.1:80 connect",
    "10.0.0.1:80 stopped",
    "[2001:db8::1]:80 connect",
    "[2001:db8::1]:80 stopped",
  ]);
  bench.way.close();
  assertEquals(bench.world.pending, 0);
  assertEquals(bench.world.sockets.map(({ closed }) => closed), [true]);
});

Deno.test("Announcer.stop() says it again over UDP when it was lost, and is done after 2 s at the latest", async () => {
  const bench = new Bench([[A]]);
  bench.world.answer = goodTracker();
  bench.announcer.start();
  await bench.world.play(10_000);
  bench.world.answer = () => [];
  let done = false;
  const stopping = bench.announcer.stop().then(() => done = true);
  await bench.world.play(1999);
  assertEquals(done, false);
  await bench.world.play(1);
  await stopping;
  const times = bench.world.log.slice(2).map((line) =>
    `${Math.round(Number(line.split(" ")[0]))} ${line.split(" ")[2]}`
  );
  assertEquals(times, ["10000 stopped", "10333 connect", "11000 connect"]);
  assertEquals(bench.world.pending, 0);
});

Deno.test("Announcer.stop() takes no leave of a UDP tracker that was never told of us", async () => {
  const bench = new Bench([[A]]);
  bench.announcer.start();
  await bench.world.play(100);
  const stopping = bench.announcer.stop();
  await bench.world.play(2000);
  await stopping;
  assertEquals(new Set(bench.world.log.map((line) => line.split(" ")[2])), new Set(["connect"]));
  assertEquals(bench.world.pending, 0);
});

Deno.test("Announcer goes through tiers of HTTP and UDP trackers alike", async () => {
  const bench = new Bench([["http://10.0.0.3/announce"], [A]]);
  bench.world.answer = goodTracker({ peers: PEER });
  bench.announcer.start();
  await bench.world.play(0);
  assertEquals(bench.outcomes, ["no HTTP here", "ok"]);
  bench.announcer.completed();
  await bench.world.play(0);
  assertMatch(bench.world.log.at(-1)!, /completed$/);
});

Deno.test("UdpTrackers.close() ends what is under way, and nothing can be asked afterwards", async () => {
  const bench = new Bench([[A], ["udp://10.0.0.2:1"]]);
  bench.announcer.start();
  await bench.world.play(0);
  bench.udp.close();
  bench.udp.close();
  await bench.world.play(0);
  assertEquals(bench.outcomes, ["the session has been stopped", "the session has been stopped"]);
});

Deno.test("UdpTracker is told that we have started after a pause, too, by a partial seed as well", async () => {
  const bench = new Bench([[A]]);
  bench.world.answer = goodTracker({ peers: PEER });
  bench.progress = { uploaded: 0, downloaded: 0, left: 3, partialSeed: true };
  bench.announcer.start();
  await bench.world.play(0);
  bench.announcer.pause();
  bench.announcer.start();
  await bench.world.play(10);
  await bench.announcer.stop();
  const events = bench.world.log.map((line) => line.split(" ").at(-1));
  assertEquals(events, ["connect", "started", "stopped", "started", "stopped"]);
});
