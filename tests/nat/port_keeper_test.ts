import { assert, assertEquals, assertLess, assertStringIncludes } from "@std/assert";
import { PortKeeper } from "../../src/nat/port_keeper.ts";
import { FakeLan, type GatewaySkills } from "../support/fake_gateway.ts";
import { settle } from "../support/virtual_clock.ts";

const PORT = 6881;
const OWN = "192.168.1.23";
const MINUTE = 60_000;

/** Returns a keeper on a network, and its reports. */
function begin(lan: FakeLan, bind?: string): { readonly keeper: PortKeeper; readonly told: string[] } {
  const told: string[] = [];
  const keeper = new PortKeeper(lan.platform, {
    ports: { tcp: PORT, udp: PORT },
    ...(bind !== undefined && { bind }),
    events: {
      mapped: (protocol, mapping, gateway) =>
        told.push(`${gateway.name} ${protocol} ${mapping.externalAddress}:${mapping.externalPort}`),
      lost: (protocol) => told.push(`lost ${protocol}`),
      failed: (error) => told.push(`failed: ${error.why}`),
    },
  });
  keeper.start();
  return { keeper, told };
}

async function stopped(keeper: PortKeeper, lan: FakeLan): Promise<number> {
  const before = lan.clock.now();
  let after = -1;
  const done = keeper.stop().then(() => after = lan.clock.now());
  await lan.clock.play(1_500);
  await done;
  assertEquals(lan.openSockets, 0);
  assertEquals(lan.clock.pending, 0);
  return after - before;
}

const KINDS: readonly (readonly [name: string, skills: GatewaySkills])[] = [
  ["UPnP", { upnp: true }],
  ["NAT-PMP", { natPmp: true }],
  ["PCP", { pcp: true }],
];

for (const [name, skills] of KINDS) {
  Deno.test(`PortKeeper maps both ports by ${name}, renews them, and removes them`, async () => {
    const lan = new FakeLan(skills);
    const { keeper, told } = begin(lan);
    await lan.clock.play(20_000);
    assertEquals(told, [`${name} tcp 9.9.9.9:6881`, `${name} udp 9.9.9.9:6881`]);
    assertEquals([...lan.mappings.keys()], ["tcp 6881", "udp 6881"]);
    assertEquals(
      [...lan.mappings.values()].map(({ client, internalPort, lifetime }) => [client, internalPort, lifetime]),
      [
        [OWN, PORT, 3600],
        [OWN, PORT, 3600],
      ],
    );
    lan.mappings.clear();
    await lan.clock.play(31 * MINUTE);
    assertEquals([...lan.mappings.keys()], ["tcp 6881", "udp 6881"]);
    assertEquals(told.length, 2); // a renewal isn't reported
    assertLess(await stopped(keeper, lan), 1_000);
    assertEquals(lan.mappings.size, 0);
  });
}

Deno.test("PortKeeper takes UPnP where the gateway speaks nothing else, at another address than routers usually have", async () => {
  const lan = new FakeLan({ upnp: true }, { gateway: "192.168.1.77" });
  const { keeper, told } = begin(lan);
  await lan.clock.play(20_000);
  assertEquals(told[0], "UPnP tcp 9.9.9.9:6881");
  await stopped(keeper, lan);
});

Deno.test("PortKeeper asks for another port when somebody else has ours, and leaves theirs alone", async () => {
  const lan = new FakeLan({ upnp: true });
  const theirs = { client: "192.168.1.99", internalPort: 1, lifetime: 0, nonce: "" };
  lan.mappings.set("tcp 6881", theirs);
  const { keeper, told } = begin(lan);
  await lan.clock.play(20_000);
  const port = Number(told[0]?.split(":")[1]);
  assert(port >= 49_152 && port < 65_536, told[0]);
  assertEquals(lan.mappings.get(`tcp ${port}`)?.client, OWN);
  await stopped(keeper, lan);
  assertEquals([...lan.mappings], [["tcp 6881", theirs]]);
});

Deno.test("PortKeeper takes a mapping for good from a gateway that makes no others, and looks after it", async () => {
  const lan = new FakeLan({ upnp: true, leases: "permanent" });
  const { keeper } = begin(lan);
  await lan.clock.play(20_000);
  assertEquals(lan.mappings.get("tcp 6881")?.lifetime, 0);
  lan.mappings.clear(); // the gateway restarts
  await lan.clock.play(61 * MINUTE);
  assertEquals(lan.mappings.size, 2);
  await stopped(keeper, lan);
  assertEquals(lan.mappings.size, 0);
});

Deno.test("PortKeeper tells once that there is no gateway, tries again ever more seldom, and finds one that comes", async () => {
  const lan = new FakeLan({});
  const { keeper, told } = begin(lan);
  await lan.clock.play(8 * 3600_000);
  assertEquals(told, ["failed: no gateway answers, neither to UPnP nor to NAT-PMP nor to PCP"]);
  const rounds = lan.sent.filter((line) => line === "udp 239.255.255.250:1900").length / 4;
  assert(rounds >= 9 && rounds <= 12, `${rounds} rounds`);
  lan.skills = { pcp: true };
  await lan.clock.play(61 * MINUTE);
  assertEquals(told[1], "PCP tcp 9.9.9.9:6881");
  await stopped(keeper, lan);
  assertEquals(lan.mappings.size, 0);
});

Deno.test("PortKeeper tells of a new address outside", async () => {
  const lan = new FakeLan({ natPmp: true });
  const { keeper, told } = begin(lan);
  await lan.clock.play(20_000);
  lan.external = "8.8.8.8";
  await lan.clock.play(31 * MINUTE);
  assertEquals(told.slice(2), ["NAT-PMP tcp 8.8.8.8:6881", "NAT-PMP udp 8.8.8.8:6881"]);
  await stopped(keeper, lan);
});

Deno.test("PortKeeper.stop() takes a second when the gateway has gone silent", async () => {
  const lan = new FakeLan({ upnp: true });
  const { keeper } = begin(lan);
  await lan.clock.play(20_000);
  lan.silent = true;
  const before = lan.clock.now();
  let after = -1;
  const done = keeper.stop().then(() => after = lan.clock.now());
  await lan.clock.play(1_000);
  await done;
  assertEquals(after - before, 1_000);
});

Deno.test("PortKeeper.stop() removes what a request made whose answer it didn't wait for", async () => {
  const lan = new FakeLan({ natPmp: true });
  const { keeper } = begin(lan);
  while (lan.mappings.size === 0) {
    lan.clock.runNext();
    await settle();
  }
  // The keeper waits for the full second, since other protocols, which might have mapped the port, are silent.
  assertEquals(await stopped(keeper, lan), 1_000);
  assertEquals(lan.mappings.size, 0);
});

Deno.test("PortKeeper.stop() is quick while it still searches, and before it has begun", async () => {
  const lan = new FakeLan({});
  const { keeper } = begin(lan);
  await lan.clock.play(700);
  assertEquals(await stopped(keeper, lan), 0);
  const idle = begin(new FakeLan({}), "127.0.0.1").keeper;
  await idle.stop();
});

Deno.test("PortKeeper says nothing to anybody when it listens where no gateway can send to", async () => {
  for (const bind of ["127.0.0.1", "8.8.4.4", "::1", "2001:4860::1"]) {
    const lan = new FakeLan({ upnp: true, natPmp: true, pcp: true });
    const { keeper, told } = begin(lan, bind);
    await lan.clock.play(10 * MINUTE);
    assertEquals([lan.sent, told], [[], []]);
    await stopped(keeper, lan);
  }
});

Deno.test("PortKeeper goes no further than to itself when its own address is public", async () => {
  const lan = new FakeLan({ upnp: true, pcp: true }, { client: "8.8.4.4" });
  const { keeper, told } = begin(lan);
  await lan.clock.play(10 * MINUTE);
  assertEquals([lan.sent.length, told], [1, []]);
  await stopped(keeper, lan);
});

Deno.test("PortKeeper is not sent to other hosts by a gateway", async () => {
  for (
    const location of [
      "http://192.168.1.50:80/x",
      "https://192.168.1.1/x",
      "http://10.0.0.1/x",
      "file:///etc/passwd",
      "x",
    ]
  ) {
    const lan = new FakeLan({ upnp: true });
    lan.location = location;
    const { keeper } = begin(lan);
    await lan.clock.play(10_000);
    assertEquals(lan.sent.filter((line) => line.startsWith("http")), []);
    await stopped(keeper, lan);
  }
  const lan = new FakeLan({ upnp: true });
  lan.description = "<service><serviceType>urn:schemas-upnp-org:service:WANIPConnection:1</serviceType>" +
    "<controlURL>http://192.168.1.50/admin</controlURL></service>";
  const { keeper, told } = begin(lan);
  await lan.clock.play(10_000);
  assertEquals(lan.sent.filter((line) => line.startsWith("http")), [`http GET ${lan.location}`]);
  assertStringIncludes(told[0]!, "on another host");
  await stopped(keeper, lan);
});

Deno.test("PortKeeper tells that a mapping is lost when its time is over and the gateway silent, not at the first silence", async () => {
  const lan = new FakeLan({ natPmp: true });
  const { keeper, told } = begin(lan);
  await lan.clock.play(20_000);
  lan.silent = true;
  await lan.clock.play(40 * MINUTE);
  assertEquals(told.slice(2), [
    "failed: the gateway does not answer",
    "failed: no gateway answers, neither to UPnP nor to NAT-PMP nor to PCP",
  ]);
  await lan.clock.play(3 * 60 * MINUTE);
  assertEquals(told.slice(4), ["lost tcp", "lost udp"]);
  lan.silent = false;
  await lan.clock.play(61 * MINUTE);
  assertEquals(told.slice(6), ["NAT-PMP tcp 9.9.9.9:6881", "NAT-PMP udp 9.9.9.9:6881"]);
  await stopped(keeper, lan);
});

Deno.test("PortKeeper tells that a mapping is lost as soon as its time is over", async () => {
  const lan = new FakeLan({ natPmp: true });
  const { keeper, told } = begin(lan);
  await lan.clock.play(20_000);
  lan.silent = true;
  await lan.clock.play(58 * MINUTE);
  assertEquals(told.filter((line) => line.startsWith("lost")), []);
  await lan.clock.play(3 * MINUTE);
  assertEquals(told.filter((line) => line.startsWith("lost")), ["lost tcp", "lost udp"]);
  await stopped(keeper, lan);
});

Deno.test("PortKeeper tells that its mappings are lost when it comes to a network without a gateway", async () => {
  const lan = new FakeLan({ natPmp: true });
  const { keeper, told } = begin(lan);
  await lan.clock.play(20_000);
  lan.client = "8.8.4.4";
  lan.silent = true;
  await lan.clock.play(40 * MINUTE);
  assertEquals(told.slice(2), ["failed: the gateway does not answer", "lost tcp", "lost udp"]);
  lan.client = OWN;
  lan.silent = false;
  await lan.clock.play(61 * MINUTE);
  assertEquals(told.slice(5), ["NAT-PMP tcp 9.9.9.9:6881", "NAT-PMP udp 9.9.9.9:6881"]);
  await stopped(keeper, lan);
});
