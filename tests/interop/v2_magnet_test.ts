/**
 * Magnet links with a v2 info-hash alone, torrent files without piece layers, and hybrids that upgrade to v2: with
 * libtorrent at the other end, in both directions.
 */

import { assert, assertEquals } from "@std/assert";
import { magnetOf, type Metainfo, parseMagnet, parseMetainfo, torrentFile } from "../../src/metainfo/mod.ts";
import type { Session } from "../../src/session/session.ts";
import { Job } from "../support/job.ts";
import { Libtorrent } from "../support/libtorrent.ts";
import { testWith } from "../support/requirements.ts";
import { type Made, MadeTree } from "../support/made_tree.ts";
import { Lab } from "../support/session_lab.ts";

const HOST = "127.0.0.1";
/** Files by their paths: several pieces, empty, a part of a block, whole pieces, and more than 512 pieces. */
const FILES = new MadeTree({ "a": 200_000, "d/b": 0, "d/c": 5000, "d/\u00e9": 131_072, "g": 18_000_001 });

/** Downloads a magnet link, or a torrent file, from a port, and prints a line when it has everything. */
const LEECHER = `
import libtorrent as lt, sys, time
source, folder, port = sys.argv[1:]
session = lt.session({'listen_interfaces': '127.0.0.1:0', 'enable_dht': False, 'enable_lsd': False,
  'enable_upnp': False, 'enable_natpmp': False, 'enable_outgoing_utp': False, 'enable_incoming_utp': False,
  'out_enc_policy': 2, 'in_enc_policy': 2, 'allow_multiple_connections_per_ip': True, 'min_reconnect_time': 1})
if source.startswith('magnet:'): params = lt.parse_magnet_uri(source)
else:
    params = lt.add_torrent_params()
    params.ti = lt.torrent_info(source)
params.save_path = folder
handle = session.add_torrent(params)
turn = 0
while str(handle.status().state) not in ('seeding', 'finished'):
    if handle.status().num_peers == 0 and turn % 20 == 0: handle.connect_peer(('127.0.0.1', int(port)))
    turn += 1
    time.sleep(0.05)
print('seeds', flush=True)
sys.stdin.readline()
`;

async function made(lab: Lab, version: "v2" | "hybrid"): Promise<Made & { readonly torrent: string }> {
  const made = await FILES.make(lab, version);
  const torrent = `${lab.folder}/top.torrent`;
  Deno.writeFileSync(torrent, made.bytes);
  return { ...made, torrent };
}

function btmh(meta: Metainfo): string {
  return magnetOf({ ...meta, infoHashV1: null });
}

async function withoutLayers(lab: Lab, { info }: Metainfo): Promise<string> {
  const path = `${lab.folder}/no layers.torrent`;
  await Deno.writeFile(path, torrentFile(info, { trackers: [], webSeeds: [] }));
  return path;
}

async function leech(source: string, folder: string, { port }: Session): Promise<void> {
  const job = new Job(["/usr/bin/python3", "-c", LEECHER, source, folder, `${port}`], {
    name: "libtorrent",
    reads: true,
  });
  try {
    await job.line((line) => line === "seeds", { seconds: 60, what: "it had everything" });
  } finally {
    await job.stop();
  }
}

for (const version of ["v2", "hybrid"] as const) {
  testWith(
    `a ${version} torrent goes from libtorrent to Shoal by its v2 magnet link, and on to another libtorrent`,
    ["python3-libtorrent"],
    async () => {
      await using lab = new Lab();
      const { meta, source, torrent } = await made(lab, version);
      const [ours, theirs] = [lab.make("ours"), lab.make("theirs")];
      const { session, events } = await lab.session();
      {
        await using seeder = await Libtorrent.seed({ name: "top", folder: source, files: [], size: meta.size }, {
          torrent,
        });
        const added = await session.add(parseMagnet(btmh(meta)), {
          folder: ours,
          peers: [{ host: HOST, port: seeder.status!.port }],
        });
        await added.finished;
      }
      FILES.assertIn(ours);
      await leech(btmh(meta), theirs, session);
      FILES.assertIn(theirs);
      assertEquals(events.filter(({ event }) => ["hash_failed", "error"].includes(event)), []);
      assertEquals(events.filter((event) => event.event === "peer" && event.action === "banned"), []);
    },
  );
}

testWith(
  "torrent files without piece layers get them from libtorrent, and give them to libtorrent",
  ["python3-libtorrent"],
  async () => {
    await using lab = new Lab();
    const { meta, source, torrent } = await made(lab, "v2");
    const [ours, theirs] = [lab.make("ours"), lab.make("theirs")];
    const bare = await withoutLayers(lab, meta);
    const { session } = await lab.session();
    await using seeder = await Libtorrent.seed({ name: "top", folder: source, files: [], size: meta.size }, {
      torrent,
    });
    const added = await session.add(parseMetainfo(await Deno.readFile(bare)), {
      folder: ours,
      peers: [{ host: HOST, port: seeder.status!.port }],
    });
    await added.finished;
    FILES.assertIn(ours);
    await leech(bare, theirs, session);
    FILES.assertIn(theirs);
  },
);

testWith(
  "hybrids upgrade to v2 with libtorrent, whoever dials",
  ["python3-libtorrent"],
  async () => {
    await using lab = new Lab();
    const { meta, source, torrent } = await made(lab, "hybrid");
    await using seeder = await Libtorrent.seed({ name: "top", folder: source, files: [], size: meta.size }, {
      torrent,
    });
    // Dialled under the v1 info-hash: the answer comes under the v2 one, or the layers would never come.
    const bare = parseMetainfo(await Deno.readFile(await withoutLayers(lab, meta)));
    const unhashed = { ...bare, pieces: new Uint8Array(0) };
    const { session } = await lab.session();
    const folder = lab.make("ours");
    const added = await session.add(unhashed, { folder, peers: [{ host: HOST, port: seeder.status!.port }] });
    const found = await added.metadata;
    assert(found.files.some(({ layer }) => layer !== undefined));
    await added.finished;
    FILES.assertIn(folder);
    const theirs = lab.make("theirs");
    await using leecher = Libtorrent.leech(theirs, { torrent, ports: [session.port] });
    await leecher.until(({ seeds }) => seeds, "it had everything");
    FILES.assertIn(theirs);
  },
);
