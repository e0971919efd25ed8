/**
 * Attacks by peers that claim to have pieces: wrong data, no data, and floods of messages about pieces.
 *
 * @module
 */

import { type Attack, messages, pause, type Stage } from "./attack.ts";
import type { Line } from "./line.ts";
import { BLOCK, block, frame, ID, times, words } from "./words.ts";

/** Claims to have every piece, unchokes, and passes each request to `answer`. */
async function seed(
  line: Line,
  stage: Stage,
  answer: (index: number, begin: number, length: number) => Promise<unknown> | null,
  options: { readonly fast?: boolean } = {},
): Promise<void> {
  if (!await stage.greet(line, { ...options, have: "all" })) return;
  await stage.send(line, frame(ID.unchoke));
  for await (const { id, view } of messages(line)) {
    if (id === ID.request) await answer(view.getUint32(1), view.getUint32(5), view.getUint32(9));
  }
}

/** Attacks on a Shoal that downloads, some of them on one that seeds, too. */
export const DATA_ATTACKS: readonly Attack[] = [
  {
    name: "wrong data",
    victims: ["leecher"],
    named: /wrong data for piece/,
    run: (line, stage) =>
      seed(
        line,
        stage,
        (index, begin, length) => stage.send(line, block(index, begin, crypto.getRandomValues(new Uint8Array(length)))),
      ),
  },
  {
    name: "one wrong byte in each block",
    victims: ["leecher"],
    named: /wrong data for piece/,
    run: (line, stage) =>
      seed(line, stage, (index, begin, length) => {
        const bytes = stage.right(index, begin, length);
        bytes[length >> 1]! ^= 1;
        return stage.send(line, block(index, begin, bytes));
      }),
  },
  {
    name: "one wrong block, then silence",
    victims: ["leecher"],
    hosts: 4,
    named: /wrong data for piece/,
    run: (line, stage) => {
      let sent = 0;
      return seed(
        line,
        stage,
        (index, begin, length) => sent++ > 0 ? null : stage.send(line, block(index, begin, new Uint8Array(length))),
      );
    },
  },
  {
    name: "zeros",
    victims: ["leecher"],
    named: /wrong data for piece/,
    run: (line, stage) =>
      seed(line, stage, (index, begin, length) => stage.send(line, block(index, begin, new Uint8Array(length)))),
  },
  {
    name: "right data for a while, then wrong",
    victims: ["leecher"],
    named: /wrong data for piece/,
    run: (line, stage) => {
      let sent = 0;
      return seed(line, stage, (index, begin, length) => {
        const bytes = sent++ < 24 ? stage.right(index, begin, length) : new Uint8Array(length);
        return stage.send(line, block(index, begin, bytes));
      });
    },
  },
  {
    name: "holds four requests and drops the others",
    victims: [], // It would help a download with other peers, so poison_test.ts runs it alone.
    named: null,
    legal: "its data is right; it is asked for as much as it holds",
    run: (line, stage) => {
      let held = 0;
      return seed(line, stage, (index, begin, length) => {
        if (held >= 4) return null;
        held++;
        // Further requests arrive during this time.
        void pause(20).then(() => {
          held--;
          return stage.send(line, block(index, begin, stage.right(index, begin, length)));
        });
        return null;
      });
    },
  },
  {
    name: "claims all, rejects every request",
    victims: ["leecher"],
    named: /turns down/,
    patience: 8_000,
    run: (line, stage) =>
      seed(line, stage, (index, begin, length) => stage.send(line, words(ID.reject, index, begin, length))),
  },
  {
    name: "claims all, never answers",
    victims: ["leecher"],
    hosts: 4,
    named: null,
    legal: "slow is no crime; it is asked for less and less, and gives its place up when others wait",
    run: (line, stage) => seed(line, stage, () => null),
  },
  {
    name: "answers each request with one byte of a frame a second",
    victims: ["leecher"],
    hosts: 2,
    named: /one message/,
    patience: 61_000,
    run: (line, stage) =>
      seed(line, stage, async (index, begin, length) => {
        const bytes = block(index, begin, stage.right(index, begin, length));
        for (let at = 0; at < bytes.length && !line.closed; at++) {
          await line.send(bytes.subarray(at, at + 1));
          await pause(1000);
        }
      }),
  },
  {
    name: "every block ten times",
    victims: ["leecher"],
    named: /not asked/,
    run: (line, stage) =>
      seed(
        line,
        stage,
        (index, begin, length) => stage.send(line, times(10, block(index, begin, stage.right(index, begin, length)))),
      ),
  },
  {
    name: "blocks that nobody asked for",
    victims: ["leecher", "seeder"],
    named: /not asked|needs anything/,
    run: async (line, stage) => {
      if (!await stage.greet(line, { have: "all" })) return;
      void line.drain();
      for (let i = 0; !line.closed; i++) {
        const [index, begin, length] = stage.blockAt(i);
        await stage.send(line, block(index, begin, stage.right(index, begin, length)));
      }
    },
  },
  {
    name: "empty blocks",
    victims: ["leecher"],
    named: /not asked/,
    run: (line, stage) =>
      seed(line, stage, (index, begin) => stage.send(line, times(100, block(index, begin, new Uint8Array(0))))),
  },
  {
    name: "choke flapping, 500 a second",
    victims: ["leecher"],
    hosts: 2,
    named: /brings nothing/,
    run: async (line, stage) => {
      if (!await stage.greet(line, { have: "all" })) return;
      void line.drain();
      await stage.flood(line, times(5, new Uint8Array([...frame(ID.unchoke), ...frame(ID.choke)])), 50);
    },
  },
  {
    name: "choke flapping as fast as it goes",
    victims: ["leecher"],
    named: /brings nothing/,
    run: async (line, stage) => {
      if (!await stage.greet(line, { have: "all", fast: false })) return;
      void line.drain();
      await stage.flood(line, times(500, new Uint8Array([...frame(ID.unchoke), ...frame(ID.choke)])));
    },
  },
  {
    name: "have of a piece that there isn't",
    victims: ["leecher", "seeder"],
    named: /have names piece/,
    run: async (line, stage) => {
      if (!await stage.greet(line)) return;
      await stage.send(line, words(ID.have, stage.torrent.pieces));
      await line.drain();
    },
  },
  {
    name: "have flood",
    victims: ["leecher", "seeder"],
    named: /brings nothing/,
    run: async (line, stage) => {
      if (!await stage.greet(line)) return;
      void line.drain();
      await stage.flood(line, times(1000, words(ID.have, 0)));
    },
  },
  {
    name: "suggest flood",
    victims: ["leecher", "seeder"],
    named: /brings nothing/,
    run: async (line, stage) => {
      if (!await stage.greet(line)) return;
      void line.drain();
      await stage.flood(line, times(1000, words(ID.suggest, 0)));
    },
  },
  {
    name: "allowed-fast flood",
    victims: ["leecher", "seeder"],
    named: /brings nothing/,
    run: async (line, stage) => {
      if (!await stage.greet(line)) return;
      void line.drain();
      await stage.flood(line, times(1000, words(ID.allowedFast, 1)));
    },
  },
  {
    name: "reject flood",
    victims: ["leecher", "seeder"],
    named: /not asked/,
    run: async (line, stage) => {
      if (!await stage.greet(line)) return;
      void line.drain();
      await stage.flood(line, times(1000, words(ID.reject, 0, 0, BLOCK)));
    },
  },
];
