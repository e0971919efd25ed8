import { assert, assertEquals } from "@std/assert";
import { PLAIN_MEMORY } from "../../../src/base/data_memory.ts";
import { PartialPiece, type ReceiveBlockOptions } from "../../../src/swarm/pieces/partial_piece.ts";
import type { PartialPieces } from "../../../src/swarm/pieces/partial_pieces.ts";
import { WebRun } from "../../../src/swarm/web_seeds/web_run.ts";
import { startDigest } from "../../../src/platform/start_digest.ts";
import { noise } from "../../support/payload.ts";

const BLOCK = 16_384;
const DATA = noise(2 * BLOCK, 1);
const LIE = noise(2 * BLOCK, 2);

/** A web seed that sends the only piece of a torrent, of two blocks. */
function lab() {
  const piece = new PartialPiece(0, {
    size: DATA.length,
    memory: new Uint8Array(DATA.length),
    data: PLAIN_MEMORY,
    startHash: () => ({
      update: (bytes) => startDigest("sha1").update(bytes),
      verdict: () => {
        throw new Error("a piece that is held whole is hashed at the end");
      },
    }),
    now: 0,
  });
  const received: string[] = [];
  const started = {
    active: new Map([[0, piece]]),
    open: new Set<PartialPiece>(),
    wasted: 0,
    receive: (_: PartialPiece, block: number, options: ReceiveBlockOptions) => {
      const right = piece.bytesOf(block)!.every((byte, i) => byte === DATA[block * BLOCK + i]);
      received.push(`${block} of ${options.sender} ${right ? "right" : "wrong"}`);
      piece.receive(block, options);
      return true;
    },
    finish() {},
  };
  const run = new WebRun({
    started: started as unknown as PartialPieces,
    pieceLength: DATA.length,
    totalLength: DATA.length,
    peers: () => [],
    now: () => 0,
    mayOwn: () => true,
    changed() {},
  }, { source: -1, begin: 0, end: DATA.length, piece });
  /** Lets the web seed send its next bytes, up to an offset. */
  const send = (to: number) => {
    while (run.at < to) assert(run.ready() && run.put(DATA, run.at, to) > 0);
  };
  return { piece, run, received, send };
}

Deno.test("WebRun reports no bytes that another source has stored in the block meanwhile", () => {
  const { piece, received, send } = lab();
  send(BLOCK / 2);
  piece.put(0, LIE, 0, BLOCK); // a peer's block, which is refused
  send(BLOCK + 100);
  piece.put(BLOCK, LIE, BLOCK, BLOCK);
  send(2 * BLOCK);
  assertEquals(received, ["0 of -1 right", "1 of -1 right"]);
});

Deno.test("WebRun reports the whole of a block that another source had sent, and that was removed as wrong", () => {
  for (const from of [0, 1_000]) {
    const { piece, received, send } = lab();
    send(from);
    piece.put(0, LIE, 0, BLOCK);
    piece.receive(0, { sender: 7, asked: false, now: 0 });
    send(BLOCK / 2);
    piece.restart((block) => block === 0, 0);
    send(2 * BLOCK);
    assertEquals(received, ["0 of -1 right", "1 of -1 right"]);
  }
});
