import { assert, assertEquals, assertRejects } from "@std/assert";
import { ShoalError } from "../../src/base/errors.ts";
import { HTTP_STALL_MS, MAX_STREAM_REQUESTS } from "../../src/base/defences.ts";
import type { Metainfo } from "../../src/metainfo/mod.ts";
import { denoPlatform as platform } from "../../src/platform/deno_platform.ts";
import type { HttpHandler } from "../../src/platform/platform.ts";
import type { OpenFileOptions, ReadOptions, TorrentReader } from "../../src/swarm/torrent_reader.ts";
import { FileBody } from "../../src/stream/file_body.ts";
import { type StreamableTorrent, StreamServer } from "../../src/stream/stream_server.ts";
import { settle } from "../support/virtual_clock.ts";
import { metaOf } from "../cli/fake_engine.ts";

const SIZE = 19_000;
const READ = 512 * 1024;
/** Bytes of the largest read, from anywhere in a file. */
const PATTERN = Uint8Array.from({ length: READ + 251 }, (_, i) => i % 251);
const DATA = PATTERN.slice(0, SIZE);

/** A torrent whose available part the test sets. */
class FakeTorrent implements StreamableTorrent {
  readonly metadata: Promise<Metainfo>;
  readonly wantedFiles = [0, 2];
  readonly open_ = new Set<TorrentReader>();
  /** Available bytes, from the start of the torrent. */
  here = SIZE;
  /** Ends of the readers' ranges, in the order of opening. */
  readonly ends: (number | undefined)[] = [];
  reads = 0;
  error: Error | null = null;
  #arrived = Promise.withResolvers<void>();
  #changed = Promise.withResolvers<void>();

  constructor(readonly size = SIZE, readonly meta = fileOf(size)) {
    this.metadata = Promise.resolve(meta);
  }

  open(file: number, options: OpenFileOptions = {}): TorrentReader {
    if (this.error) throw this.error;
    this.ends.push(options.end);
    const reader: TorrentReader = {
      file: this.meta.files[file]!,
      read: (position, options) => this.#read(position, options),
      close: () => {
        this.open_.delete(reader);
        this.#tell();
      },
    };
    this.open_.add(reader);
    this.#tell();
    return reader;
  }

  /** Makes more bytes available. */
  arrive(here: number): void {
    this.here = here;
    this.#arrived.resolve();
    this.#arrived = Promise.withResolvers();
  }

  /** Waits until enough readers are open, or have read often enough. */
  async until(reached: () => boolean): Promise<void> {
    while (!reached()) await this.#changed.promise;
  }

  async #read(position: number, { length = SIZE, signal }: ReadOptions = {}): Promise<Uint8Array<ArrayBuffer>> {
    this.reads++;
    this.#tell();
    while (position >= this.here) {
      const gone = Promise.withResolvers<never>();
      signal?.addEventListener("abort", () => gone.reject(signal.reason), { once: true });
      await Promise.race([this.#arrived.promise, gone.promise]);
    }
    if (this.error) throw this.error;
    const begin = position % 251;
    return PATTERN.slice(begin, begin + Math.min(length, this.here - position));
  }

  #tell(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }
}

function fileOf(size: number): Metainfo {
  const meta = metaOf("Film");
  return { ...meta, files: meta.files.map((file) => ({ ...file, length: file.length === SIZE ? size : file.length })) };
}

async function withServer(
  torrent: FakeTorrent,
  body: (url: string, server: StreamServer) => Promise<void>,
): Promise<void> {
  const server = StreamServer.start(platform, { port: 0 });
  try {
    const { largest } = await server.add(torrent);
    await body(largest!, server);
  } finally {
    await server.close();
  }
}

Deno.test("StreamServer says where a torrent is, and sends its files and parts of them", () =>
  withServer(new FakeTorrent(), async (url, server) => {
    const torrent = new FakeTorrent();
    const { host, port } = server.address;
    assertEquals([host, server.url], ["127.0.0.1", `http://127.0.0.1:${port}/`]);
    const hash = torrent.meta.infoHash.hex;
    assertEquals(url, `${server.url}${hash}/Film/sub/a%1B.txt`);
    assertEquals(await server.add(torrent), { url: `${server.url}${hash}/`, largest: url, files: 2 });
    const whole = await fetch(url);
    assertEquals([whole.status, new Uint8Array(await whole.arrayBuffer())], [200, DATA]);
    const part = await fetch(url, { headers: { range: "bytes=500-999" } });
    assertEquals([part.status, part.headers.get("content-range")], [206, `bytes 500-999/${SIZE}`]);
    assertEquals(new Uint8Array(await part.arrayBuffer()), DATA.slice(500, 1000));
    const head = await fetch(url, { method: "HEAD" });
    assertEquals([head.status, head.headers.get("content-length")], [200, String(SIZE)]);
    // Nothing beyond the range is read, and nothing at all for a HEAD request.
    assertEquals(torrent.ends, [SIZE, 1000]);
    const page = await fetch(server.url, { headers: { "accept-encoding": "gzip" } });
    assertEquals([page.status, page.headers.get("content-encoding")], [200, null]);
    assert((await page.text()).includes(`/${hash}/Film/sub/a%1B.txt`));
    server.remove(torrent.meta.infoHash);
    assertEquals((await fetch(url).then(consumed)).status, 404);
    assertEquals([torrent.open_.size, server.requests], [0, 0]);
  }));

Deno.test("StreamServer sends what is here, and the rest as it comes", () => {
  const torrent = new FakeTorrent();
  torrent.here = 1000;
  return withServer(torrent, async (url) => {
    const response = await fetch(url);
    const reader = response.body!.getReader();
    let got = 0;
    while (got < 1000) got += (await reader.read()).value!.length;
    assertEquals(got, 1000);
    torrent.arrive(SIZE);
    for (let part = await reader.read(); !part.done; part = await reader.read()) got += part.value.length;
    assertEquals(got, SIZE);
    await torrent.until(() => torrent.open_.size === 0);
  });
});

Deno.test("StreamServer forgets a client that goes away while it waits, at once", () => {
  const torrent = new FakeTorrent();
  torrent.here = 1000;
  return withServer(torrent, async (url, server) => {
    const stop = new AbortController();
    const response = await fetch(url, { signal: stop.signal });
    await torrent.until(() => torrent.reads === 2); // it waits for missing bytes
    assertEquals([torrent.open_.size, server.requests], [1, 1]);
    stop.abort();
    await torrent.until(() => torrent.open_.size === 0);
    assertEquals(server.requests, 0);
    await assertRejects(() => response.bytes());
  });
});

Deno.test("FileBody reads one part more than a client takes, and no further", async () => {
  const torrent = new FakeTorrent(64 << 20);
  torrent.here = torrent.size;
  let closed = 0;
  const body = new FileBody(torrent.open(0), { begin: 100, end: torrent.size, closed: () => closed++, now: () => 0 });
  const client = body.stream.getReader();
  await settle();
  assertEquals(torrent.reads, 1);
  for (let i = 1; i <= 3; i++) {
    assertEquals((await client.read()).value?.[0], (100 + (i - 1) * READ) % 251);
    await settle();
    assertEquals(torrent.reads, i + 1);
  }
  await client.cancel();
  body.close();
  assertEquals([closed, torrent.open_.size], [1, 0]);
});

Deno.test("StreamServer cuts an answer off when the torrent fails, and says so when it has failed", () => {
  const torrent = new FakeTorrent();
  torrent.here = 1000;
  return withServer(torrent, async (url) => {
    const response = await fetch(url);
    await torrent.until(() => torrent.reads === 2);
    torrent.error = new ShoalError("storage", { what: "cannot read", why: "the torrent was stopped" });
    torrent.arrive(2000);
    await assertRejects(() => response.bytes());
    const refused = await fetch(url);
    assertEquals(refused.status, 503);
    assertEquals(await refused.text(), "cannot read: the torrent was stopped\n");
  });
});

Deno.test("StreamServer answers many at the same time, but not any number", () => {
  const torrent = new FakeTorrent();
  torrent.here = 1000;
  return withServer(torrent, async (url, server) => {
    const responses = await Promise.all(Array.from({ length: MAX_STREAM_REQUESTS }, () => fetch(url)));
    assertEquals(server.requests, MAX_STREAM_REQUESTS);
    const refused = await consumed(await fetch(url));
    assertEquals([refused.status, refused.headers.get("retry-after")], [503, "1"]);
    torrent.arrive(SIZE);
    for (const response of responses) assertEquals((await response.bytes()).length, SIZE);
    assertEquals((await consumed(await fetch(url))).status, 200);
  });
});

Deno.test("StreamServer gives the place of who has taken nothing for long to who comes", async () => {
  const torrent = new FakeTorrent(2 * READ);
  torrent.here = torrent.size;
  let now = 0;
  let handle!: HttpHandler;
  const serve = (_: unknown, given: HttpHandler) => {
    handle = given;
    return { address: { host: "127.0.0.1", port: 8000 }, close: () => Promise.resolve() };
  };
  const server = StreamServer.start({ now: () => now, http: { ...platform.http, serve } }, { port: 8000 });
  const { largest } = await server.add(torrent);
  const ask = async () => {
    const request = new Request(largest!, { headers: { host: "127.0.0.1:8000" } });
    const response = await handle(request, { host: "127.0.0.1", port: 1 });
    await settle();
    return response as Response;
  };
  const paused = Array.from({ length: MAX_STREAM_REQUESTS }, ask);
  const [first, second] = await Promise.all(paused);
  assertEquals((await ask()).status, 503);
  now = HTTP_STALL_MS - 1;
  await consumed(second!);
  assertEquals([(await ask()).status, (await ask()).status], [200, 503]);
  now++;
  assertEquals([(await ask()).status, server.requests], [200, MAX_STREAM_REQUESTS]);
  assertEquals((await first!.bytes()).length, READ, "what was ready is still there");
  await server.close();
});

Deno.test("StreamServer ends what is under way when it is closed", async () => {
  const torrent = new FakeTorrent();
  torrent.here = 1000;
  const server = StreamServer.start(platform, { port: 0 });
  const { largest } = await server.add(torrent);
  const response = await fetch(largest!);
  await torrent.until(() => torrent.reads === 2);
  const ended = assertRejects(() => response.bytes());
  await server.close();
  await ended;
  assertEquals([torrent.open_.size, server.requests], [0, 0]);
});

Deno.test("StreamServer refuses requests that are meant for another host, and monstrous ones", () =>
  withServer(new FakeTorrent(), async (_, server) => {
    const { hostname, port } = new URL(server.url);
    const statusOf = async (request: string) => {
      using connection = await Deno.connect({ hostname, port: Number(port) });
      const bytes = new TextEncoder().encode(request);
      // The answer may come before the request has been sent completely.
      await new Blob([bytes]).stream().pipeTo(connection.writable, { preventClose: true }).catch(() => {});
      const answer = new Uint8Array(4096);
      const count = await connection.read(answer).catch(() => null);
      return /^HTTP\/1.1 (\d+)/.exec(new TextDecoder().decode(answer.subarray(0, count ?? 0)))?.[1] ?? "closed";
    };
    assertEquals(await statusOf("GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n"), "421");
    const nameless = await statusOf("GET / HTTP/1.1\r\n\r\n"); // some versions of the runtime refuse this themselves
    assert(["400", "421"].includes(nameless), nameless);
    assertEquals(await statusOf("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"), "200");
    const fields = "X-Field: x\r\n".repeat(1000);
    const many = await statusOf(`GET / HTTP/1.1\r\nHost: localhost\r\n${fields}\r\n`);
    assert(["400", "431", "closed"].includes(many), many);
    const long = await statusOf(`GET / HTTP/1.1\r\nHost: localhost\r\nX-Field: ${"x".repeat(2 << 20)}\r\n\r\n`);
    assert(["400", "431", "closed"].includes(long), long);
  }));

async function consumed(response: Response): Promise<Response> {
  await response.arrayBuffer();
  return response;
}
