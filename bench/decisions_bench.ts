/** What is decided per piece, per peer or per round. */

import { decode, encode } from "../src/bencode/mod.ts";
import { Choker, type ChokerPeer } from "../src/swarm/choker.ts";
import { PiecePicker } from "../src/swarm/piece_picker.ts";

const PIECES = 65_536;
const everything = { has: () => true };

function pickerWithPeers(): PiecePicker {
  const picker = new PiecePicker(PIECES, Math.random);
  for (let i = 0; i < PIECES; i++) picker.add(i);
  for (let peer = 0; peer < 20; peer++) {
    for (let i = 0; i < PIECES; i++) if ((i * 7 + peer * 13) % 5 === 0) picker.gained(i);
  }
  return picker;
}

const picker = pickerWithPeers();

Deno.bench("PiecePicker: pick, remove and add one of 65,536 pieces", () => {
  const index = picker.pick(everything);
  picker.remove(index);
  picker.add(index);
});

Deno.bench("PiecePicker: 1,000 pieces gained and lost by a peer", () => {
  for (let i = 0; i < 1000; i++) picker.gained(i * 61);
  for (let i = 0; i < 1000; i++) picker.lost(i * 61);
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

const torrent = encode({
  announce: "http://tracker.example/announce",
  info: { name: "x", "piece length": 16384, length: 16384 * PIECES, pieces: new Uint8Array(20 * PIECES) },
});
const files = encode(Array.from({ length: 20_000 }, (_, i) => ({ length: i, path: ["a", `file ${i}`] })));

Deno.bench("bencode: decode a torrent of 1.3 MB", () => {
  decode(torrent);
});

Deno.bench("bencode: decode a list of 20,000 files", () => {
  decode(files);
});
