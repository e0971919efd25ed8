import { assert, assertEquals } from "@std/assert";
import { Bitfield } from "../../../src/base/bitfield.ts";
import { MemoryBudget } from "../../../src/base/memory_budget.ts";
import { WebPicker } from "../../../src/swarm/web_seeds/web_picker.ts";
import type { WebRun } from "../../../src/swarm/web_seeds/web_run.ts";
import { HeldHashes } from "../../support/held_hashes.ts";
import { MerkleTorrent } from "../../support/merkle_torrent.ts";
import { fc, tries } from "../../support/property.ts";
import { settle } from "../../support/virtual_clock.ts";
import { BLOCK, Lab } from "../pieces/download_lab.ts";

const MIB = 1024 * 1024;
/** Blocks of a piece. */
const BLOCKS = 128;
const PIECE = BLOCKS * BLOCK;
const WEB_SEED = -1;

/** A v2 torrent of two pieces, of which a web seed and peers send the first at the same time. */
class RunLab {
  readonly torrent = new MerkleTorrent(PIECE, { a: 2 * PIECE });
  readonly hashes = new HeldHashes((piece) => this.torrent.blockHashes(piece));
  readonly lab: Lab;
  readonly #picker: WebPicker;

  /** @param budget Bytes of memory for pieces. */
  constructor(budget: number) {
    const { torrent, hashes } = this;
    torrent.knowsBlocks = false;
    this.lab = new Lab(2, { torrent, blockHashes: hashes, memory: new MemoryBudget(budget, { reading: 0 }) });
    this.#picker = new WebPicker(this.lab.download, {
      pieceLength: PIECE,
      totalLength: 2 * PIECE,
      peers: () => this.lab.peers,
      now: () => this.lab.clock.now(),
      random: () => 0,
    });
  }

  /** Begins the web seed's run. */
  async begin(options: { readonly hashes: boolean }): Promise<WebRun> {
    this.lab.download.started.proofs.want(0);
    if (options.hashes) await this.answer();
    const pieces = new Bitfield(2);
    pieces.set(0);
    const run = this.#picker.claim({
      number: WEB_SEED,
      pieces,
      rate: PIECE,
      wholeOnly: false,
      last: -1,
      quiet: false,
    })!;
    assert(run.ready());
    return run;
  }

  async answer(): Promise<void> {
    this.hashes.answerAll();
    await settle();
  }

  /** Lets the web seed send right bytes up to an offset. */
  async send(run: WebRun, to: number): Promise<void> {
    while (run.at < to) {
      while (!run.ready()) await settle();
      run.put(this.torrent.data, run.at, to);
    }
  }

  /** Lets a new peer send a block. */
  async peerSends(block: number, options: { readonly wrong: boolean }): Promise<void> {
    const peer = this.lab.peer();
    this.lab.download.started.active.get(0)!.ask(block);
    peer.request(0, block * BLOCK, BLOCK, 0);
    this.lab.answer(peer, { begin: block * BLOCK, wrong: options.wrong });
    await settle();
  }

  /** Hosts that were blamed. */
  get blamed(): string[] {
    return this.lab.log.filter((line) => line.includes("lied")).map((line) => line.split(" ")[0]!);
  }
}

for (const [where, budget] of [["in memory", 64 * MIB], ["on disk in parts", 8 * MIB]] as const) {
  Deno.test(`WebRun isn't blamed for a peer's lie about the block that it is sending, ${where}`, async () => {
    const stage = new RunLab(budget);
    const { lab } = stage;
    const run = await stage.begin({ hashes: true });
    assertEquals(run.piece!.parts === null, budget > 8 * MIB);
    await stage.send(run, 100);
    await stage.peerSends(0, { wrong: true });
    await stage.send(run, PIECE);
    await settle();
    assertEquals([stage.blamed, lab.download.wasted, lab.download.have.has(0)], [["10.0.0.1"], BLOCK, true]);
    await lab.download.stop();
  });

  for (const begun of [true, false]) {
    const what = begun ? "had begun before a peer sent" : "skipped the beginning of, which a peer had sent wrong";
    Deno.test(`WebRun doesn't finish a block that it ${what}, ${where}`, async () => {
      const stage = new RunLab(budget);
      const { lab } = stage;
      const run = await stage.begin({ hashes: false });
      const piece = run.piece!;
      if (begun) await stage.send(run, 100);
      await stage.peerSends(0, { wrong: true });
      await stage.send(run, 200);
      assert(piece.has(0));
      await stage.answer();
      assertEquals([piece.has(0), stage.blamed], [false, ["10.0.0.1"]]);
      await stage.send(run, BLOCK + 100);
      assert(!piece.has(0), "somebody else sends it");
      await stage.send(run, PIECE);
      await stage.peerSends(0, { wrong: false });
      while (!lab.download.have.has(0)) await settle();
      assertEquals([stage.blamed, lab.download.have.has(0)], [["10.0.0.1"], true]);
      await lab.download.stop();
    });
  }
}

Deno.test("WebRun keeps what is ahead of it when another source's wrong block is removed", async () => {
  const stage = new RunLab(64 * MIB);
  const { lab } = stage;
  const run = await stage.begin({ hashes: false });
  const piece = run.piece!;
  await stage.send(run, BLOCK + 100);
  await stage.peerSends(0, { wrong: true });
  assertEquals(lab.download.wasted, BLOCK, "it was here already");
  await stage.peerSends(4, { wrong: true });
  await stage.answer();
  assertEquals(
    Array.from(piece.senders, (_, block) => piece.asked(block)).slice(2),
    Array.from({ length: BLOCKS - 2 }, () => 1),
  );
  lab.download.fillAll();
  const begins: number[] = [];
  for (const peer of lab.peers) {
    peer.requests.forEach((index, begin) => void (index === 0 && begins.push(begin / BLOCK)));
  }
  assertEquals(begins, [1]);
  for (const peer of lab.peers) lab.answerAll(peer);
  await stage.send(run, PIECE);
  await settle();
  assertEquals([stage.blamed, lab.download.have.has(0)], [["10.0.0.2"], true]);
  // The repeated block, the removed one, and the rest of the one that the web seed had begun.
  assertEquals(lab.download.wasted, 3 * BLOCK - 100);
  await lab.download.stop();
});

Deno.test("WebRun gives back what it would have brought, and not a block that somebody else is asked for again", async () => {
  const stage = new RunLab(64 * MIB);
  const { lab } = stage;
  const run = await stage.begin({ hashes: false });
  const piece = run.piece!;
  await stage.send(run, 100);
  await stage.peerSends(0, { wrong: true });
  await stage.answer();
  piece.ask(0);
  run.release();
  assertEquals([piece.asked(0), piece.free], [1, BLOCKS - 1]);
  await lab.download.stop();
});

Deno.test("WebRun leaves a piece that has to come from one source alone from now on", async () => {
  const stage = new RunLab(64 * MIB);
  const { started } = stage.lab.download;
  const run = await stage.begin({ hashes: false });
  const piece = run.piece!;
  await stage.send(run, BLOCK + 100);
  started.restartPiece(piece, () => true);
  assertEquals([run.piece, run.over, piece.free], [null, true, BLOCKS]);
  await stage.lab.download.stop();
});

Deno.test("WebRun is never blamed, and blocks nobody, whatever peers send and whenever the hashes come", async () => {
  const step = fc.record({
    what: fc.constantFrom("web", "web", "peer", "lie", "hashes", "memory"),
    at: fc.nat(BLOCKS - 1),
    bytes: fc.integer({ min: 1, max: 20 * BLOCK }),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), fc.constantFrom(64 * MIB, 8 * MIB), async (steps, budget) => {
      const stage = new RunLab(budget);
      const { lab } = stage;
      const { active, have } = lab.download.started;
      const run = await stage.begin({ hashes: false });
      const send = async (bytes: number) => {
        if (!run.over) await stage.send(run, Math.min(run.end, run.at + bytes));
      };
      for (const { what, at, bytes } of steps) {
        const piece = active.get(0);
        if (what === "web") await send(bytes);
        else if (what === "hashes") await stage.answer();
        else if (what === "memory") {
          if (piece !== undefined) lab.download.started.releaseMemory(piece);
        } else if (piece !== undefined && !piece.has(at) && piece.hold(at)) {
          await stage.peerSends(at, { wrong: what === "lie" });
        }
        await settle();
      }
      for (let i = 0; !have.has(0); i++) {
        assert(i < 200, `it stands still: ${lab.log}`);
        await send(5 * BLOCK);
        await stage.answer();
        for (const peer of lab.peers) {
          lab.download.parsed(peer);
          lab.answerAll(peer);
        }
        await settle();
        lab.clock.advance(1000);
        lab.download.tick(lab.clock.now());
      }
      assert(stage.blamed.every((host) => host !== `10.0.0.${WEB_SEED}`), `${lab.log}`);
      await lab.download.stop();
    }),
    { numRuns: tries(60) },
  );
});
