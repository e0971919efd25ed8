import { assert, assertEquals, assertGreater } from "@std/assert";
import { TRACKER_RATE } from "../../src/base/defences.ts";
import { parseNetworks } from "../../src/base/ip_ranges.ts";
import { InfoHash } from "../../src/base/info_hash.ts";
import { BencodeDict, decode } from "../../src/bencode/mod.ts";
import type { Http, HttpHandler } from "../../src/platform/platform.ts";
import { TrackerServer, type TrackerServerOptions } from "../../src/tracker_server/server.ts";
import { InputMaker } from "../fuzz/fuzzer.ts";
import { queryTarget } from "../fuzz/targets/tracker.ts";
import { VirtualClock } from "../support/virtual_clock.ts";

type Handler = (...given: Parameters<HttpHandler>) => Promise<Response>;

/** Starts a tracker without sockets. */
function start(clock: VirtualClock, options: Partial<TrackerServerOptions> = {}) {
  let handler: Handler | undefined;
  const http: Pick<Http, "serve"> = {
    serve(address, handle) {
      handler = async (...given) => {
        const answer = await handle(...given);
        return answer instanceof Response ? answer : new Response(answer.content, { status: answer.status });
      };
      return { address, close: () => Promise.resolve() };
    },
  };
  const platform = { now: () => clock.now(), after: clock.after.bind(clock), random: () => 0.5, http: http as Http };
  const server = TrackerServer.start(platform, { host: "127.0.0.1", port: 1, ...options });
  return { server, handler: handler! };
}

Deno.test("TrackerServer answers whatever is asked with a dictionary, or says that it doesn't understand", async () => {
  const clock = new VirtualClock();
  const { server, handler } = start(clock);
  const maker = new InputMaker(queryTarget, 11);
  const counts = { peers: 0, refused: 0, other: 0 };
  for (let index = 0; index < 600; index++) {
    const query = new TextDecoder().decode(maker.make(index)).replace(/#/g, "");
    const path = ["/announce", "/scrape", "/announce", "/", "/announce/x"][index % 5];
    const request = new Request(`http://127.0.0.1:1${path}?${query}`, { method: index % 7 === 0 ? "POST" : "GET" });
    const response = await handler(request, { host: index % 2 === 0 ? "::1" : "192.0.2.1", port: 5 });
    const body = new Uint8Array(await response.arrayBuffer());
    if (response.status !== 200) {
      assertEquals(response.status, index % 7 === 0 ? 405 : 404);
      counts.other++;
      continue;
    }
    const reply = decode(body, { strict: true });
    assert(reply instanceof BencodeDict);
    counts[reply.has("failure reason") ? "refused" : "peers"]++;
  }
  for (const count of Object.values(counts)) assertGreater(count, 20, JSON.stringify(counts));
  await server.close();
});

const ANNOUNCE = `/announce?info_hash=${"a".repeat(20)}&peer_id=${"b".repeat(20)}&port=6881&left=5`;

Deno.test("TrackerServer answers an address only so often, an IPv6 /64 being one", async () => {
  const clock = new VirtualClock();
  const { server, handler } = start(clock);
  const refusal = async (host: string, path = ANNOUNCE) => {
    const response = await handler(new Request(`http://x:1${path}`), { host, port: 5 });
    const reply = decode(new Uint8Array(await response.arrayBuffer()), { strict: true });
    assert(reply instanceof BencodeDict);
    return new TextDecoder().decode(reply.getBytes("failure reason"));
  };
  for (const hosts of [["192.0.2.1"], ["2001:db8::1", "2001:db8::2"]]) {
    for (let i = 0; i < TRACKER_RATE.burst; i++) assertEquals(await refusal(hosts[i % hosts.length]!), "");
    const before = server.statistics.refused;
    for (const path of [ANNOUNCE, ANNOUNCE.replace("announce", "scrape")]) {
      assertEquals(await refusal(hosts[0]!, path), "too many requests from your address");
    }
    assertEquals(server.statistics.refused, before + 2);
    assertEquals(await refusal("192.0.2.2"), "", "another address may");
    clock.advance(1_000);
    for (let i = 0; i < TRACKER_RATE.perSecond; i++) assertEquals(await refusal(hosts[0]!), "");
    assertEquals(await refusal(hosts[0]!), "too many requests from your address");
  }
  for (let i = 0; i <= TRACKER_RATE.burst; i++) assertEquals(await refusal("127.0.0.1"), "");
  await server.close();
});

Deno.test("TrackerServer takes each client of a proxy that is trusted by itself, and no other's word", async () => {
  const clock = new VirtualClock();
  const read = (text: string) => {
    const parsed = parseNetworks(text);
    assert("networks" in parsed);
    return parsed.networks;
  };
  const { server, handler } = start(clock, { trust: { proxies: read("127.0.0.1") }, rate: 1 });
  const ask = async (host: string, forwarded: string) => {
    const request = new Request(`http://x:1${ANNOUNCE}&ip=198.51.100.9`, { headers: { "x-forwarded-for": forwarded } });
    const response = await handler(request, { host, port: 5 });
    return decode(new Uint8Array(await response.arrayBuffer()), { strict: true }) as BencodeDict;
  };
  assertEquals((await ask("127.0.0.1", "6.6.6.6, 203.0.113.5")).getBytes("external ip"), Uint8Array.of(203, 0, 113, 5));
  assertEquals((await ask("192.0.2.1", "203.0.113.6")).getBytes("external ip"), Uint8Array.of(192, 0, 2, 1));
  for (let i = 1; i < 50; i++) await ask("127.0.0.1", "203.0.113.5");
  const refused = await ask("127.0.0.1", "203.0.113.5");
  assertEquals([refused.has("failure reason"), refused.getInt("retry in")], [true, 1]);
  assertEquals((await ask("127.0.0.1", "203.0.113.7")).has("failure reason"), false);
  await server.close();
});

Deno.test("TrackerServer.name() makes a seed known that never announces, for as long as it runs", async () => {
  const clock = new VirtualClock();
  const { server, handler } = start(clock, { allow: [], interval: 60 });
  const ask = async () => {
    const response = await handler(new Request(`http://x:1${ANNOUNCE}`), { host: "192.0.2.9", port: 5 });
    return decode(new Uint8Array(await response.arrayBuffer()), { strict: true }) as BencodeDict;
  };
  assert((await ask()).has("failure reason"));
  const addresses = [{ host: "192.0.2.1", port: 1 }, { host: "2001:db8::1", port: 1 }];
  server.name(new InfoHash(new TextEncoder().encode("a".repeat(20))), { peerId: new Uint8Array(20), addresses });
  for (let minute = 0; minute < 10; minute++) {
    const reply = await ask();
    assertEquals([reply.getBytes("peers")?.length, reply.getBytes("peers6")?.length], [6, 18]);
    assertEquals(reply.getInt("complete"), 2);
    clock.advance(60_000);
  }
  await server.close();
});
