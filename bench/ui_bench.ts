/** What a redraw costs; there are at most five a second. */

import { styleFor } from "../src/ui/style.ts";
import { renderTable } from "../src/ui/table.ts";
import { peerSnapshot, torrentSnapshot } from "../tests/ui/snapshots.ts";

const peers = Array.from({ length: 100 }, (_, i) => peerSnapshot({ address: `10.0.${i}.1:51413`, rateDown: i * 1000 }));
const torrent = torrentSnapshot({ peerCount: peers.length, peers });
const style = styleFor(() => undefined);

for (const columns of [40, 80, 200]) {
  Deno.bench(`renderTable: a torrent with 100 peers, ${columns} columns`, () => {
    renderTable([torrent], { columns, rows: 50, style });
  });
}
