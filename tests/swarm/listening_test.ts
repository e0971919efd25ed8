import { assertEquals } from "@std/assert";
import type { Connection, Listener } from "../../src/platform/platform.ts";
import { Listening } from "../../src/swarm/listening.ts";
import { settle, VirtualClock } from "../support/virtual_clock.ts";

/** A connection that says nothing and remembers that it was closed. */
class Silent implements Connection {
  readonly remote = { host: "10.0.0.1", port: 1 };
  readonly local = { host: "10.0.0.2", port: 2 };
  closed = false;
  #fail = (_: Error) => {};

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

/** A listener whose answers the test gives. */
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
  return { clock, listener, listening: new Listening(clock, { listener, find: () => null }) };
}

Deno.test("Listening goes on after the system was out of file descriptors, making room for others", async () => {
  const { clock, listener, listening } = listen();
  const silent = new Silent();
  listener.give(silent);
  await settle();
  listener.fail(new Error("Too many open files"));
  await settle();
  assertEquals([silent.closed, listener.accepts], [true, 2]);
  clock.advance(1000);
  await settle();
  assertEquals(listener.accepts, 3);
  listening.close();
});

Deno.test("Listening drops who says nothing for ten seconds", async () => {
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

Deno.test("Listening keeps no more than 128 silent connections, the oldest going first", async () => {
  const { listener, listening } = listen();
  const all = Array.from({ length: 130 }, () => new Silent());
  for (const one of all) {
    listener.give(one);
    await settle();
  }
  assertEquals(all.map((one) => one.closed).lastIndexOf(true), 1);
  listening.close();
  assertEquals(all.every((one) => one.closed), true);
});
