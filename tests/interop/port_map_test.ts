/** Port mapping with Debian's miniupnpd as the router, on the kernel's address translation. */

import { messageOf } from "../../src/base/errors.ts";
import { assert, assertEquals, assertLess, assertMatch } from "@std/assert";
import { Job, must, run } from "../support/job.ts";
import { makeFile } from "../support/payload.ts";
import { testWith } from "../support/requirements.ts";
import { withScratch } from "../support/scratch.ts";
import { TEST_FLAGS } from "../support/from_source.ts";
import { makeTorrent } from "../support/torrents.ts";
import { shoalCommand } from "./clients.ts";
import { type Host, PrivateNetwork } from "./network.ts";

const NEEDS = ["root", "ip", "miniupnpd", "nft"] as const;
const PORT = 6881;
/** External address of the router. It is public, since miniupnpd refuses mappings behind another NAT. */
const OUTSIDE = "9.9.9.9";
/** Address of a host on the Internet. */
const INTERNET = "9.9.9.1";
/** nftables rules as Debian's script for miniupnpd makes them. */
const TABLES = `table inet filter {
  chain forward { type filter hook forward priority 0; policy accept; }
  chain miniupnpd { }
  chain prerouting { type nat hook prerouting priority -100; jump prerouting_miniupnpd; }
  chain postrouting {
    type nat hook postrouting priority 100;
    jump postrouting_miniupnpd;
    oifname "wan" masquerade;
  }
  chain prerouting_miniupnpd { }
  chain postrouting_miniupnpd { }
}`;

/** Two computers behind a router, and a host on the Internet. */
interface House {
  readonly router: Host;
  readonly computer: Host;
  readonly scratch: string;
  /** Second computer behind the router. */
  readonly other: Host;
  /** Host on the Internet. */
  readonly internet: Host;
  /** Returns the router's nftables rules, which contain the mappings. */
  rules(): Promise<string>;
}

/** Runs a test in a house whose router supports UPnP, PCP, both or neither. */
async function house(speaks: { readonly upnp: boolean; readonly pcp: boolean }, body: (house: House) => Promise<void>) {
  await withScratch(async (scratch) => {
    await using network = await PrivateNetwork.create();
    const router = await network.addHost();
    const computer = await network.addHost();
    const other = await network.addHost();
    const internet = await network.addHost();
    const ip = (host: Host, ...args: string[]) => must(...host.command(["ip", ...args]));
    await ip(router, "link", "add", "wan", "type", "veth", "peer", "name", "provider");
    await ip(router, "addr", "add", `${OUTSIDE}/24`, "dev", "wan");
    await ip(router, "link", "set", "wan", "up");
    await ip(router, "link", "set", "provider", "netns", internet.namespace);
    await ip(internet, "link", "set", "eth0", "down");
    await ip(internet, "addr", "add", `${INTERNET}/24`, "dev", "provider");
    await ip(internet, "link", "set", "provider", "up");
    await must(...router.command(["sysctl", "-qw", "net.ipv4.ip_forward=1"]));
    for (const host of [computer, other]) await ip(host, "route", "add", "default", "via", router.address);
    await Deno.writeTextFile(`${scratch}/tables`, TABLES);
    await must(...router.command(["nft", "-f", `${scratch}/tables`]));
    const yes = (on: boolean) => on ? "yes" : "no";
    await Deno.writeTextFile(
      `${scratch}/conf`,
      [
        ...["ext_ifname=wan", `ext_ip=${OUTSIDE}`, "listening_ip=eth0", "http_port=0", "secure_mode=yes"],
        ...[`enable_upnp=${yes(speaks.upnp)}`, `enable_natpmp=${yes(speaks.pcp)}`],
        ...["uuid=00000000-0000-0000-0000-000000000001", "allow 1024-65535 10.99.0.0/24 1024-65535", ""],
      ].join("\n"),
    );
    const daemon = ["miniupnpd", "-d", "-f", `${scratch}/conf`, "-P", `${scratch}/pid`];
    await using job = new Job(router.command(daemon), { name: "miniupnpd" });
    const rules = async () => (await run(router.command(["nft", "list", "ruleset"]))).stdout.join("\n");
    try {
      await body({ router, computer, other, internet, scratch, rules });
    } catch (error) {
      throw new Error(`${error instanceof Error ? error.stack : error}\n${job.report}`, { cause: error });
    }
  });
}

/** Starts `shoal seed` on the computer. */
async function seed({ computer, scratch }: House, ...options: string[]): Promise<Job> {
  const payload = await makeFile(`${scratch}/data`, { name: "x.bin", size: 100_000, seed: 1 });
  await makeTorrent(payload, { path: `${scratch}/x.torrent` });
  const argv = [...shoalCommand(), "seed", `${scratch}/x.torrent`, payload.folder, "-p", `${PORT}`, "--json", "-v"];
  const env = { XDG_STATE_HOME: scratch, XDG_CONFIG_HOME: scratch };
  return new Job(computer.command([...argv, "--no-dht", "--no-lsd", "--no-pex", ...options]), { name: "shoal", env });
}

for (
  const [name, speaks] of [["UPnP", { upnp: true, pcp: false }], ["PCP", { upnp: false, pcp: true }]] as const
) {
  testWith(
    `shoal seed maps its port at miniupnpd by ${name}, and removes the mapping when it exits`,
    NEEDS,
    () =>
      house(speaks, async (house) => {
        await using shoal = await seed(house);
        for (const protocol of ["tcp", "udp"]) {
          const line = await shoal.line(
            (line) => line.includes('"event":"port_map"') && line.includes(`"protocol":"${protocol}"`),
            { seconds: 30, what: `its ${protocol} port was mapped` },
          );
          const { status, external, message } = JSON.parse(line);
          assertEquals([status, external], ["ok", `${OUTSIDE}:${PORT}`]);
          assertEquals(message, `${name} gateway ${house.router.address}`);
        }
        // Debian's `nft` lists miniupnpd's rules with the protocol numbers of TCP and UDP.
        const mapped = await house.rules();
        for (const number of ["0x6", "0x11"]) {
          assertMatch(mapped, new RegExp(`${number} th dport ${PORT} dnat ip to ${house.computer.address}:${PORT}`));
        }
        const left = performance.now();
        shoal.signal("SIGINT");
        assertEquals((await shoal.exit(10)).code, 130);
        assertLess(performance.now() - left, 3_500);
        assert(!(await house.rules()).includes("dnat"), await house.rules());
      }),
  );
}

testWith(
  "shoal share prints a link with external addresses once the router has mapped the ports of seed and tracker",
  NEEDS,
  () =>
    house({ upnp: true, pcp: false }, async (house) => {
      const { computer, scratch } = house;
      await makeFile(`${scratch}/data`, { name: "x.bin", size: 100_000, seed: 1 });
      const argv = [...shoalCommand(), "share", `${scratch}/data/x.bin`, "--json", "--no-dht", "--no-lsd", "--no-pex"];
      const env = { XDG_STATE_HOME: scratch, XDG_CONFIG_HOME: scratch };
      await using shoal = new Job(computer.command(argv), { name: "shoal", env });
      const lineOf = async (outside: boolean) => {
        const matches = (line: string) => line.includes('"event":"share"') && line.includes(`"outside":${outside}`);
        return JSON.parse(await shoal.line(matches, { seconds: 30, what: `it told the link, outside: ${outside}` }));
      };
      assertEquals((await lineOf(false)).peers[0], `${computer.address}:${PORT}`);
      const { peers, trackers, magnet } = await lineOf(true);
      assertEquals(peers.slice(0, 2), [`${OUTSIDE}:${PORT}`, `${computer.address}:${PORT}`]);
      assertEquals(trackers.slice(0, 2), [`http://${OUTSIDE}:6969/announce`, `udp://${OUTSIDE}:6969/announce`]);
      assert(magnet.includes(`x.pe=${OUTSIDE}:${PORT}`), magnet);
      const mapped = await house.rules();
      for (const port of [PORT, 6969]) assert(mapped.includes(`dnat ip to ${computer.address}:${port}`), mapped);
      shoal.signal("SIGINT");
      assertEquals((await shoal.exit(10)).code, 130);
      assert(!(await house.rules()).includes("dnat"), await house.rules());
    }),
);

/** Starts a tracker on the Internet host, and makes a torrent that uses the tracker. */
async function publish({ internet, scratch }: House, ...options: string[]) {
  const payload = await makeFile(`${scratch}/data`, { name: "x.bin", size: 3_000_000, seed: 1 });
  const env = { XDG_STATE_HOME: `${scratch}/tracker`, XDG_CONFIG_HOME: scratch };
  const tracker = new Job(
    internet.command([...shoalCommand(), "tracker", "--bind", INTERNET, "-p", "6969", "--interval", "5s", "--json"]),
    { name: "tracker", env },
  );
  await tracker.line((line) => line.includes("6969"), { seconds: 20, what: "the tracker listens" });
  const torrent = `${scratch}/x.torrent`;
  await must(
    ...[...shoalCommand(), "create", `${payload.folder}/x.bin`, "-o", torrent],
    ...["-t", `http://${INTERNET}:6969/announce`, ...options],
  );
  return { tracker, torrent, folder: payload.folder };
}

function start(house: House, host: Host, { name, argv }: { readonly name: string; readonly argv: readonly string[] }) {
  const env = { XDG_STATE_HOME: `${house.scratch}/${name}`, XDG_CONFIG_HOME: house.scratch };
  return new Job(host.command([...shoalCommand(), ...argv, "--json", "-v", "--no-dht", "--no-lsd", "--no-pex"]), {
    name,
    env,
  });
}

testWith(
  "a seed is found at the external port that the router maps when another computer holds the seed's port",
  NEEDS,
  () =>
    house({ upnp: true, pcp: false }, async (house) => {
      const { tracker, torrent, folder } = await publish(house);
      await using _ = tracker;
      const argv = ["seed", torrent, folder, "-p", `${PORT}`];
      const mapped = (line: string) => line.includes('"event":"port_map"') && line.includes('"protocol":"tcp"');
      // The first seed takes the port at the router. The second seed has to be found at another port.
      await using first = start(house, house.other, { name: "first", argv });
      const theirs = JSON.parse(await first.line(mapped, { seconds: 30, what: "the first port was mapped" })).external;
      assertEquals(theirs, `${OUTSIDE}:${PORT}`);
      await using second = start(house, house.computer, { name: "second", argv });
      const ours = JSON.parse(await second.line(mapped, { seconds: 30, what: "the second port was mapped" })).external;
      assert(ours !== theirs && ours.startsWith(`${OUTSIDE}:`), ours);
      first.signal("SIGINT");
      await first.exit(10);
      const leech = [
        "download",
        torrent,
        "-o",
        `${house.scratch}/got`,
        "-p",
        "7000",
        "--no-port-map",
        "--timeout",
        "60s",
      ];
      // The seed also dials peers, and must not be able to connect to the leecher first.
      const closed = "type filter hook input priority 0; tcp dport 7000 reject with tcp reset;";
      await must(...house.internet.command(["nft", `table inet closed { chain in { ${closed} }; }`]));
      await using leecher = start(house, house.internet, { name: "leecher", argv: leech });
      const connected = await leecher.line(
        (line) => line.includes('"action":"connected"') && line.includes(ours),
        { seconds: 60, what: `it connected to ${ours}` },
      );
      assert(connected.includes(ours));
      assertEquals((await leecher.exit(60)).code, 0);
    }),
);

testWith("a seed of a private torrent behind a router without port mapping dials a leecher and uploads to it", [
  ...NEEDS,
  "aria2c",
], () =>
  house({ upnp: false, pcp: false }, async (house) => {
    const { tracker, torrent, folder } = await publish(house, "--private");
    await using _ = tracker;
    const output = `${house.scratch}/got`;
    const options = [
      "--listen-port=7000",
      "--seed-time=0",
      "--enable-dht=false",
      "--bt-stop-timeout=90",
      `-d${output}`,
    ];
    await using leecher = new Job(house.internet.command(["aria2c", ...options, torrent]), { name: "aria2" });
    const argv = ["seed", torrent, folder, "-p", `${PORT}`, "--no-port-map"];
    await using _seed = start(house, house.computer, { name: "seed", argv });
    assertEquals((await leecher.exit(90)).code, 0);
    assertEquals(await Deno.readFile(`${output}/x.bin`), await Deno.readFile(`${folder}/x.bin`));
  }));

/** Python program that connects to a peer and prints the messages that it receives: `torrent folder host port`. */
const LISTENER = `
import libtorrent as lt, sys
torrent, folder, host, port = sys.argv[1:]
session = lt.session({
    'listen_interfaces': '0.0.0.0:7000', 'enable_dht': True, 'dht_bootstrap_nodes': '', 'enable_lsd': False,
    'enable_upnp': False, 'enable_natpmp': False, 'enable_outgoing_utp': False, 'enable_incoming_utp': False,
    'alert_mask': lt.alert.category_t.peer_log_notification | lt.alert.category_t.connect_notification,
})
params = lt.add_torrent_params()
params.ti = lt.torrent_info(torrent)
params.trackers = []
params.save_path = folder
params.flags &= ~(lt.torrent_flags.auto_managed | lt.torrent_flags.paused)
params.flags |= lt.torrent_flags.override_trackers
session.add_torrent(params).connect_peer((host, int(port)))
while True:
    session.wait_for_alert(500)
    for alert in session.pop_alerts(): print(alert.message(), flush=True)
`;

/** Waits until the gateway has mapped a port of a Shoal process, and returns the external address as `HOST:PORT`. */
async function mappedBy(job: Job, protocol: "tcp" | "udp"): Promise<string> {
  const matches = (line: string) => line.includes('"event":"port_map"') && line.includes(`"protocol":"${protocol}"`);
  return JSON.parse(await job.line(matches, { seconds: 30, what: `its ${protocol} port was mapped` })).external;
}

/** Maps a seed's port to another external port, and checks that tracker, DHT and peers get the external port. */
async function checkAnnouncedPorts(house: House, over: "http" | "udp"): Promise<void> {
  const { internet, computer, scratch } = house;
  const jobs: Job[] = [];
  await using stack = new AsyncDisposableStack();
  const begin = (host: Host, name: string, argv: readonly string[]): Job => {
    const env = { XDG_STATE_HOME: `${scratch}/${name}`, XDG_CONFIG_HOME: scratch };
    const job = stack.use(new Job(host.command(argv), { name, env }));
    jobs.push(job);
    return job;
  };
  const script = (name: string, ...args: string[]) => {
    const path = decodeURI(new URL(name, import.meta.url).pathname);
    return [Deno.execPath(), "run", "-A", ...TEST_FLAGS, path, ...args];
  };
  const payload = await makeFile(`${scratch}/data`, { name: "x.bin", size: 3_000_000, seed: 1 });
  const theirs = await makeFile(`${scratch}/theirs`, { name: "y.bin", size: 100_000, seed: 2 });
  const torrent = `${scratch}/x.torrent`;
  const infohash = await makeTorrent(payload, { path: torrent, tracker: `${over}://${INTERNET}:6969/announce` });
  await makeTorrent(theirs, { path: `${scratch}/y.torrent` });
  await Deno.mkdir(`${scratch}/white`);
  await Deno.writeTextFile(`${scratch}/white/list`, `${infohash}\n`);
  const ports = ["-i", INTERNET, "-p", "6969", "-P", "6969"];
  begin(internet, "tracker", ["opentracker", ...ports, "-u", "nobody", "-d", `${scratch}/white`, "-w", "list"]);
  const order = { hosts: [INTERNET], port: 7100, bootstrap: [] };
  const node = begin(internet, "node", script("dht_nodes.ts", JSON.stringify(order)));
  // Another computer takes the port at the router first.
  const seeds = (
    what: string,
    ...options: string[]
  ) => [...shoalCommand(), "seed", ...[what, ...options], "-p", `${PORT}`, "--json", "-v", "--no-lsd", "--no-pex"];
  const other = begin(house.other, "other", seeds(`${scratch}/y.torrent`, theirs.folder, "--no-dht"));
  assertEquals(await mappedBy(other, "udp"), `${OUTSIDE}:${PORT}`);
  const options = ["--encryption", "off", "--dht-bootstrap", `${INTERNET}:7100`];
  const shoal = begin(computer, "shoal", seeds(torrent, payload.folder, ...options));
  try {
    const [tcp, udp] = [await mappedBy(shoal, "tcp"), await mappedBy(shoal, "udp")];
    const [tcpPort, udpPort] = [tcp, udp].map((external) => Number(external.split(":")[1])) as [number, number];
    assert(tcpPort !== PORT && udpPort !== PORT, `${tcp} ${udp}`);
    const asking = script("announced.ts", `http://${INTERNET}:6969/announce`, infohash, tcp);
    assertEquals((await begin(internet, "asking", asking).exit(25)).code, 0);
    const announced = await node.line(
      (line) => line.includes('"announce_peer"') && line.includes(`"port":${tcpPort}`),
      { seconds: 90, what: `it was told ${tcpPort}` },
    );
    assertEquals(JSON.parse(announced).impliedPort, false);
    const listening = ["/usr/bin/python3", "-c", LISTENER, torrent, `${scratch}/got`, OUTSIDE, `${tcpPort}`];
    const hears = async (peer: Job) => {
      for (const what of [`EXTENDED.*'p': ${tcpPort}\\b`, `<== DHT_PORT .*: ${udpPort}\\b`]) {
        await peer.line((line) => new RegExp(what).test(line), { seconds: 30, what: `it heard ${what}` });
      }
    };
    for (let attempt = 1;; attempt++) {
      const peer = begin(internet, `libtorrent ${attempt}`, listening);
      try {
        await hears(peer);
        break;
      } catch (error) {
        // libtorrent's Python binding crashes now and then (SIGSEGV) while the peer log is on.
        if (attempt === 5 || !messageOf(error).includes("ended with code 139")) throw error;
      }
    }
  } catch (error) {
    throw new Error([error instanceof Error ? error.stack : error, ...jobs.map((job) => job.report)].join("\n"), {
      cause: error,
    });
  }
}

for (
  const [name, speaks, over] of [
    ["UPnP", { upnp: true, pcp: false }, "http"],
    ["PCP", { upnp: false, pcp: true }, "udp"],
  ] as const
) {
  testWith(
    `shoal gives opentracker (${over}), the DHT and libtorrent the external port that miniupnpd maps by ${name}`,
    [...NEEDS, "opentracker", "python3-libtorrent"],
    () => house(speaks, (house) => checkAnnouncedPorts(house, over)),
  );
}
