import { assert, assertEquals } from "@std/assert";
import type { LocalAddress, Platform } from "../../src/platform/platform.ts";
import { ExternalAddress } from "../../src/session/external_address.ts";
import { Reachability } from "../../src/session/reachability.ts";
import { FakeLan, type GatewaySkills } from "../support/fake_gateway.ts";

const PORT = 6881;
const OWN: readonly LocalAddress[] = [{ host: "192.168.1.23", prefix: 24, name: "eth0" }];
const THEIRS = { client: "192.168.1.99", internalPort: 1, lifetime: 0, nonce: "" };

function begin(lan: FakeLan) {
  let moves = 0;
  const platform = { ...lan.platform, net: { ...lan.platform.net, localAddresses: () => OWN } } as unknown as Platform;
  const reachability = new Reachability(new ExternalAddress(), {
    platform,
    listen: { host: "0.0.0.0", port: PORT },
    portMap: true,
    emit: () => {},
    moved: () => void moves++,
  });
  return { reachability, moves: () => moves };
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
    await lan.clock.play(20_000);
    const outside = reachability.portOutside("tcp");
    assert(outside !== PORT && reachability.isMapped("tcp"));
    assertEquals(lan.mappings.get(`tcp ${outside}`)?.internalPort, PORT);
    assertEquals(moves(), 2); // TCP and UDP
    // Those who don't come through the gateway are told the port on which we listen.
    const ports = ["8.8.8.8", "2a00::1", "10.0.0.1", "192.168.1.7", "127.0.0.1", "fe80::1%eth0"]
      .map((host) => reachability.portFor("tcp", host));
    assertEquals(ports, [outside, outside, outside, PORT, PORT, PORT]);
    // It goes back when the gateway is gone for as long as the mapping holds.
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
