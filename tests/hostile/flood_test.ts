/**
 * Hundreds of silent connections to a Shoal that has fewer file descriptors.
 *
 * @module
 */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { encodeSingleFile } from "../../src/metainfo/encode_torrent.ts";
import { environment } from "../support/binary.ts";
import { Job, within } from "../support/job.ts";
import { withScratch } from "../support/scratch.ts";
import { until } from "../support/stage.ts";
import { SHOAL } from "./arena.ts";
import { dial, type Line } from "./line.ts";

/** Limit of file descriptors. Shoal uses about 30 without connections. */
const DESCRIPTORS = 150;
const CONNECTIONS = 600;
/** At least this many connections are closed by Shoal. Others stay in the system's accept queue. */
const DISMISSED = 100;
const HASH = "%00".repeat(20);

/** Starts Shoal with a limit of {@linkcode DESCRIPTORS}. */
function limited(args: readonly string[], folder: string): Job {
  const argv = ["sh", "-c", `ulimit -n ${DESCRIPTORS}; exec "$@"`, "sh", ...SHOAL, ...args];
  return new Job(argv, { name: `shoal ${args[0]}`, cwd: folder, env: environment(folder) });
}

async function flood(port: number): Promise<Line[]> {
  const lines = Array.from({ length: CONNECTIONS }, () => dial({ host: "127.0.0.1", port }, "127.0.0.1"));
  return (await Promise.all(lines)).filter((line) => line !== null);
}

async function announce(port: number): Promise<string> {
  const url = `http://127.0.0.1:${port}/announce?info_hash=${HASH}&peer_id=${"a".repeat(20)}&port=1&left=1`;
  // Each announce uses a new connection. The tracker may close an idle connection like the silent ones.
  using client = Deno.createHttpClient({ poolMaxIdlePerHost: 0 });
  return await (await fetch(url, { client, signal: AbortSignal.timeout(10_000) })).text();
}

Deno.test("shoal tracker answers announces and warns while silent connections use up its file descriptors", () =>
  withScratch(async (folder) => {
    await using tracker = limited(["tracker", "--port", "0", "--bind", "127.0.0.1", "--json"], folder);
    const first = await tracker.line((line) => line.includes("listening"), { seconds: 20, what: "its address" });
    const port = Number(new URL(JSON.parse(first).http).port);
    const lines = await flood(port);
    for (let i = 0; i < 5; i++) assertStringIncludes(await announce(port), "8:complete");
    // Connections beyond the limit are closed at once, not after the 30 s that a silent connection may last.
    const room = Promise.withResolvers<void>();
    let over = 0;
    for (const line of lines) void line.over.then(() => ++over === DISMISSED && room.resolve());
    await within(room.promise, { seconds: 20, what: "room to be made" });
    for (const line of lines) line.close();
    assertStringIncludes(await announce(port), "8:complete");
    tracker.signal("SIGINT");
    assertEquals((await tracker.exit(10)).code, 130);
    assert(tracker.stderr.some((line) => line.includes("out of file descriptors")), tracker.stderr.join("\n"));
  }));

/** Starts a listener on all addresses that answers each handshake, and then stays silent. */
function mutePeers(): { readonly port: number; close(): void } {
  const listener = Deno.listen({ hostname: "0.0.0.0", port: 0 });
  const open = new Set<Deno.Conn>();
  const serve = async (connection: Deno.TcpConn) => {
    const bytes = new Uint8Array(68);
    const first = await connection.read(bytes).catch(() => null);
    if (first !== bytes.length) return connection.close();
    open.add(connection);
    const { hostname } = connection.localAddr as Deno.NetAddr;
    bytes.set(new TextEncoder().encode(`-XX0000-${hostname.padStart(12, "0")}`), 48);
    await connection.write(bytes).catch(() => {}); // The peer may have disconnected.
  };
  void (async () => {
    for await (const connection of listener) void serve(connection);
  })();
  return {
    port: (listener.addr as Deno.NetAddr).port,
    close: () => {
      listener.close();
      for (const connection of open) connection.close();
    },
  };
}

Deno.test("shoal download keeps file descriptors free when silent peers outnumber them, and stops on SIGINT", () =>
  withScratch(async (folder) => {
    const announce = "http://127.0.0.1:9/announce"; // Nothing listens there.
    const torrents = [1, 2, 3, 4].map((n) => {
      const digests = [new Uint8Array(20).fill(n)];
      const bytes = encodeSingleFile({ name: `file${n}`, length: 16384, pieceLength: 16384, digests, announce });
      Deno.writeFileSync(`${folder}/${n}.torrent`, bytes);
      return `${n}.torrent`;
    });
    const mute = mutePeers();
    const peers = Array.from({ length: 90 }, (_, n) => ["--peer", `127.0.1.${n + 1}:${mute.port}`]).flat();
    const alone = ["--no-dht", "--no-lsd", "--no-port-map", "--encryption", "off"];
    await using job = limited(["download", ...torrents, "--json", "--port", "0", ...alone, ...peers], folder);
    try {
      const used = () => [...Deno.readDirSync(`/proc/${job.pid}/fd`)].length;
      let connected = 0;
      await job.line((line) => {
        const event = JSON.parse(line);
        if (event.event === "progress") connected = Math.max(connected, event.peers);
        return connected > 20 && used() >= DESCRIPTORS / 2;
      }, { seconds: 20, what: "connections" });
      // The first time that descriptors run out, Shoal closes some connections, and doesn't open as many again.
      let calmSince: number | null = null;
      await until("some descriptors left for three seconds", job, () => {
        calmSince = used() <= DESCRIPTORS - 8 ? calmSince ?? performance.now() : null;
        return calmSince !== null && performance.now() - calmSince >= 3000;
      });
      job.signal("SIGINT");
      assertEquals((await job.exit(10)).code, 130);
    } finally {
      mute.close();
    }
  }));
