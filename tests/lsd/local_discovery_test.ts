import { assertEquals } from "@std/assert";
import { formatAddress, type PeerAddress } from "../../src/base/address.ts";
import type { Bytes } from "../../src/base/bytes.ts";
import { utf8 } from "../../src/base/bytes.ts";
import { InfoHash } from "../../src/base/info_hash.ts";
import { LocalDiscovery } from "../../src/lsd/local_discovery.ts";
import { LSD_GROUPS } from "../../src/lsd/lsd_message.ts";
import type { LocalAddress, Network, UdpOptions, UdpSocket } from "../../src/platform/platform.ts";
import { VirtualClock } from "../support/virtual_clock.ts";

const HASH = new InfoHash(new Uint8Array(20).fill(7));
const OTHER = new InfoHash(new Uint8Array(20).fill(8));
const MINUTE = 60_000;

/** A cable that the sockets of every machine are connected to. */
class Cable {
  readonly sockets = new Set<CableSocket>();
  /** Every datagram, as `from > group`. */
  readonly log: string[] = [];

  carry(bytes: Bytes, from: PeerAddress, group: string): void {
    this.log.push(`${from.host} > ${group}`);
    for (const socket of this.sockets) if (socket.groups.has(group)) socket.arrived(bytes, from);
  }
}

class CableSocket implements UdpSocket {
  readonly groups = new Set<string>();
  readonly #queue: { bytes: Bytes; from: PeerAddress }[] = [];
  #wake = () => {};

  constructor(readonly cable: Cable, readonly address: PeerAddress, readonly joinFails: boolean) {
    cable.sockets.add(this);
  }

  send(bytes: Bytes, to: PeerAddress): Promise<void> {
    this.cable.carry(bytes, this.address, to.host);
    return Promise.resolve();
  }

  arrived(bytes: Bytes, from: PeerAddress): void {
    this.#queue.push({ bytes, from });
    this.#wake();
  }

  async receive(into: Bytes): Promise<{ length: number; from: PeerAddress } | null> {
    for (;;) {
      if (!this.cable.sockets.has(this)) return null;
      const first = this.#queue.shift();
      if (first) {
        into.set(first.bytes);
        return { length: first.bytes.length, from: first.from };
      }
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
  }

  join(group: string): Promise<void> {
    if (this.joinFails) return Promise.reject(new Error("no such device"));
    this.groups.add(group);
    return Promise.resolve();
  }

  close(): void {
    this.cable.sockets.delete(this);
    this.#wake();
  }
}

/** A machine on the cable. */
class Machine extends VirtualClock {
  own: LocalAddress[];
  joinFails = false;
  readonly net: Network;

  constructor(cable: Cable, n: number) {
    super({ seed: n });
    this.own = [{ host: `10.0.0.${n}`, prefix: 24, name: "eth0" }, { host: `fd00::${n}`, prefix: 64, name: "eth0" }];
    const openUdp = ({ host, port }: UdpOptions) => new CableSocket(cable, { host, port }, this.joinFails);
    this.net = { openUdp, localAddresses: () => this.own } as unknown as Network;
  }
}

function discoveryOn(machine: Machine, bind?: string) {
  const found: string[] = [];
  const troubles: string[] = [];
  const discovery = new LocalDiscovery({
    platform: machine,
    onTrouble: (message) => troubles.push(message),
    ...(bind !== undefined && { bind }),
  });
  const search = (port: number) => ({ port, onPeer: (address: PeerAddress) => found.push(formatAddress(address)) });
  return { discovery, found, troubles, search };
}

Deno.test("LocalDiscovery finds who looks for the same torrent, in both families, and not itself", async () => {
  const cable = new Cable();
  const machines = [1, 2].map((n) => new Machine(cable, n));
  const [one, two] = machines.map((machine) => discoveryOn(machine)) as [
    ReturnType<typeof discoveryOn>,
    ReturnType<typeof discoveryOn>,
  ];
  one.discovery.add(HASH, one.search(7001));
  two.discovery.add(HASH, two.search(7002));
  two.discovery.add(OTHER, two.search(7002));
  for (const machine of machines) await machine.play(2000);
  assertEquals(one.found.sort(), ["10.0.0.2:7002", "[fd00::2]:7002"]);
  assertEquals(two.found.sort(), ["10.0.0.1:7001", "[fd00::1]:7001"]);
  assertEquals(cable.log.length, 4); // one message per family and machine, however many torrents
  one.discovery.stop();
  two.discovery.stop();
  assertEquals([cable.sockets.size, ...machines.map(({ nextDue }) => nextDue)], [0, Infinity, Infinity]);
});

Deno.test("LocalDiscovery.remove() announces a torrent no more, and closes the sockets after the last one", async () => {
  const cable = new Cable();
  const machine = new Machine(cable, 1);
  const { discovery, search } = discoveryOn(machine);
  const own = search(1);
  discovery.add(HASH, own);
  await machine.play(2000);
  discovery.remove(HASH, own);
  assertEquals(cable.sockets.size, 0);
  await machine.play(30 * MINUTE);
  assertEquals(cable.log.length, 2);
  discovery.stop();
});

Deno.test("LocalDiscovery.remove() ends one of two searches for the same torrent, and the other goes on", async () => {
  const cable = new Cable();
  const machines = [1, 2].map((n) => new Machine(cable, n));
  const [one, two] = machines.map((machine) => discoveryOn(machine));
  const searches = [one!.search(7001), one!.search(7001)] as const;
  for (const search of [...searches, searches[0]]) one!.discovery.add(HASH, search);
  one!.discovery.remove(HASH, searches[1]);
  two!.discovery.add(HASH, two!.search(7002));
  for (const machine of machines) await machine.play(2000);
  assertEquals(one!.found.sort(), ["10.0.0.2:7002", "[fd00::2]:7002"]);
  assertEquals(two!.found.sort(), ["10.0.0.1:7001", "[fd00::1]:7001"]);
  one!.discovery.remove(HASH, searches[0]);
  assertEquals(one!.discovery.nextIn(HASH), null);
  one!.discovery.stop();
  two!.discovery.stop();
});

Deno.test("LocalDiscovery speaks from the chosen address only", async () => {
  const cable = new Cable();
  const machine = new Machine(cable, 1);
  const { discovery, search } = discoveryOn(machine, "10.0.0.1");
  discovery.add(HASH, search(1));
  await machine.play(2000);
  assertEquals(cable.log, [`10.0.0.1 > ${LSD_GROUPS[4]}`]);
  discovery.stop();
});

Deno.test("LocalDiscovery goes along when the machine comes to another network", async () => {
  const cable = new Cable();
  const machine = new Machine(cable, 1);
  const { discovery, search } = discoveryOn(machine);
  discovery.add(HASH, search(1));
  await machine.play(2000);
  machine.own = [{ host: "192.168.7.7", prefix: 24, name: "wlan0" }];
  await machine.play(6 * MINUTE);
  assertEquals(cable.log.filter((line) => line.endsWith(LSD_GROUPS[4])).at(-1), `192.168.7.7 > ${LSD_GROUPS[4]}`);
  discovery.stop();
});

Deno.test("LocalDiscovery tells once when no group can be joined, and does without", async () => {
  const machine = new Machine(new Cable(), 1);
  machine.joinFails = true;
  const { discovery, troubles, search } = discoveryOn(machine);
  discovery.add(HASH, search(1));
  await machine.play(20 * MINUTE);
  assertEquals(troubles, ["no such device"]);
  discovery.stop();
});

Deno.test("LocalDiscovery believes no stranger, and passes over nonsense", async () => {
  const cable = new Cable();
  const machine = new Machine(cable, 1);
  const { discovery, found, search } = discoveryOn(machine);
  discovery.add(HASH, search(1));
  await machine.play(2000);
  const words = utf8(`BT-SEARCH * HTTP/1.1\r\nPort: 9\r\nInfohash: ${HASH.hex}\r\n\r\n\r\n`);
  cable.carry(words, { host: "8.8.8.8", port: 6771 }, LSD_GROUPS[4]);
  cable.carry(utf8("nonsense"), { host: "10.0.0.9", port: 6771 }, LSD_GROUPS[4]);
  cable.carry(words, { host: "10.0.0.9", port: 6771 }, LSD_GROUPS[4]);
  await machine.play(10);
  assertEquals(found, ["10.0.0.9:9"]);
  discovery.stop();
});
