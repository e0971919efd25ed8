import { assert, assertEquals, assertNotEquals, assertRejects } from "@std/assert";
import { type Bytes, concatBytes } from "../../src/base/bytes.ts";
import { startFileHashers, startTreeHashers } from "../../src/platform/deno_file_hashers.ts";
import { PieceDigests } from "../../src/platform/piece_digests.ts";
import type { FileHashers, FileSegment } from "../../src/platform/platform.ts";
import { startDigest } from "../../src/platform/start_digest.ts";
import { noise } from "../support/payload.ts";
import { hashFile } from "../support/v2_torrents.ts";

const MIB = 1024 * 1024;
const SHA1 = { digest: "sha1" } as const;
const ignore = navigator.hardwareConcurrency < 2;

/** Calls a function with hashing threads and a folder. */
async function withHashers(body: (hashers: FileHashers, folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "shoal-hashers-" });
  const hashers = startFileHashers();
  try {
    assert(hashers !== null);
    await body(hashers, folder);
  } finally {
    hashers?.close();
    await Deno.remove(folder, { recursive: true });
  }
}

function digests(data: Bytes, pieceLength: number): Bytes {
  const found: Bytes[] = [];
  for (let at = 0; at < data.length; at += pieceLength) {
    const digest = startDigest("sha1");
    digest.update(data.subarray(at, at + pieceLength));
    found.push(digest.digest());
  }
  return concatBytes(found);
}

Deno.test({
  name: "startFileHashers() hashes pieces that run across files, parts of files and padding",
  ignore,
  fn: () =>
    withHashers(async (hashers, folder) => {
      const [a, b] = [noise(3 * MIB + 5, 1), noise(700, 2)];
      await Deno.writeFile(`${folder}/a`, a);
      await Deno.writeFile(`${folder}/\u00e9 b`, b);
      const segments: FileSegment[] = [
        { path: `${folder}/a`, position: 1000, length: 2 * MIB },
        { path: null, position: 0, length: 300_001 },
        { path: `${folder}/\u00e9 b`, position: 0, length: 700 },
        { path: `${folder}/a`, position: 0, length: 3 * MIB + 5 },
      ];
      const data = concatBytes([a.subarray(1000, 1000 + 2 * MIB), new Uint8Array(300_001), b, a]);
      for (const pieceLength of [16 * 1024, 100_003, MIB, 16 * MIB]) {
        assertEquals(
          await hashers.hash({ segments, pieceLength, hashing: SHA1 }),
          digests(data, pieceLength),
          `${pieceLength}`,
        );
      }
    }),
});

Deno.test({
  name: "startFileHashers() computes the roots of Merkle trees",
  ignore,
  fn: () =>
    withHashers(async (hashers, folder) => {
      const data = noise(MIB + 5, 4);
      await Deno.writeFile(`${folder}/a`, data);
      const hashing = { digest: "merkle", leaves: 16 } as const;
      const pieces = new PieceDigests(startDigest, { hashing, pieceLength: MIB / 4, total: MIB + 5 });
      pieces.update(data);
      const segments: FileSegment[] = [{ path: `${folder}/a`, position: 0, length: MIB + 5 }];
      assertEquals(await hashers.hash({ segments, pieceLength: MIB / 4, hashing }), pieces.bytes);
      assertEquals(pieces.bytes.length, 5 * 32);
    }),
});

Deno.test({
  name: "startFileHashers() takes many batches at one time, and a bad one spoils no other",
  ignore,
  fn: () =>
    withHashers(async (hashers, folder) => {
      const data = noise(MIB, 3);
      await Deno.writeFile(`${folder}/a`, data);
      assert(hashers.lanes >= 4, "two for each of two cores");
      const hash = (path: string, position: number, length: number) =>
        hashers.hash({ segments: [{ path: `${folder}/${path}`, position, length }], pieceLength: 1024, hashing: SHA1 });
      const bad = Promise.allSettled([hash("gone", 0, 5), hash("a", MIB - 5, 6), hash("", 0, 5)]);
      const good = Array.from({ length: 50 }, (_, i) => hash("a", i * 1000, 20_000));
      for (const [i, found] of (await Promise.all(good)).entries()) {
        assertEquals(found, digests(data.subarray(i * 1000, i * 1000 + 20_000), 1024));
      }
      assertEquals((await bad).map(({ status }) => status), ["rejected", "rejected", "rejected"]);
    }),
});

Deno.test({
  name: "startFileHashers() shares its threads, and ends them with the last user",
  ignore,
  fn: () =>
    withHashers(async (hashers, folder) => {
      const data = noise(8 * MIB, 4);
      await Deno.writeFile(`${folder}/a`, data);
      const segments = [{ path: `${folder}/a`, position: 0, length: 8 * MIB }];
      const other = startFileHashers()!;
      const [mine, others] = [hashers, other].map((one) => one.hash({ segments, pieceLength: MIB, hashing: SHA1 }));
      hashers.close();
      hashers.close();
      await assertRejects(() => hashers.hash({ segments, pieceLength: MIB, hashing: SHA1 }), Error, "closed");
      assertEquals(await others, digests(data, MIB));
      assertEquals(await mine, digests(data, MIB));
      const last = other.hash({ segments, pieceLength: MIB, hashing: SHA1 });
      other.close();
      await assertRejects(() => last, Error, "closed");
      const again = startFileHashers()!;
      assertNotEquals(again, other);
      assertEquals(await again.hash({ segments, pieceLength: MIB, hashing: SHA1 }), digests(data, MIB));
      again.close();
    }),
});

Deno.test({
  name: "startTreeHashers() hashes parts of files for v2 and hybrid torrents, on the same threads",
  ignore,
  fn: () =>
    withHashers(async (hashers, folder) => {
      const trees = startTreeHashers()!;
      try {
        assertEquals(trees.lanes, hashers.lanes);
        const data = noise(MIB + 12_345, 7);
        await Deno.writeFile(`${folder}/a`, data);
        const pieces = { path: `${folder}/a`, pieceLength: 64 * 1024, layer: 2 };
        const file = hashFile(data, 64 * 1024);
        const all = { ...pieces, position: 0, length: data.length };
        const part = { ...pieces, position: 128 * 1024, length: 192 * 1024, padding: 0 };
        const [whole, both] = await Promise.all([trees.hashTree({ ...all, padding: null }), trees.hashTree(part)]);
        assertEquals(whole, file.layer);
        const sha1 = digests(data.subarray(128 * 1024, 320 * 1024), 64 * 1024);
        const expected = [2, 3, 4].map((i) =>
          concatBytes([file.layer.subarray(32 * i, 32 * i + 32), sha1.subarray(20 * i - 40, 20 * i - 20)])
        );
        assertEquals(both, concatBytes(expected));
        await assertRejects(
          () => trees.hashTree({ ...all, length: data.length + 1, padding: null }),
          Error,
          "too early",
        );
      } finally {
        trees.close();
      }
      await assertRejects(() =>
        trees.hashTree({ path: "", pieceLength: 1, layer: 0, padding: null, position: 0, length: 1 })
      );
    }),
});
