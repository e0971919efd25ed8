/** Hashes 16 MiB in each way: on the main thread in steps of several sizes, and a piece at a time on another thread. */

import { denoPlatform } from "../src/platform/deno_platform.ts";
import { noise } from "../tests/support/payload.ts";

const KIB = 1024;
const SIZE = 16 * KIB * KIB;
const PIECE = KIB * KIB;
const data = noise(SIZE, 3);

for (const algorithm of ["sha1", "sha256"] as const) {
  for (const step of [16 * KIB, 128 * KIB, PIECE]) {
    Deno.bench(`Platform.digest: 16 MiB of ${algorithm} in steps of ${step / KIB} KiB`, { group: algorithm }, () => {
      for (let piece = 0; piece < SIZE; piece += PIECE) {
        const digest = denoPlatform.digest(algorithm);
        for (let at = piece; at < piece + PIECE; at += step) digest.update(data.subarray(at, at + step));
        digest.digest();
      }
    });
  }
}

Deno.bench("Platform.sha1: 16 MiB, one piece of 1 MiB at a time", { group: "sha1" }, async () => {
  for (let at = 0; at < SIZE; at += PIECE) await denoPlatform.sha1(data.subarray(at, at + PIECE));
});

Deno.bench("Platform.sha1: 16 MiB, all pieces of 1 MiB at once", { group: "sha1" }, async () => {
  const pieces = Array.from({ length: SIZE / PIECE }, (_, i) => data.subarray(i * PIECE, (i + 1) * PIECE));
  await Promise.all(pieces.map((piece) => denoPlatform.sha1(piece)));
});
