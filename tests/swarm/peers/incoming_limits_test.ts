import { assert, assertEquals } from "@std/assert";
import {
  ACCEPT_BURST,
  ACCEPTS_PER_SECOND,
  CONNECT_BURST,
  CONNECTS_PER_SECOND,
  MAX_PENDING,
  MAX_PENDING_PER_HOST,
  MAX_REMEMBERED_HOSTS,
} from "../../../src/base/defences.ts";
import { IncomingLimits } from "../../../src/swarm/peers/incoming_limits.ts";

const from = (host: string) => ({ host });

Deno.test("IncomingLimits.came() lets an address connect so often in a row, and then slowly", () => {
  const limits = new IncomingLimits();
  const come = (now: number) => {
    const one = from("a");
    const refused = limits.admit(one, now);
    limits.done(one);
    return refused;
  };
  for (let i = 0; i < CONNECT_BURST; i++) assertEquals(come(0), null);
  assertEquals(come(0), "it connects too often");
  assertEquals(limits.admit(from("b"), 0), null);
  assertEquals(come(1000 / CONNECTS_PER_SECOND), null);
  assertEquals(come(1000 / CONNECTS_PER_SECOND), "it connects too often");
});

Deno.test("IncomingLimits.surplus is the oldest of the address that has most", () => {
  const limits = new IncomingLimits<{ host: string; n: number }>();
  for (let n = 0; n < MAX_PENDING_PER_HOST; n++) limits.admit({ host: "a", n }, 0);
  assertEquals(limits.surplus, null);
  limits.admit({ host: "b", n: 0 }, 0);
  limits.admit({ host: "a", n: 99 }, 0);
  assertEquals(limits.surplus, { host: "a", n: 0 });
});

Deno.test("IncomingLimits.surplus keeps the sum within its limit, whoever they are", () => {
  const limits = new IncomingLimits<{ host: string; n: number }>();
  for (let n = 0; n < MAX_PENDING; n++) limits.admit({ host: `h${n % 100}`, n }, 0);
  assertEquals(limits.surplus, null);
  limits.admit({ host: "honest", n: 0 }, 0);
  assertEquals(limits.surplus, { host: "h0", n: 0 });
});

Deno.test("IncomingLimits.accepted() spreads a rush of connections over time", () => {
  const limits = new IncomingLimits();
  let now = 0;
  let count = 0;
  for (; now < 5000; count++) now += limits.accepted(now);
  assert(Math.abs(count - 5 * ACCEPTS_PER_SECOND - ACCEPT_BURST) < 10, `${count} in five seconds`);
});

Deno.test("IncomingLimits.tell() tells once a minute of each, and how many there were", () => {
  const limits = new IncomingLimits();
  const tell = (host: string, now: number) => limits.tell(host, { message: "no", now });
  assertEquals([tell("a", 0), tell("a", 1), tell("a", 2), tell("b", 3)], ["no", null, null, "no"]);
  assertEquals([tell("a", 60_000), tell("a", 60_001)], ["no; 2 times more before", null]);
});

Deno.test("IncomingLimits forgets addresses that were quiet for longest", () => {
  const limits = new IncomingLimits();
  const tell = (host: string) => limits.tell(host, { message: "no", now: 0 });
  for (let i = 0; i <= MAX_REMEMBERED_HOSTS; i++) tell(`${i}`);
  assertEquals([tell("1"), tell(`${MAX_REMEMBERED_HOSTS}`), tell("0")], [null, null, "no"]);
});

Deno.test("IncomingLimits.accepted() lets no backlog of time turn into a backlog of connections", () => {
  const limits = new IncomingLimits();
  limits.accepted(0);
  let count = 0;
  while (limits.accepted(60_000) === 0) count++; // after a minute of sleep
  assertEquals(count, ACCEPT_BURST);
});

Deno.test("IncomingLimits takes all IPv6 addresses of a /64 for one", () => {
  const limits = new IncomingLimits<{ host: string }>();
  for (let n = 0; n <= MAX_PENDING_PER_HOST; n++) limits.admit({ host: `2001:db8::${n.toString(16)}` }, 0);
  assertEquals(limits.surplus, { host: "2001:db8::0" });
  for (let n = MAX_PENDING_PER_HOST + 1; n < CONNECT_BURST; n++) {
    assertEquals(limits.admit(from(`2001:db8::${n.toString(16)}`), 0), null);
  }
  assertEquals(limits.admit(from("2001:db8::ffff"), 0), "it connects too often");
  assertEquals(limits.admit(from("2001:db8:1::1"), 0), null);
});
