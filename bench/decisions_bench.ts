/** Benchmarks of decisions per piece, per peer or per choking round, and of bencode. */

import { Bitfield } from "../src/base/bitfield.ts";
import { decode, encode } from "../src/bencode/mod.ts";
import { Choker, type ChokerPeer } from "../src/swarm/choking/choker.ts";
import { PiecePicker } from "../src/swarm/pieces/piece_picker.ts";

const PIECES = 65_536;
const everything = { has: () => true };
const nothing = { has: () => false };

function pickerWithPeers(count: number): PiecePicker {
  const picker = new PiecePicker(PIECES, Math.random);
  for (let i = 0; i < PIECES; i++) picker.add(i);
  for (let peer = 0; peer < count; peer++) {
    for (let i = 0; i < PIECES; i++) if ((i * 7 + peer * 13) % 5 === 0) picker.gained(i);
  }
  return picker;
}

const picker = pickerWithPeers(20);

Deno.bench("PiecePicker: pick, remove and add one of 65,536 pieces", () => {
  const index = picker.pick(everything);
  picker.remove(index);
  picker.add(index);
});

Deno.bench("PiecePicker: 1,000 pieces gained and lost by a peer", () => {
  for (let i = 0; i < 1000; i++) picker.gained(i * 61);
  for (let i = 0; i < 1000; i++) picker.lost(i * 61);
});

/** One random piece in a thousand. */
const sparse = new Bitfield(PIECES);
for (let i = 0; i < PIECES / 1000; i++) sparse.set(Math.floor(Math.random() * PIECES));

Deno.bench("PiecePicker: pick of 65,536 pieces for a peer that has one in a thousand", () => {
  picker.pick(sparse);
});

Deno.bench("PiecePicker: pick of 65,536 pieces for a peer that has none of them", () => {
  picker.pick(nothing);
});

const crowded = pickerWithPeers(300);

Deno.bench("PiecePicker: one of 65,536 pieces gained and lost by each of 300 peers", () => {
  for (let i = 0; i < 300; i++) crowded.gained(i * 211);
  for (let i = 0; i < 300; i++) crowded.lost(i * 211);
});

Deno.bench("PiecePicker: pick, remove and add one of 65,536 pieces, with 300 peers", () => {
  const index = crowded.pick(everything);
  crowded.remove(index);
  crowded.add(index);
});

const levelled = pickerWithPeers(300);
levelled.setLevels((index) => index % 3 - 1);

Deno.bench("PiecePicker: pick, remove and add one of 65,536 pieces in three levels, with 300 peers", () => {
  const index = levelled.pick(everything);
  levelled.remove(index);
  levelled.add(index);
});

let turn = 0;

Deno.bench("PiecePicker: 65,536 pieces put into other levels, with 300 peers", () => {
  turn++;
  levelled.setLevels((index) => (index + turn) % 3 - 1);
});

const peers: ChokerPeer[] = Array.from({ length: 300 }, (_, i) => ({
  interested: i % 3 !== 0,
  amChoking: true,
  snubbed: false,
  unchokedAt: -Infinity,
  connectedAt: i,
  optimistic: false,
}));
const choker = new Choker(Math.random);

Deno.bench("Choker: a round of 300 peers", () => {
  choker.round(peers, { now: performance.now(), seeding: false, worth: (peer) => peer.connectedAt });
});

const metainfo = {
  announce: "http://tracker.example/announce",
  info: { name: "x", "piece length": 16384, length: 16384 * PIECES, pieces: new Uint8Array(20 * PIECES) },
};
const list = Array.from({ length: 20_000 }, (_, i) => ({ length: i, path: ["a", `file ${i}`] }));
const torrent = encode(metainfo);
const files = encode(list);

Deno.bench("bencode: decode a torrent of 1.3 MB", () => {
  decode(torrent);
});

Deno.bench("bencode: decode a list of 20,000 files", () => {
  decode(files);
});

Deno.bench("bencode: encode a torrent of 1.3 MB", () => {
  encode(metainfo);
});

Deno.bench("bencode: encode a list of 20,000 files", () => {
  encode(list);
});
