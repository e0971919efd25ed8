/** What a redraw costs; there are at most five a second. */

import { InfoHash } from "../src/base/info_hash.ts";
import type { TorrentSnapshot } from "../src/session/types.ts";
import { styleFor } from "../src/ui/style.ts";
import { renderTable } from "../src/ui/table.ts";

const torrent: TorrentSnapshot = {
  infoHash: new InfoHash(new Uint8Array(20)),
  name: "debian-12.5.0-amd64-netinst.iso",
  state: "downloading",
  size: 4_000_000_000,
  verified: 2_000_000_000,
  progress: 0.5,
  downloaded: 2_000_000_000,
  uploaded: 100_000_000,
  rateDown: 12_000_000,
  rateUp: 900_000,
  eta: 166,
  peerCount: 100,
  seedCount: 40,
  peers: Array.from({ length: 100 }, (_, i) => ({
    address: `10.0.${i}.1:51413`,
    client: "libtorrent 2.0.8",
    flags: "DUF",
    progress: i / 100,
    rateDown: i * 1000,
    rateUp: i * 10,
    downloaded: i * 1e6,
    uploaded: i * 1e4,
  })),
};
const style = styleFor(() => undefined);

for (const columns of [40, 80, 200]) {
  Deno.bench(`renderTable: a torrent with 100 peers, ${columns} columns`, () => {
    renderTable([torrent], { columns, rows: 50, style });
  });
}
