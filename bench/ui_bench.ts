/** Benchmarks of a redraw of the live view; there are at most five a second. */

import { styleFor } from "../src/ui/style.ts";
import { type DrawnPieces, type PieceCell, type PieceMap, pieceMapOf } from "../src/swarm/piece_map.ts";
import type { TorrentSnapshot } from "../src/session/session_events.ts";

import type { Peer } from "../src/peer/mod.ts";
import { PiecePicker } from "../src/swarm/pieces/piece_picker.ts";
import { Bitfield } from "../src/base/bitfield.ts";
import { renderDashboard } from "../src/ui/dashboard.ts";
import { FIRST_STATE } from "../src/ui/live_state.ts";
import { RateHistory } from "../src/ui/spark.ts";
import { peerSnapshot, torrentSnapshot } from "../tests/ui/snapshots.ts";

const peers = Array.from({ length: 100 }, (_, i) => peerSnapshot({ address: `10.0.${i}.1:51413`, rateDown: i * 1000 }));
const torrent = torrentSnapshot({ peerCount: peers.length, peers });
const style = styleFor((name) => name === "COLORTERM" ? "truecolor" : undefined);

/** Pieces of the torrent. Half of them are here, and a hundred peers have some. */
const PIECES = 60_000;
const wanted = new Bitfield(PIECES);
wanted.setAll();
const have = new Bitfield(PIECES);
for (let index = 0; index < PIECES; index += 2) have.set(index);
const picker = new PiecePicker(PIECES, () => 0.5);
for (let index = 0; index < PIECES; index++) for (let i = 0; i < index % 7; i++) picker.gained(index);
const active = new Map(
  Array.from({ length: 50 }, (_, i) => [i * 1001, { index: i * 1001, received: 3, blockCount: 16 }]),
);
const pieces = { wanted, started: { have, active, picker } } as unknown as DrawnPieces;
const seeds = peers.map((_, i) => ({ isSeed: i < 3 })) as unknown as Peer[];
const drawnTorrent = { webSeeds: [], peers: () => seeds };
const rates = { down: new RateHistory(), up: new RateHistory() };
for (let second = 0; second < 60; second++) rates.down.note(second * 1000, second * 1e5);
const cells = (count: number): PieceMap => pieceMapOf(drawnTorrent, { pieces, cells: count });
const drawn = (count: number): readonly PieceCell[] => cells(count).cells;

Deno.bench("pieceMapOf: 60,000 pieces in 800 cells", () => {
  drawn(800);
});

for (const [columns, rows] of [[40, 24], [80, 24], [200, 50]] as const) {
  const frame = (peers: TorrentSnapshot) => {
    renderDashboard({
      torrents: [peers],
      state: FIRST_STATE,
      rates,
      pieces: cells,
      files: () => [],
      sources: () => null,
      log: [],
      peerRows: 20,
      limits: { down: null, up: null },
      stalled: new Set(),
    }, { columns, rows, style });
  };
  Deno.bench(`a frame: 60,000 pieces, 100 peers, ${columns} by ${rows}`, () => frame(torrent));
  // Rates are measured twice a second, so two of five frames show new ones.
  let count = 0;
  Deno.bench(`... whose rates are new`, () => {
    count++;
    frame({ ...torrent, peers: peers.map((peer) => ({ ...peer, rateDown: peer.rateDown + count * 20_000 })) });
  });
}
