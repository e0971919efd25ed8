import { parseNetworks } from "../../src/base/ip_ranges.ts";
import { assert, assertEquals, assertInstanceOf, assertStringIncludes, assertThrows } from "@std/assert";
import { fromUtf8Lossy, utf8 } from "../../src/base/bytes.ts";
import { ShoalError } from "../../src/base/errors.ts";
import { InfoHash } from "../../src/base/info_hash.ts";
import { type BencodeDict, decodeDict, keyOf } from "../../src/bencode/mod.ts";
import { denoHttp } from "../../src/platform/deno_http.ts";
import { TrackerServer, type TrackerServerOptions } from "../../src/tracker_server/server.ts";
import { VirtualClock } from "../support/virtual_clock.ts";

/** A platform with real sockets and virtual time. */
class World extends VirtualClock {
  readonly http = denoHttp;
}

const RAW_HASH = Uint8Array.from({ length: 20 }, (_, i) => 255 - i);
const HASH = "%" + [...RAW_HASH].map((byte) => byte.toString(16)).join("%");

interface Served {
  readonly world: World;
  readonly tracker: TrackerServer;
  readonly base: string;
  ask(path: string): Promise<BencodeDict>;
}

async function withTracker(options: Partial<TrackerServerOptions>, use: (served: Served) => Promise<void>) {
  const world = new World();
  const tracker = TrackerServer.start(world, { host: "127.0.0.1", port: 0, ...options });
  const base = `http://127.0.0.1:${tracker.address.port}`;
  const ask = async (path: string) => {
    const { body } = await denoHttp.request({
      url: base + path,
      trust: { by: "user" },
      timeout: 10_000,
      maxBytes: 100_000,
    });
    return decodeDict(body);
  };
  try {
    await use({ world, tracker, base, ask });
  } finally {
    await tracker.close();
    assertEquals(world.pending, 0);
  }
}

function announce(port: number, more = ""): string {
  return `/announce?info_hash=${HASH}&peer_id=-XX0000-${String(port).padStart(12, "0")}&port=${port}&left=9${more}`;
}

Deno.test("TrackerServer answers announces in the compact form", async () => {
  await withTracker({ interval: 90 }, async ({ ask, tracker }) => {
    assertEquals(tracker.url, `http://127.0.0.1:${tracker.address.port}/announce`);
    const first = await ask(announce(6881));
    assertEquals(first.getBytes("peers")?.length, 0);
    const second = await ask(announce(6882, "&left=0"));
    assertEquals(second.getInt("interval"), 90);
    assertEquals(second.getInt("min interval"), 60);
    assertEquals(second.getInt("incomplete"), 2);
    assertEquals(second.getBytes("peers"), Uint8Array.of(127, 0, 0, 1, 0x1a, 0xe1));
    assertEquals(second.getBytes("external ip"), Uint8Array.of(127, 0, 0, 1));
    assertEquals(tracker.peerCount, 2);
  });
});

Deno.test("TrackerServer answers announces in the long form, with and without peer ids", async () => {
  await withTracker({}, async ({ ask }) => {
    await ask(announce(6881));
    const listed = async (more: string) => (await ask(announce(6882, more))).getList("peers")?.at(0);
    const long = await listed("&compact=0") as BencodeDict;
    assertEquals([long.getText("ip"), long.getInt("port")], ["127.0.0.1", 6881]);
    assertEquals(long.getText("peer id"), "-XX0000-000000006881");
    const short = await listed("&compact=0&no_peer_id=1") as BencodeDict;
    assertEquals(Array.from(short, ([key]) => key), ["ip", "port"]);
  });
});

Deno.test("TrackerServer gives IPv6 peers under a key of their own", async () => {
  const trusted = parseNetworks("127.0.0.1");
  assert("networks" in trusted);
  await withTracker({ trust: { clients: trusted.networks } }, async ({ ask }) => {
    await ask(announce(6881, "&ip=2001:db8::1"));
    const reply = await ask(announce(6882));
    assertEquals(reply.getBytes("peers")?.length, 0);
    assertEquals(reply.getBytes("peers6")?.length, 18);
  });
});

Deno.test("TrackerServer answers scrapes", async () => {
  await withTracker({}, async ({ ask }) => {
    await ask(announce(6881, "&event=started"));
    await ask(announce(6881, "&event=completed"));
    const unknown = "z".repeat(20);
    const files = (await ask(`/scrape?info_hash=${HASH}&info_hash=${unknown}&info_hash=${HASH}`)).getDict("files");
    const counts = files?.getDict(keyOf(RAW_HASH));
    assertEquals(["complete", "incomplete", "downloaded", "downloaders"].map((key) => counts?.getInt(key)), [
      0,
      1,
      1,
      1,
    ]);
    assertEquals(files?.getDict(unknown)?.getInt("complete"), 0);
    assertEquals([...files ?? []].length, 2);
  });
});

Deno.test("TrackerServer says why it refuses", async () => {
  await withTracker({ allow: [new InfoHash(RAW_HASH)] }, async ({ ask }) => {
    const reason = async (path: string) => (await ask(path)).getText("failure reason");
    assertEquals(await reason(announce(1)), undefined);
    assertEquals(await reason("/announce"), "info_hash must have 20 bytes");
    assertEquals(await reason("/announce?%00%ff&&&=%"), "info_hash must have 20 bytes");
    assertEquals(await reason(announce(1).replace(HASH, "a".repeat(20))), "this tracker does not serve that torrent");
    assertStringIncludes(await reason("/scrape") ?? "", "info_hash is missing");
  });
});

Deno.test("TrackerServer tells strangers what it is", async () => {
  await withTracker({}, async ({ base }) => {
    const home = await denoHttp.request({ url: `${base}/`, timeout: 10_000, maxBytes: 1000 });
    assertEquals([home.status, /BitTorrent tracker/.test(fromUtf8Lossy(home.body))], [404, true]);
    const post = await denoHttp.request({ url: `${base}/announce`, method: "POST", timeout: 10_000, maxBytes: 1000 });
    assertEquals(post.status, 405);
  });
});

Deno.test("TrackerServer goes on after garbage on the socket", async () => {
  await withTracker({}, async ({ ask, tracker }) => {
    for (
      const garbage of [
        "\0\x01\x02",
        "GET\r\n\r\n",
        "GET /announce?info_hash=\xff\xfe HTTP/1.1\r\n\r\n",
        "a".repeat(99_999),
      ]
    ) {
      const connection = await Deno.connect({ hostname: "127.0.0.1", port: tracker.address.port });
      // The server may close before it has read everything.
      await connection.write(utf8(garbage)).catch((error) => assertInstanceOf(error, Error));
      connection.close();
    }
    assertEquals((await ask(announce(6881))).getInt("incomplete"), 1);
  });
});

Deno.test("TrackerServer forgets peers that say nothing any more", async () => {
  await withTracker({ interval: 60 }, async ({ ask, world, tracker }) => {
    await ask(announce(6881));
    world.advance(120_000);
    assertEquals(tracker.peerCount, 1);
    world.advance(60_000);
    assertEquals(tracker.peerCount, 0);
  });
});

Deno.test("TrackerServer.start() says which port is in use", async () => {
  await withTracker({}, ({ tracker }) => {
    const again = () => TrackerServer.start(new World(), { host: "127.0.0.1", port: tracker.address.port });
    const error = assertThrows(again);
    assertInstanceOf(error, ShoalError);
    assertEquals(error.kind, "network");
    return Promise.resolve();
  });
});
