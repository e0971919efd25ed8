/**
 * Attacks with messages about hashes (BEP 52), on torrents that have v2.
 *
 * @module
 */

import { type Bytes, concatBytes } from "../../src/base/bytes.ts";
import { type Attack, type Heard, messages, type Stage } from "./attack.ts";
import type { Line } from "./line.ts";
import { block, frame, ID } from "./words.ts";

const BOTH = ["leecher", "seeder"] as const;
/** Bytes of a hash request: a root, and four numbers. */
const REQUEST = 32 + 4 * 4;
/** Requests that may wait for their answers. */
const AT_ONCE = 64;

/** Returns a message about hashes. */
function about(id: number, root: Uint8Array, numbers: readonly number[], hashes = new Uint8Array(0)): Bytes {
  const words = new Uint8Array(16);
  numbers.forEach((number, i) => new DataView(words.buffer).setUint32(4 * i, number));
  return frame(id, concatBytes([root, words, hashes]));
}

/** Number of the layer of the root. */
function heightOf(stage: Stage): number {
  return Math.ceil(Math.log2(Math.ceil(stage.size / 16384)));
}

/** Returns the request with a number: of each layer and place in turn, for as many hashes as there may be. */
function request(stage: Stage, number: number): Bytes {
  const height = heightOf(stage);
  const layer = number % height;
  const count = Math.min(8192, 2 ** (height - layer)) /
    (number % 3 === 0 ? 1 : Math.min(2 ** (height - layer - 1), 16));
  const places = 2 ** (height - layer) / count;
  return about(ID.hashRequest, stage.torrent.root!, [layer, number % places * count, count, height - layer - 1]);
}

/** Sends right blocks, and passes each request for hashes to `answer`. */
async function seed(line: Line, stage: Stage, answer: (request: Bytes) => Bytes | null): Promise<void> {
  if (!await stage.greet(line, { have: "all" })) return;
  await stage.send(line, frame(ID.unchoke));
  for await (const { id, view } of messages(line)) {
    if (id === ID.request) {
      const [index, begin, length] = [1, 5, 9].map((at) => view.getUint32(at)) as [number, number, number];
      await stage.send(line, block(index, begin, stage.right(index, begin, length)));
    }
    if (id !== ID.hashRequest) continue;
    const bytes = answer(bodyOf(view));
    if (bytes !== null) await stage.send(line, bytes);
  }
}

function bodyOf(view: Heard["view"]): Bytes {
  return new Uint8Array(view.buffer as ArrayBuffer, view.byteOffset + 1, REQUEST).slice();
}

/** Attacks on a Shoal with a torrent that has v2. */
export const HASH_ATTACKS: readonly Attack[] = [
  {
    name: "hash requests of every layer, reads the answers",
    victims: ["seeder"],
    hosts: 8,
    named: null,
    legal: "it takes what it is served, and is served no more than other work leaves time for",
    run: async (line, stage) => {
      if (!await stage.greet(line, { have: "none" })) return;
      let number = 0;
      const next = () => stage.send(line, request(stage, number++));
      for (let i = 0; i < AT_ONCE; i++) await next();
      for await (const { id } of messages(line)) if (id === ID.hashes || id === ID.hashReject) await next();
    },
  },
  {
    name: "hash request flood",
    victims: BOTH,
    hosts: 4,
    named: /brings nothing|more than it reads/,
    run: async (line, stage) => {
      if (!await stage.greet(line, { have: "none" })) return;
      void line.drain();
      await stage.flood(line, concatBytes(Array.from({ length: 500 }, (_, i) => request(stage, i))));
    },
  },
  {
    name: "hash requests that make no sense",
    victims: BOTH,
    named: /brings nothing|more than it reads/,
    run: async (line, stage) => {
      if (!await stage.greet(line, { have: "none" })) return;
      void line.drain();
      const root = stage.torrent.root!;
      const all = [[0, 0, 0, 0], [0, 1, 2, 0], [0, 0, 3, 0], [99, 0, 2, 0], [0, 0, 0xffffffff, 0xffffffff]].map((
        numbers,
      ) => about(ID.hashRequest, root, numbers));
      await stage.flood(line, concatBytes([...all, about(ID.hashRequest, new Uint8Array(32), [0, 0, 2, 0])]));
    },
  },
  {
    name: "hashes that nobody asked for",
    victims: BOTH,
    named: /not asked for/,
    run: async (line, stage) => {
      if (!await stage.greet(line, { have: "none" })) return;
      await stage.send(line, about(ID.hashes, stage.torrent.root!, [0, 0, 512, 0], new Uint8Array(512 * 32)));
      await line.drain();
    },
  },
  {
    name: "false hashes",
    victims: ["leecher"],
    named: /wrong hashes/,
    run: (line, stage) =>
      seed(line, stage, (request) => {
        const [count, proofLayers] = [40, 44].map((at) => new DataView(request.buffer).getUint32(at)) as [
          number,
          number,
        ];
        const uncles = Math.max(0, proofLayers - Math.max(0, Math.log2(count) - 1));
        const hashes = crypto.getRandomValues(new Uint8Array(32 * (count + uncles)));
        return frame(ID.hashes, concatBytes([request, hashes]));
      }),
  },
  {
    name: "refuses all hashes",
    victims: ["leecher"],
    hosts: 4,
    named: null,
    legal: "it may have none; it is asked less and less, and its data is right",
    run: (line, stage) => seed(line, stage, (request) => frame(ID.hashReject, request)),
  },
];
