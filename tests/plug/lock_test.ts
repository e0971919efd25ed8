import { assertEquals, assertStringIncludes } from "@std/assert";
import { withScratch } from "../support/scratch.ts";
import { KillLab, PAYLOADS, Seed, startShoal } from "./kill_lab.ts";

Deno.test("a second download of a torrent to the same folder is refused until the first process is killed", () =>
  withScratch(async (folder) => {
    const { make, pieceLength } = PAYLOADS.many;
    const payload = await make(`${folder}/source`);
    await using seed = await Seed.start(payload, { pieceLength, torrent: `${folder}/many.torrent` });
    const lab = new KillLab(seed, `${folder}/download`);
    // The first download has no peer, and waits.
    await using first = startShoal(["download", seed.path, "-o", lab.out, "-p", "0", "--json"], lab.folder);
    await first.line((line) => line.includes('"progress"'), { seconds: 30, what: "it was at work" });
    await using second = startShoal(["download", seed.path, "-o", lab.out, "-p", "0", "--json"], lab.folder);
    const { code, stderr } = await second.exit(30);
    assertEquals([code, stderr.length], [4, 1]);
    assertStringIncludes(stderr[0]!, "cannot download");
    assertStringIncludes(stderr[0]!, "is being downloaded to that folder already");
    first.signal("SIGKILL");
    assertEquals((await first.exit(10)).code, 137);
    assertEquals(await lab.finish(), 0);
  }));
