import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { ShoalError } from "../../src/base/errors.ts";
import { bothFamilies } from "../../src/platform/deno_udp.ts";
import { denoNetwork } from "../../src/platform/deno_net.ts";

const buffer = () => new Uint8Array(2048);

Deno.test("openUdp() exchanges datagrams, and tells IPv4 senders by their IPv4 address on a socket of both families", async () => {
  const both = denoNetwork.openUdp({ host: "::", port: 0 });
  const four = denoNetwork.openUdp({ host: "127.0.0.1", port: 0 });
  const six = denoNetwork.openUdp({ host: "::1", port: 0 });
  for (const socket of [four, six]) {
    await socket.send(Uint8Array.of(1, 2), { host: socket.address.host, port: both.address.port });
    assertEquals(await both.receive(buffer()), { length: 2, from: socket.address });
    const into = buffer();
    await both.send(Uint8Array.of(7), socket.address);
    assertEquals((await socket.receive(into))?.length, 1);
    assertEquals(into[0], 7);
  }
  for (const socket of [both, four, six]) socket.close();
});

Deno.test("openUdp() cuts a datagram that is longer than the buffer", async () => {
  const socket = denoNetwork.openUdp({ host: "127.0.0.1", port: 0 });
  await socket.send(new Uint8Array(100), socket.address);
  assertEquals((await socket.receive(new Uint8Array(10)))?.length, 10);
  socket.close();
});

Deno.test("UdpSocket.send() counts what the system refuses as lost", async () => {
  const socket = denoNetwork.openUdp({ host: "127.0.0.1", port: 0 });
  await socket.send(new Uint8Array(70_000), socket.address); // more than a datagram holds
  await socket.send(Uint8Array.of(1), { host: "2001:db8::1", port: 9 }); // of another address family
  await socket.send(Uint8Array.of(5), socket.address);
  const into = buffer();
  assertEquals((await socket.receive(into))?.length, 1);
  assertEquals(into[0], 5);
  socket.close();
});

Deno.test("UdpSocket.receive() gives null when the socket is closed, before and meanwhile", async () => {
  const socket = denoNetwork.openUdp({ host: "127.0.0.1", port: 0 });
  const waiting = socket.receive(buffer());
  socket.close();
  socket.close();
  assertEquals(await waiting, null);
  assertEquals(await socket.receive(buffer()), null);
});

Deno.test("openUdp() says that a port is in use, unless it is shared", () => {
  const first = denoNetwork.openUdp({ host: "127.0.0.1", port: 0 });
  const error = assertThrows(() => denoNetwork.openUdp({ host: "127.0.0.1", port: first.address.port }), ShoalError);
  assertEquals(error.kind, "network");
  first.close();
  const one = denoNetwork.openUdp({ host: "0.0.0.0", port: 0, shared: true });
  denoNetwork.openUdp({ host: "0.0.0.0", port: one.address.port, shared: true }).close();
  one.close();
});

Deno.test("UdpSocket.join() takes what is sent to a multicast group", async () => {
  const socket = denoNetwork.openUdp({ host: "0.0.0.0", port: 0, shared: true });
  await assertRejects(() => socket.join("10.0.0.1"));
  socket.close();
});

Deno.test("bothFamilies() makes one socket of two, as systems need it that keep IPv4 out of a socket of IPv6", async () => {
  const both = bothFamilies(
    denoNetwork.openUdp({ host: "::1", port: 0 }),
    denoNetwork.openUdp({ host: "127.0.0.1", port: 0 }),
  );
  const addresses: Record<string, { host: string; port: number }> = { "::1": both.address };
  const four = denoNetwork.openUdp({ host: "127.0.0.1", port: 0 });
  const six = denoNetwork.openUdp({ host: "::1", port: 0 });
  for (const socket of [four, six, four]) {
    const into = buffer();
    await both.send(Uint8Array.of(7), socket.address);
    const { from } = (await socket.receive(into))!;
    addresses[from.host] = from;
    await socket.send(Uint8Array.of(1, 2, 3), addresses[socket.address.host]!);
    assertEquals(await both.receive(into), { length: 3, from: socket.address });
    assertEquals([...into.subarray(0, 3)], [1, 2, 3]);
  }
  // Datagrams on one socket don't hold up those on the other.
  for (let i = 0; i < 3; i++) await six.send(Uint8Array.of(6), addresses["::1"]!);
  await four.send(Uint8Array.of(4), addresses["127.0.0.1"]!);
  const heard: number[] = [];
  for (let i = 0; i < 4; i++) {
    const into = new Uint8Array(1);
    await both.receive(into);
    heard.push(into[0]!);
  }
  assertEquals(heard.toSorted(), [4, 6, 6, 6]);
  const waiting = both.receive(buffer());
  both.close();
  assertEquals(await waiting, null);
  assertEquals(await both.receive(buffer()), null);
  for (const socket of [four, six]) socket.close();
});
