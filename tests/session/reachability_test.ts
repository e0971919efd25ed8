import { assert, assertEquals } from "@std/assert";
import type { LocalAddress, Platform } from "../../src/platform/platform.ts";
import { ExternalAddress } from "../../src/session/external_address.ts";
import { Reachability } from "../../src/session/reachability.ts";
import { FakeLan, type GatewaySkills } from "../support/fake_gateway.ts";

const PORT = 6881;
const OWN: readonly LocalAddress[] = [{ host: "192.168.1.23", prefix: 24, name: "eth0" }];
const THEIRS = { client: "192.168.1.99", internalPort: 1, lifetime: 0, nonce: "" };

function begin(lan: FakeLan) {
  const moved: string[] = [];
  const platform = { ...lan.platform, net: { ...lan.platform.net, localAddresses: () => OWN } } as unknown as Platform;
  const reachability = new Reachability(new ExternalAddress(), {
    platform,
    listen: { host: "0.0.0.0", port: PORT },
    portMap: true,
    emit: () => {},
    moved: (protocol) => moved.push(protocol),
  });
  return { reachability, moves: () => moved.length, moved };
}

async function stopped(reachability: Reachability, lan: FakeLan): Promise<void> {
  const done = reachability.stop();
  await lan.clock.play(1_500);
  await done;
}

for (const skills of [{ upnp: true }, { natPmp: true }, { pcp: true }] satisfies GatewaySkills[]) {
  Deno.test(`Reachability has the port that the gateway maps when another has ours (${Object.keys(skills)[0]})`, async () => {
    const lan = new FakeLan(skills);
    for (const protocol of ["tcp", "udp"]) lan.mappings.set(`${protocol} ${PORT}`, THEIRS);
    const { reachability, moves } = begin(lan);
    assertEquals([reachability.portFor("tcp", "8.8.8.8"), reachability.isMapped("tcp")], [PORT, false]);
    const asking = { tcp: PORT, udp: PORT, mapping: "asking", external: null, message: "" } as const;
    assertEquals(reachability.source(), asking);
    await lan.clock.play(20_000);
    const outside = reachability.portOutside("tcp");
    assert(outside !== PORT && reachability.isMapped("tcp"));
    assertEquals(lan.mappings.get(`tcp ${outside}`)?.internalPort, PORT);
    const { mapping, external, message } = reachability.source();
    assertEquals([mapping, external], ["mapped", `9.9.9.9:${outside}`]);
    assert(message.includes("gateway"), message);
    assertEquals(moves(), 2); // TCP and UDP
    // Hosts that don't come through the gateway are told our listening port.
    const outsiders = ["", "8.8.8.8", "::ffff:8.8.8.8", "10.0.0.1"].map((host) => reachability.portFor("tcp", host));
    assertEquals(new Set(outsiders), new Set([outside]));
    const others = ["2a00::1", "192.168.1.7", "::ffff:192.168.1.7", "127.0.0.1", "fe80::1%eth0"]
      .map((host) => reachability.portFor("tcp", host));
    assertEquals(new Set(others), new Set([PORT]));
    assertEquals(reachability.ownAddress(4), { host: "9.9.9.9", port: outside });
    assertEquals(reachability.ownAddress(6), null);
    reachability.address.vote("peer", "2001:4860::1", "2001:4860::8");
    assertEquals(reachability.ownAddress(6), { host: "2001:4860::8", port: PORT });
    // The port is ours again when the gateway is gone for as long as the mapping holds.
    lan.silent = true;
    await lan.clock.play(3 * 3600_000);
    assertEquals([reachability.portOutside("tcp"), reachability.isMapped("tcp"), moves()], [PORT, false, 4]);
    await stopped(reachability, lan);
  });
}

Deno.test("Reachability doesn't move when the gateway maps the port on which we listen", async () => {
  const lan = new FakeLan({ upnp: true });
  const { reachability, moves } = begin(lan);
  await lan.clock.play(20_000);
  assertEquals([reachability.isMapped("tcp"), reachability.portOutside("tcp"), moves()], [true, PORT, 0]);
  await stopped(reachability, lan);
});

for (const skills of [{ upnp: true }, { natPmp: true }, { pcp: true }] satisfies GatewaySkills[]) {
  const name = Object.keys(skills)[0];

  Deno.test(`Reachability has the port of the datagrams mapped where it isn't that of the peers (${name})`, async () => {
    const lan = new FakeLan(skills);
    lan.mappings.set(`udp 40000`, THEIRS);
    const { reachability, moved } = begin(lan);
    reachability.setUdpPort(40_000);
    assertEquals(reachability.portFor("udp", "8.8.8.8"), 40_000);
    await lan.clock.play(20_000);
    const outside = reachability.portOutside("udp");
    assert(![PORT, 40_000].includes(outside));
    assertEquals(lan.mappings.get(`udp ${outside}`)?.internalPort, 40_000);
    assertEquals([reachability.portFor("udp", "8.8.8.8"), reachability.portFor("udp", "192.168.1.7")], [
      outside,
      40_000,
    ]);
    assertEquals([reachability.portOutside("tcp"), moved], [PORT, ["udp", "udp"]]);
    await stopped(reachability, lan);
    assertEquals([...lan.mappings.keys()], ["udp 40000"]);
  });

  Deno.test(`Reachability has another port mapped when datagrams come to another one (${name})`, async () => {
    const lan = new FakeLan(skills);
    const { reachability, moved } = begin(lan);
    await lan.clock.play(20_000);
    reachability.setUdpPort(40_000);
    reachability.setUdpPort(40_000);
    await lan.clock.play(20_000);
    const udp = [...lan.mappings].filter(([key]) => key.startsWith("udp"));
    assertEquals(udp.map(([key, { internalPort }]) => [key, internalPort]), [[`udp ${PORT}`, 40_000]]);
    // The external port stays the same.
    assertEquals([reachability.portOutside("udp"), reachability.portFor("udp", "192.168.1.7")], [PORT, 40_000]);
    assertEquals(moved, []);
    await lan.clock.play(31 * 60_000);
    assertEquals([...lan.mappings].length, 2);
    await stopped(reachability, lan);
    assertEquals(lan.mappings.size, 0);
  });

  Deno.test(`Reachability keeps the port that it was given, and takes another when that is lost (${name})`, async () => {
    const lan = new FakeLan(skills);
    lan.mappings.set(`tcp ${PORT}`, THEIRS);
    const { reachability, moved } = begin(lan);
    await lan.clock.play(20_000);
    const first = reachability.portOutside("tcp");
    // The gateway restarts and the old port is still free, so it is mapped again, and no needless change is announced.
    lan.mappings.clear();
    await lan.clock.play(31 * 60_000);
    assertEquals([reachability.portOutside("tcp"), lan.mappings.has(`tcp ${first}`)], [first, true]);
    const before = moved.length;
    // The gateway restarts, but another client takes the port first.
    lan.mappings.clear();
    lan.mappings.set(`tcp ${first}`, THEIRS);
    await lan.clock.play(31 * 60_000);
    const second = reachability.portOutside("tcp");
    assert(second !== first && lan.mappings.get(`tcp ${second}`)?.internalPort === PORT);
    assertEquals(moved.slice(before), ["tcp"]);
    await stopped(reachability, lan);
  });

  Deno.test(`Reachability asks for the same port outside for both protocols (${name})`, async () => {
    const lan = new FakeLan(skills);
    lan.mappings.set(`tcp ${PORT}`, THEIRS);
    const { reachability } = begin(lan);
    await lan.clock.play(20_000);
    assert(reachability.portOutside("tcp") !== PORT);
    assertEquals(reachability.portOutside("udp"), reachability.portOutside("tcp"));
    await stopped(reachability, lan);
  });
}
