/**
 * Compares what Shoal makes of odd v2 and hybrid torrents with what libtorrent makes of them.
 */

import { assertEquals } from "@std/assert";
import { ShoalError } from "../../src/base/errors.ts";
import { parseMetainfo } from "../../src/metainfo/mod.ts";
import { V2_CASES } from "../metainfo/v2_cases.ts";
import { Job } from "../support/job.ts";
import { LIBTORRENT21, testWith } from "../support/requirements.ts";
import { withScratch } from "../support/scratch.ts";

/** Prints for each torrent its version, or that it is refused, and the lengths of its files without the last padding. */
const PROGRAM = `
import json, libtorrent as lt, sys
for number in range(int(sys.argv[1])):
    try:
        info = lt.torrent_info(f'{number}.torrent')
        hashes = info.info_hashes()
        v1, v2 = hashes.has_v1(), hashes.has_v2()
        files = info.files()
        sizes = [[files.file_size(i), bool(files.file_flags(i) & lt.file_flags_t.flag_pad_file)] for i in range(files.num_files())]
        print(json.dumps(['hybrid' if v1 and v2 else 'v1' if v1 else 'v2', sizes]))
    except RuntimeError:
        print(json.dumps(['refused', []]))
`;

type Verdict = [version: string, sizes: [length: number, pad: boolean][]];

function verdictOf(torrent: Uint8Array): Verdict {
  try {
    const { version, files } = parseMetainfo(torrent);
    return [version, files.map(({ length, pad }) => [length, pad])];
  } catch (error) {
    if (error instanceof ShoalError) return ["refused", []];
    throw error;
  }
}

/** libtorrent pads the last file of a v2 torrent, too. Padding before and after empty files is the same. */
function withoutLastPadding([version, sizes]: Verdict): Verdict {
  const filled = sizes.filter(([length]) => length > 0);
  return [version, filled.at(-1)?.[1] ? filled.slice(0, -1) : filled];
}

for (
  const [needs, version, env] of [
    ["python3-libtorrent", "2.0", {}],
    ["libtorrent21", "2.1", { PYTHONPATH: LIBTORRENT21 }],
  ] as const
) {
  testWith(
    `odd v2 and hybrid torrents are to Shoal what they are to libtorrent ${version}`,
    [needs],
    () =>
      withScratch(async (folder) => {
        for (const [i, { torrent }] of V2_CASES.entries()) await Deno.writeFile(`${folder}/${i}.torrent`, torrent);
        const argv = ["/usr/bin/python3", "-W", "ignore", "-c", PROGRAM, `${V2_CASES.length}`];
        await using job = new Job(argv, { name: "libtorrent", cwd: folder, env });
        const { code, stdout, stderr } = await job.exit(60);
        assertEquals(code, 0, stderr.join("\n"));
        assertEquals(stdout.length, V2_CASES.length);
        const differences = V2_CASES.filter(({ torrent }, i) => {
          const [theirs, ours] = [JSON.parse(stdout[i]!) as Verdict, verdictOf(torrent)].map(withoutLastPadding);
          return JSON.stringify(theirs) !== JSON.stringify(ours);
        });
        const expected = V2_CASES.filter(({ differs }) => differs === version || differs === "both");
        assertEquals(differences.map(({ name }) => name), expected.map(({ name }) => name));
      }),
  );
}
