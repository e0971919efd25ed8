import { assert, assertEquals, assertGreater } from "@std/assert";
import { BencodeDict, decode } from "../../../src/bencode/mod.ts";
import type { Http } from "../../../src/platform/platform.ts";
import { TrackerServer } from "../../../src/tracker/server/server.ts";
import { InputMaker } from "../../fuzz/fuzzer.ts";
import { queryTarget } from "../../fuzz/targets/tracker.ts";
import { VirtualClock } from "../../support/virtual_clock.ts";

type Handler = Parameters<Http["serve"]>[1];

Deno.test("TrackerServer answers whatever is asked with a dictionary, or says that it doesn't understand", async () => {
  const clock = new VirtualClock();
  let handler: Handler | undefined;
  const http: Pick<Http, "serve"> = {
    serve(address, handle) {
      handler = handle;
      return { address, close: () => Promise.resolve() };
    },
  };
  const platform = { now: () => clock.now(), after: clock.after.bind(clock), random: () => 0.5, http: http as Http };
  const server = TrackerServer.start(platform, { host: "127.0.0.1", port: 1 });
  const maker = new InputMaker(queryTarget, 11);
  const counts = { peers: 0, refused: 0, other: 0 };
  for (let index = 0; index < 600; index++) {
    const query = new TextDecoder().decode(maker.make(index)).replace(/#/g, "");
    const path = ["/announce", "/scrape", "/announce", "/", "/announce/x"][index % 5];
    const request = new Request(`http://127.0.0.1:1${path}?${query}`, { method: index % 7 === 0 ? "POST" : "GET" });
    const response = await handler!(request, { host: index % 2 === 0 ? "::1" : "192.0.2.1", port: 5 });
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
