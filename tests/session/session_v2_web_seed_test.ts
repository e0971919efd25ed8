import { assert, assertEquals } from "@std/assert";
import { type Metainfo, parseMetainfo } from "../../src/metainfo/mod.ts";
import { denoPlatform as platform } from "../../src/platform/deno_platform.ts";
import { createTorrent } from "../../src/session/create_torrent.ts";
import { noise } from "../support/payload.ts";
import { HOST, Lab } from "../support/session_lab.ts";

/** Files by path: shorter than a block, empty, whole pieces, several pieces and a bit, and one in the middle of a block. */
const LENGTHS: Readonly<Record<string, number>> = {
  "a": 5,
  "b/empty": 0,
  "b/exact": 131_072,
  "c": 300_001,
  "d \u00e9": 40_000,
  "e": 65_536,
  "z": 1,
};

/** A web server with the files, and what was asked of it. */
class Server implements AsyncDisposable {
  /** Path and range of each request. */
  readonly asked: { readonly path: string; readonly from: number; readonly to: number }[] = [];
  /** Bytes sent, of all files. */
  sent = 0;
  readonly #server;

  constructor(folder: string, { ranges }: { readonly ranges: boolean }) {
    this.#server = platform.http.serve({ host: HOST, port: 0 }, (request) => {
      const path = decodeURIComponent(new URL(request.url, "http://x/").pathname).slice(1);
      let data: Uint8Array<ArrayBuffer>;
      try {
        data = Deno.readFileSync(`${folder}/${path}`);
      } catch {
        this.asked.push({ path, from: -1, to: -1 });
        return new Response("", { status: 404 });
      }
      const range = /(\d+)-(\d+)/.exec(request.headers.get("range") ?? "");
      const [from, to] = range && ranges ? [Number(range[1]), Number(range[2])] : [0, data.length - 1];
      this.asked.push({ path, from, to });
      this.sent += to + 1 - from;
      if (!range || !ranges) return new Response(data);
      const headers = { "content-range": `bytes ${from}-${to}/${data.length}` };
      return new Response(data.slice(from, to + 1), { status: 206, headers });
    });
  }

  get url(): string {
    return `http://${HOST}:${this.#server.address.port}/`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.close();
  }
}

async function made(
  lab: Lab,
  version: "v2" | "hybrid",
  pieceLength: number,
): Promise<{ meta: Metainfo; source: string }> {
  const source = lab.make("source");
  lab.make("source/top/b");
  for (const [path, length] of Object.entries(LENGTHS)) {
    Deno.writeFileSync(`${source}/top/${path}`, noise(length, length));
  }
  const { bytes } = await createTorrent(`${source}/top`, { platform, version, pieceLength });
  return { meta: parseMetainfo(bytes), source };
}

for (const version of ["v2", "hybrid"] as const) {
  for (const pieceLength of [16_384, 65_536, 1_048_576]) {
    for (const ranges of [true, false]) {
      const how = ranges ? "with ranges" : "that sends whole files";
      Deno.test(`a ${version} torrent with pieces of ${pieceLength} comes from a web seed ${how} alone, and no padding is asked for`, async () => {
        await using lab = new Lab();
        const { meta, source } = await made(lab, version, pieceLength);
        await using server = new Server(source, { ranges });
        const folder = lab.make("out");
        const { session, events } = await lab.session();
        const torrent = await session.add({ ...meta, webSeeds: [server.url] }, { folder });
        await torrent.finished;
        for (const [path, length] of Object.entries(LENGTHS)) {
          assertEquals(Deno.readFileSync(`${folder}/top/${path}`), noise(length, length), path);
        }
        const names = [...Deno.readDirSync(`${folder}/top`)].map(({ name }) => name).sort();
        assertEquals(names, ["a", "b", "c", "d \u00e9", "e", "z"], "no padding on the disk");
        for (const { path, from, to } of server.asked) {
          const length = LENGTHS[path.replace(/^top\//, "")];
          assert(length !== undefined && from >= 0 && to < length, `${path} ${from}-${to}`);
        }
        const size = Object.values(LENGTHS).reduce((sum, length) => sum + length, 0);
        // A server without ranges sends whole files again to whoever begins in the middle of one, in v1 as well.
        if (ranges) assertEquals([server.sent, torrent.snapshot().downloaded], [size, size], "each byte once");
        assertEquals(events.filter(({ event }) => ["warning", "error", "hash_failed"].includes(event)), []);
      });
    }
  }
}
