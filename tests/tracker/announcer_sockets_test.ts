/** The announcer on real sockets, against servers that behave badly. Time is virtual, so that no test waits for it. */
import { assertEquals, assertMatch } from "@std/assert";
import { utf8 } from "../../src/base/bytes.ts";
import { InfoHash } from "../../src/base/info_hash.ts";
import { denoHttp } from "../../src/platform/deno_http.ts";
import type { HttpHandler, HttpServer } from "../../src/platform/platform.ts";
import { Announcer, type TrackerReport } from "../../src/tracker/announcer.ts";
import { VirtualClock } from "../support/virtual_clock.ts";

class World extends VirtualClock {
  readonly http = denoHttp;
}

const REPLY = "d8:completei3e8:intervali1800e5:peers6:\x0a\x00\x00\x01\x00\x09e";
const MIB = 2 ** 20;

/** Announces once and returns the report. */
async function announceTo(url: string, timeout = 10_000): Promise<TrackerReport> {
  const report = Promise.withResolvers<TrackerReport>();
  const announcer = new Announcer({
    platform: new World(),
    tiers: [[url]],
    infoHash: new InfoHash(new Uint8Array(20).fill(200)),
    peerId: utf8("-SH0100-abcdefghijkl"),
    port: 6881,
    timeout,
    progress: () => ({ uploaded: 0, downloaded: 0, left: 0 }),
    onPeers: () => {},
    onReport: report.resolve,
    wantedPeers: () => 50,
  });
  announcer.start();
  const result = await report.promise;
  await announcer.stop();
  return result;
}

async function gzip(bytes: Uint8Array<ArrayBuffer>): Promise<ArrayBuffer> {
  return await new Response(new Blob([bytes]).stream().pipeThrough(new CompressionStream("gzip"))).arrayBuffer();
}

/** Serves HTTP while `use` runs. */
async function withServer(
  handle: HttpHandler,
  use: (url: string, server: HttpServer) => Promise<void>,
): Promise<void> {
  const server = denoHttp.serve({ host: "127.0.0.1", port: 0 }, handle);
  try {
    await use(`http://127.0.0.1:${server.address.port}/announce`, server);
  } finally {
    await server.close();
  }
}

/** A response of endless single bytes. */
function trickle(): Response {
  let timer: ReturnType<typeof setInterval>;
  let isOver = false;
  const start = (controller: ReadableStreamDefaultController<Uint8Array>) => {
    timer = setInterval(() => isOver || controller.enqueue(utf8("d")), 5); // Deno 2.4 may call it after cancel()
  };
  const cancel = () => {
    isOver = true;
    clearInterval(timer);
  };
  return new Response(new ReadableStream({ start, cancel }));
}

Deno.test("Announcer takes a gzipped answer", async () => {
  const body = await gzip(utf8(REPLY));
  await withServer(() => new Response(body, { headers: { "content-encoding": "gzip" } }), async (url) => {
    const { status, peers, seeders, message } = await announceTo(url);
    assertEquals({ status, peers, seeders, message }, { status: "ok", peers: 1, seeders: 3, message: "" });
  });
});

Deno.test("Announcer follows a redirect and keeps what it says in the query that it is sent to", async () => {
  await withServer((request) => {
    const { pathname, search } = new URL(request.url);
    if (pathname === "/new") return new Response(search.includes(`info_hash=${"%C8".repeat(20)}`) ? REPLY : "no hash");
    return new Response(null, { status: 302, headers: { location: `/new${search}` } });
  }, async (url) => {
    assertEquals((await announceTo(url)).status, "ok");
  });
});

for (
  const [name, handle, message] of [
    [
      "a redirect loop",
      () => new Response(null, { status: 302, headers: { location: "/announce" } }),
      /^redirected more/,
    ],
    [
      "a redirect to a file",
      () => new Response(null, { status: 302, headers: { location: "file:///x" } }),
      /neither http/,
    ],
    ["rubbish", () => new Response("\0\x01\x02 hello"), /^the answer is not that of a tracker but binary data$/],
    ["nothing", () => new Response(), /^the answer is empty$/],
    ["HTML", () => new Response("<!DOCTYPE html>\n<title>Hi"), /but a web page$/],
    ["404", () => new Response("Not Found", { status: 404 }), /^the server answered with HTTP status 404$/],
    ["a huge answer", () => new Response(new Uint8Array(3 * MIB)), /^the answer is larger than 1 MiB$/],
  ] as const
) {
  Deno.test(`Announcer reports ${name}`, async () => {
    await withServer(handle, async (url) => {
      const report = await announceTo(url);
      assertEquals([report.status, report.peers], ["error", 0]);
      assertMatch(report.message, message);
    });
  });
}

Deno.test("Announcer reports a gzip bomb", async () => {
  const bomb = await gzip(new Uint8Array(8 * MIB));
  await withServer(() => new Response(bomb, { headers: { "content-encoding": "gzip" } }), async (url) => {
    assertEquals((await announceTo(url)).message, "the answer is larger than 1 MiB");
  });
});

Deno.test("Announcer reports an answer that never ends", async () => {
  await withServer(trickle, async (url) => {
    assertEquals((await announceTo(url, 600)).message, "the answer was not complete within 0.6 s");
  });
});

Deno.test("Announcer reports a tracker that is down", async () => {
  let port = 0;
  await withServer(() => new Response(), (_, server) => {
    port = server.address.port;
    return Promise.resolve();
  });
  assertEquals((await announceTo(`http://127.0.0.1:${port}/announce`)).message, "connection refused");
});
