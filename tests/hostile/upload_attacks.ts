/**
 * Attacks by peers that request blocks.
 *
 * @module
 */

import { concatBytes } from "../../src/base/bytes.ts";
import { type Attack, messages, pause, type Stage } from "./attack.ts";
import type { Line } from "./line.ts";
import { BLOCK, frame, ID, times, words } from "./words.ts";

const BURST = 100_000;

/** Shakes hands, sends `interested`, and waits for an unchoke. Returns `false` if the connection ends before. */
async function unchoked(line: Line, stage: Stage, options: { readonly fast?: boolean } = {}): Promise<boolean> {
  if (!await stage.greet(line, { ...options, have: "none" })) return false;
  await stage.send(line, frame(ID.interested));
  for await (const { id } of messages(line)) if (id === ID.unchoke) return true;
  return false;
}

/** Returns `count` request messages, all for the same block or for different blocks. */
function requests(stage: Stage, count: number, options: { readonly same?: boolean } = {}): Uint8Array {
  if (options.same) return times(count, words(ID.request, 0, 0, BLOCK));
  return concatBytes(Array.from({ length: count }, (_, i) => words(ID.request, ...stage.blockAt(i))));
}

/**
 * Returns an attack that sends the bytes of `prepare` at once and reads the answers. `null`: the connection is lost.
 */
function burst(name: string, prepare: (line: Line, stage: Stage) => Promise<Uint8Array | null>): Attack {
  return {
    name,
    victims: ["seeder"],
    named: /brings nothing|more than it reads/,
    run: async (line, stage) => {
      const bytes = await prepare(line, stage);
      if (bytes === null) return;
      void line.drain();
      await stage.send(line, bytes);
      await line.over;
    },
  };
}

/** Attacks on a Shoal that seeds. */
export const UPLOAD_ATTACKS: readonly Attack[] = [
  burst("100,000 requests while choked", async (line, stage) => {
    return await stage.greet(line, { have: "none" }) ? requests(stage, BURST) : null;
  }),
  burst("100,000 requests while unchoked", async (line, stage) => {
    return await unchoked(line, stage) ? requests(stage, BURST) : null;
  }),
  burst("the same request 100,000 times", async (line, stage) => {
    return await unchoked(line, stage, { fast: false }) ? requests(stage, BURST, { same: true }) : null;
  }),
  {
    name: "requests all the time, reads nothing",
    victims: ["seeder"],
    hosts: 2,
    named: /brings nothing|more than it reads/,
    run: async (line, stage) => {
      if (!await unchoked(line, stage)) return;
      await stage.flood(line, requests(stage, 500));
    },
  },
  {
    name: "requests once, reads nothing",
    victims: ["seeder"],
    hosts: 4,
    named: /does not read/,
    patience: 61_000,
    run: async (line, stage) => {
      if (!await unchoked(line, stage)) return;
      await stage.send(line, requests(stage, 500));
      await line.over;
    },
  },
  {
    name: "reads one byte a second",
    victims: ["seeder"],
    hosts: 4,
    named: /does not read/,
    patience: 61_000,
    run: async (line, stage) => {
      if (!await unchoked(line, stage)) return;
      await stage.send(line, requests(stage, 500));
      while (!line.closed && await line.readExactly(1) !== null) await pause(1000);
    },
  },
  {
    name: "cancel flood",
    victims: ["seeder"],
    named: /brings nothing/,
    run: async (line, stage) => {
      if (!await stage.greet(line, { have: "none" })) return;
      void line.drain();
      await stage.flood(line, times(1000, words(ID.cancel, 0, 0, BLOCK)));
    },
  },
  {
    name: "requests and cancels",
    victims: ["seeder"],
    named: /brings nothing|more than it reads/,
    run: async (line, stage) => {
      if (!await unchoked(line, stage)) return;
      void line.drain();
      const pair = concatBytes([words(ID.request, 0, 0, BLOCK), words(ID.cancel, 0, 0, BLOCK)]);
      await stage.flood(line, times(500, pair));
    },
  },
  {
    name: "takes the same block for ever",
    victims: ["seeder"],
    named: null,
    legal: "it takes what it is served, like any leecher, and takes turns with the others",
    run: async (line, stage) => {
      if (!await unchoked(line, stage)) return;
      await stage.send(line, requests(stage, 64, { same: true }));
      for await (const { id } of messages(line)) {
        if (id === ID.piece) await stage.take(BLOCK);
        if (id === ID.piece) await stage.send(line, words(ID.request, 0, 0, BLOCK));
        if (id === ID.unchoke) await stage.send(line, requests(stage, 64, { same: true }));
      }
    },
  },
  {
    name: "128 KiB requests all over the torrent",
    victims: ["seeder"],
    named: null,
    legal: "it takes what it is served; each request may be of 128 KiB",
    run: async (line, stage) => {
      if (!await unchoked(line, stage)) return;
      const ask = () => {
        const index = Math.floor(Math.random() * (stage.torrent.pieces - 1));
        return stage.send(line, words(ID.request, index, 0, Math.min(1 << 17, stage.torrent.pieceLength)));
      };
      for (let i = 0; i < 32; i++) await ask();
      for await (const { id } of messages(line)) {
        if (id !== ID.piece) continue;
        await stage.take(1 << 17);
        await ask();
      }
    },
  },
];
