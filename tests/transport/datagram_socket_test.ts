import { assert, assertEquals, assertThrows } from "@std/assert";
import type { PeerAddress } from "../../src/base/address.ts";
import { utf8 } from "../../src/base/bytes.ts";
import { ShoalError } from "../../src/base/errors.ts";
import { denoPlatform } from "../../src/platform/deno_platform.ts";
import { type DatagramProtocol, DatagramSocket, protocolOf } from "../../src/transport/datagram_socket.ts";
import { fc } from "../support/property.ts";
import { type MemorySocket, UdpWorld } from "../support/udp_world.ts";
import { settle } from "../support/virtual_clock.ts";

const FROM: PeerAddress = { host: "9.9.9.9", port: 7 };
const PROTOCOLS: readonly DatagramProtocol[] = ["dht", "tracker", "utp"];

/** Returns a datagram that begins with some bytes, followed by zeros. */
function datagram(length: number, ...first: number[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length);
  bytes.set(first.slice(0, length));
  return bytes;
}

/** Returns a socket in memory that records the datagrams of its receivers. */
function begin(world: UdpWorld, { host = "::", port = 6881 } = {}) {
  const told: string[] = [];
  const ports: number[] = [];
  const socket = new DatagramSocket({ platform: world, place: () => ({ host, port }), moved: (to) => ports.push(to) });
  for (const protocol of PROTOCOLS) {
    socket.register(protocol, (bytes, { host }) => told.push(`${protocol} ${bytes.length} ${host}`));
  }
  return { socket, told, ports };
}

Deno.test("protocolOf() tells datagrams apart by their first bytes", () => {
  const cases: readonly (readonly [Uint8Array, DatagramProtocol | null])[] = [
    [utf8("d1:t2:aa1:y1:qe"), "dht"],
    [utf8("de"), "dht"],
    [utf8("d1:t2:aa1:y1:q"), null], // cut short
    [utf8("d"), null],
    [datagram(16, 0, 0, 0, 0), "tracker"], // connect
    [datagram(20, 0, 0, 0, 1), "tracker"], // announce
    [datagram(8, 0, 0, 0, 2), "tracker"], // scrape
    [datagram(8, 0, 0, 0, 3), "tracker"], // error
    [datagram(20, 0, 0, 0, 4), null],
    [datagram(20, 0, 0, 1, 1), null],
    [datagram(20, 0, 1, 0, 1), null],
    [datagram(7, 0, 0, 0, 1), null],
    [datagram(20, 0x01), "utp"], // data
    [datagram(20, 0x11), "utp"], // fin
    [datagram(20, 0x21), "utp"], // state
    [datagram(20, 0x31), "utp"], // reset
    [datagram(1400, 0x41), "utp"], // syn
    [datagram(20, 0x51), null],
    [datagram(20, 0x02), null], // another version
    [datagram(19, 0x41), null],
    [utf8("HTTP/1.1 200 OK\r\n\r\n"), null],
    [datagram(1, 0), null],
    [datagram(0), null],
  ];
  for (const [bytes, protocol] of cases) assertEquals(protocolOf(bytes), protocol, bytes.slice(0, 8).join());
});

Deno.test("protocolOf() takes only what its protocol allows, by the first byte", () => {
  for (let first = 0; first < 256; first++) {
    const found = protocolOf(datagram(40, first, 0, 0, 1).with(39, 0x65));
    const expected = first === 0x64
      ? "dht"
      : first === 0
      ? "tracker"
      : first <= 0x41 && (first & 15) === 1
      ? "utp"
      : null;
    assertEquals(found, expected, `${first}`);
  }
});

Deno.test("DatagramSocket gives every datagram to one receiver at most: that of its protocol", async () => {
  const world = new UdpWorld();
  const { socket, told } = begin(world);
  socket.open();
  const [memory] = world.sockets as [MemorySocket];
  const begins = fc.constantFrom([0x64], [0, 0, 0], [0, 0, 0, 1], [0x01], [0x41], [0x21, 0], []);
  const anything = fc.tuple(begins, fc.uint8Array({ maxLength: 60 })).map(([first, rest]) => [...first, ...rest]);
  await fc.assert(
    fc.asyncProperty(fc.array(anything, { maxLength: 8 }), async (datagrams) => {
      told.length = 0;
      for (const bytes of datagrams) memory.deliver(Uint8Array.from(bytes), FROM);
      await settle();
      const expected = datagrams.flatMap((bytes) => {
        const protocol = protocolOf(Uint8Array.from(bytes));
        return protocol === null ? [] : [`${protocol} ${bytes.length} 9.9.9.9`];
      });
      assertEquals(told, expected);
    }),
    { numRuns: 60 },
  );
  socket.close();
});

Deno.test("DatagramSocket has one receiver for a protocol, until that has enough", async () => {
  const world = new UdpWorld();
  const socket = new DatagramSocket({ platform: world, place: () => FROM });
  const heard: string[] = [];
  const end = socket.register("dht", () => heard.push("first"));
  assertThrows(() => socket.register("dht", () => {}), Error, "already");
  socket.open();
  const say = async () => {
    world.sockets[0]!.deliver(utf8("de"), FROM);
    await settle();
  };
  await say();
  end();
  await say();
  socket.register("dht", () => heard.push("second"));
  end(); // no effect: another receiver is registered by now
  await say();
  assertEquals(heard, ["first", "second"]);
  socket.close();
});

Deno.test("DatagramSocket is opened when it is needed, on the port of the session, and sends nothing before", () => {
  const world = new UdpWorld();
  const { socket, ports } = begin(world);
  assertEquals([socket.port, socket.host, world.sockets.length], [6881, "::", 0]);
  socket.send(utf8("lost"), FROM);
  socket.open();
  socket.open();
  assertEquals([world.sockets.length, socket.port, ports], [1, 6881, [6881]]);
  socket.send(utf8("sent"), FROM);
  assertEquals(world.sent.map(({ parts }) => parts.to), ["9.9.9.9:7"]);
  socket.close();
  socket.close();
  assertEquals(world.sockets.map(({ closed }) => closed), [true]);
  assertThrows(() => socket.open(), ShoalError, "stopped");
});

Deno.test("DatagramSocket takes another port when somebody has that of the session, and says so", () => {
  const world = new UdpWorld();
  world.taken.add(6881);
  const { socket, ports } = begin(world);
  socket.open();
  assert(socket.port !== 6881);
  assertEquals(ports, [socket.port]);
  socket.close();
});

Deno.test("DatagramSocket tells which families it takes", () => {
  const world = new UdpWorld();
  for (
    const [host, families] of [["::", [4, 6]], ["0.0.0.0", [4]], ["10.0.0.7", [4]], ["fd00::1", [6]], [
      "::ffff:10.0.0.7",
      [4],
    ]] as const
  ) {
    const { socket } = begin(world, { host });
    assertEquals(socket.families, families, host);
    socket.open();
    assertEquals(socket.families, families, host);
    socket.close();
  }
});

Deno.test("DatagramSocket is opened again when it dies: at once, then ever more seldom, on the port that it had", async () => {
  const world = new UdpWorld();
  const { socket, told, ports } = begin(world);
  socket.open();
  const times = [world.now()];
  const open = world.net.openUdp;
  world.net.openUdp = (options) => {
    times.push(world.now());
    return open(options);
  };
  const die = async () => {
    world.sockets.at(-1)!.close();
    await settle();
  };
  await die();
  await world.play(0);
  await die();
  await world.play(5_000);
  world.sockets.at(-1)!.deliver(utf8("de"), FROM);
  await settle();
  assertEquals([times, ports, told], [[0, 0, 1_000], [6881], ["dht 2 9.9.9.9"]]);
  // The system has no free socket (EMFILE): datagrams are lost until a socket can be opened again.
  world.refused.add("::");
  await die();
  await world.play(600_000);
  const tried = times.length;
  assert(tried > 10 && tried < 30, `${tried} times`);
  socket.send(utf8("lost"), FROM);
  world.refused.clear();
  await world.play(60_000);
  assertEquals(times.length, tried + 1);
  world.sockets.at(-1)!.deliver(utf8("d1e"), FROM);
  await settle();
  assertEquals([told.at(-1), ports], ["dht 3 9.9.9.9", [6881]]);
  // A socket that lived long is reopened at once.
  await world.play(61_000);
  await die();
  await world.play(0);
  assertEquals(times.length, tried + 2);
  socket.close();
  assertEquals(world.pending, 0);
});

Deno.test("DatagramSocket.close() ends the tries to open it again", async () => {
  const world = new UdpWorld();
  const { socket } = begin(world);
  socket.open();
  world.refused.add("::");
  world.sockets[0]!.close();
  await world.play(10_000);
  assertEquals(world.pending, 1);
  socket.close();
  assertEquals(world.pending, 0);
});

for (const host of ["::", "127.0.0.1", "::1", "::ffff:127.0.0.1"]) {
  Deno.test(`DatagramSocket on ${host} exchanges datagrams with IPv4 and IPv6, as far as it is bound to them`, async () => {
    const { net } = denoPlatform;
    const heard: PeerAddress[] = [];
    let wake = () => {};
    const socket = new DatagramSocket({ platform: denoPlatform, place: () => ({ host, port: 0 }) });
    socket.register("dht", (_, from) => {
      heard.push(from);
      wake();
    });
    socket.open();
    for (const [family, own] of [[4, "127.0.0.1"], [6, "::1"]] as const) {
      if (!socket.families.includes(family)) continue;
      const other = net.openUdp({ host: own, port: 0 });
      const arrived = new Promise<void>((resolve) => wake = resolve);
      await other.send(utf8("de"), { host: own, port: socket.port });
      await arrived;
      assertEquals(heard.pop(), other.address); // as an IPv4 or IPv6 address, whatever the socket's family
      socket.send(utf8("x"), other.address);
      const back = await other.receive(new Uint8Array(9));
      assertEquals(back, { length: 1, from: { host: own, port: socket.port } });
      other.close();
    }
    socket.close();
  });
}
