import { assertEquals } from "@std/assert";
import type { Connection, Listener } from "../../../src/platform/platform.ts";
import { ACCEPT_BURST, ACCEPTS_PER_SECOND } from "../../../src/base/defences.ts";
import { PeerListener } from "../../../src/swarm/peers/peer_listener.ts";
import { DESCRIPTORS_AGAIN, OUT_OF_DESCRIPTORS } from "../../../src/platform/descriptors.ts";
import { settle, VirtualClock } from "../../support/virtual_clock.ts";

/** A silent connection that remembers whether it was closed. */
class Silent implements Connection {
  readonly remote: { readonly host: string; readonly port: number };
  readonly local = { host: "10.0.0.2", port: 2 };
  closed = false;
  #fail = (_: Error) => {};

  constructor(host = "10.0.0.1") {
    this.remote = { host, port: 1 };
  }

  read(): Promise<number | null> {
    return new Promise((_, reject) => this.#fail = reject);
  }
  write(): Promise<number> {
    return Promise.reject(new Error("closed"));
  }
  close(): void {
    this.closed = true;
    this.#fail(new Error("closed"));
  }
}

/** A listener whose connections come from the test. */
class Scripted implements Listener {
  readonly address = { host: "10.0.0.2", port: 2 };
  accepts = 0;
  give = (_: Connection | null) => {};
  fail = (_: Error) => {};

  accept(): Promise<Connection | null> {
    this.accepts++;
    return new Promise((resolve, reject) => {
      this.give = resolve;
      this.fail = reject;
    });
  }
  close(): void {
    this.give(null);
  }
}

function listen() {
  const clock = new VirtualClock();
  const listener = new Scripted();
  const told: string[] = [];
  return {
    clock,
    listener,
    told,
    listening: new PeerListener(clock, {
      listener,
      find: () => null,
      refused: (from, message) => void told.push(`${from.host} ${message}`),
      warn: (message) => void told.push(message),
    }),
  };
}

Deno.test("PeerListener goes on after the system was out of file descriptors, making room for others", async () => {
  const { clock, listener, listening, told } = listen();
  const silent = new Silent();
  listener.give(silent);
  await settle();
  told.length = 0;
  listener.fail(Object.assign(new Error("Too many open files"), { code: "EMFILE" }));
  await settle();
  assertEquals([silent.closed, listener.accepts], [true, 2]);
  clock.advance(1000);
  await settle();
  assertEquals(listener.accepts, 3);
  listener.fail(new Error("something else"));
  await settle();
  clock.advance(1000);
  await settle();
  assertEquals(told, [OUT_OF_DESCRIPTORS, "10.0.0.1 there was no room for more connections"]);
  clock.advance(10_000);
  listener.give(new Silent());
  await settle();
  assertEquals([told.length, told.at(-1)], [3, DESCRIPTORS_AGAIN]);
  listening.close();
});

Deno.test("PeerListener drops who says nothing for ten seconds", async () => {
  const { clock, listener, listening } = listen();
  const silent = new Silent();
  listener.give(silent);
  await settle();
  clock.advance(9_000);
  assertEquals(silent.closed, false);
  clock.advance(1_001);
  assertEquals(silent.closed, true);
  listening.close();
});

Deno.test("PeerListener keeps no more than 128 silent connections, the oldest going first", async () => {
  const { clock, listener, listening } = listen();
  const all = Array.from({ length: 130 }, (_, i) => new Silent(`10.0.0.${i}`));
  for (const one of all) {
    listener.give(one);
    await settle();
    clock.advance(1000 / ACCEPTS_PER_SECOND);
    await settle();
  }
  assertEquals(all.map((one) => one.closed).lastIndexOf(true), 1);
  listening.close();
  assertEquals(all.every((one) => one.closed), true);
});

Deno.test("PeerListener names who says nothing, or no handshake, and not again within a minute", async () => {
  const { clock, listener, told, listening } = listen();
  for (let i = 0; i < 3; i++) {
    listener.give(new Silent());
    await settle();
    clock.advance(10_001);
    await settle();
  }
  assertEquals(told, ["10.0.0.1 no handshake within 10 s"]);
  clock.advance(60_000);
  listener.give(new Silent());
  await settle();
  clock.advance(10_001);
  await settle();
  assertEquals(told.slice(1), ["10.0.0.1 no handshake within 10 s; 2 times more before"]);
  listening.close();
});

Deno.test("PeerListener turns who connects too often away unheard", async () => {
  const { clock, listener, told, listening } = listen();
  const all: Silent[] = [];
  for (let i = 0; i < 110; i++) {
    const one = new Silent();
    all.push(one);
    listener.give(one);
    await settle();
    clock.advance(10);
  }
  // The burst, and the allowance that came back meanwhile. Sixteen connections of one address may wait at the same
  // time.
  assertEquals(all.filter((one) => !one.closed).length, 16);
  assertEquals(all.slice(103).every((one) => one.closed), true);
  assertEquals(told, ["10.0.0.1 too many connections wait for their handshake"]);
  const other = new Silent("10.0.0.2");
  listener.give(other);
  await settle();
  assertEquals(other.closed, false);
  listening.close();
});

Deno.test("PeerListener accepts no more than a few in a row, so that it hears those that it has accepted", async () => {
  const { clock, listener, listening } = listen();
  for (let i = 0; i < 50; i++) {
    listener.give(new Silent(`10.0.${i >> 8}.${i & 255}`));
    await settle();
  }
  const before = listener.accepts;
  assertEquals(before, ACCEPT_BURST + 1);
  clock.advance(1000);
  await settle();
  assertEquals(listener.accepts, before + 1);
  listening.close();
});
