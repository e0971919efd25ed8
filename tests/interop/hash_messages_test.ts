/**
 * Asks libtorrent for hashes of every layer of a v2 torrent (BEP 52), and proves them.
 */

import { assert, assertEquals } from "@std/assert";
import type { Bytes } from "../../src/base/bytes.ts";
import { heightOf, merkle, rootLayer } from "../../src/base/merkle.ts";
import { parseMetainfo } from "../../src/metainfo/mod.ts";
import { denoPlatform } from "../../src/platform/deno_platform.ts";
import { createTorrent } from "../../src/session/create_torrent.ts";
import { FrameReader } from "../../src/wire/frame_reader.ts";
import { FrameWriter } from "../../src/wire/frame_writer.ts";
import { encodeHandshake, HANDSHAKE_LENGTH, parseHandshake } from "../../src/wire/handshake.ts";
import {
  encodeHashRequest,
  faultOfRequest,
  type HashRequest,
  parseHashes,
  parseHashRequest,
  proofLayersTo,
} from "../../src/wire/hash_messages.ts";
import { MessageId } from "../../src/wire/messages.ts";
import { Libtorrent } from "../support/libtorrent.ts";
import { makeFile } from "../support/payload.ts";
import { testWith } from "../support/requirements.ts";
import { withScratch } from "../support/scratch.ts";
import { Recorder } from "../support/wire.ts";

/** Keeps the messages about hashes. */
class Answers extends Recorder {
  readonly messages: { readonly id: number; readonly payload: Bytes }[] = [];

  override onHashMessage(id: number, payload: Bytes): void {
    this.messages.push({ id, payload });
  }
}

testWith(
  "libtorrent answers hash requests for every layer, and the hashes prove themselves",
  ["python3-libtorrent"],
  () =>
    withScratch(async (folder) => {
      // 21 blocks, six pieces of four: the root is in layer 5.
      const payload = await makeFile(folder, { name: "file", size: 20 * 16_384 + 777, seed: 5 });
      const options = { platform: denoPlatform, version: "v2", pieceLength: 65_536 } as const;
      const { bytes } = await createTorrent(`${payload.folder}/file`, options);
      await Deno.writeFile(`${folder}/t.torrent`, bytes);
      const meta = parseMetainfo(bytes);
      const { root, length } = meta.files[0]!;
      const height = rootLayer(length);
      // It checks the file, and so knows the hashes of all blocks. A seeder that trusts the file knows those of pieces.
      await using seeder = Libtorrent.leech(payload.folder, { torrent: `${folder}/t.torrent`, ports: [] });
      await seeder.until(({ seeds, port }) => seeds && port > 0, "it seeded");
      using line = await Deno.connect({ hostname: "127.0.0.1", port: seeder.status!.port });
      const handshake = { infoHash: meta.infoHash, fast: true, extended: true, v2: true };
      await line.write(encodeHandshake({ ...handshake, peerId: new Uint8Array(20).fill(65) }));
      const answer = new Uint8Array(HANDSHAKE_LENGTH);
      for (let at = 0; at < answer.length;) at += (await line.read(answer.subarray(at)))!;
      assertEquals(parseHandshake(answer).infoHash, meta.infoHash);

      const answers = new Answers();
      const reader = new FrameReader(answers, { pieceCount: meta.pieceCount });
      const ask = async (request: HashRequest) => {
        const writer = new FrameWriter();
        writer.hashMessage(MessageId.hashRequest, encodeHashRequest(request));
        await line.write(writer.take().slice());
        const before = answers.messages.length;
        while (answers.messages.length === before) reader.received((await line.read(reader.space))!);
        return answers.messages.at(-1)!;
      };
      for (let layer = 0; layer < height; layer++) {
        for (let count = 2; count <= 2 ** (height - layer); count *= 2) {
          for (let index = 0; index < 2 ** (height - layer); index += count) {
            const range = { layer, index, count };
            const request = { root: root!, ...range, proofLayers: proofLayersTo(range, height) };
            assertEquals(faultOfRequest(request, length), null);
            const { id, payload } = await ask(request);
            const what = `layer ${layer}, ${count} from ${index}`;
            assertEquals(id, MessageId.hashes, what);
            const hashes = parseHashes(payload);
            assertEquals([hashes.layer, hashes.index, hashes.count], [layer, index, count]);
            assert(merkle.verify(range, { ...hashes, expected: root! }), what);
            assertEquals(hashes.uncles.length / 32, height - layer - heightOf(count));
          }
        }
      }
      // A range that the tree doesn't have is rejected.
      const wrong = { root: root!, layer: 0, index: 32, count: 2, proofLayers: 4 };
      assert(faultOfRequest(wrong, length) !== null);
      const { id, payload: rejected } = await ask(wrong);
      assertEquals([id, parseHashRequest(rejected)], [MessageId.hashReject, wrong]);
    }),
);
