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

/** Prints for each torrent its version, or that it is refused, its info-hashes, and its files. */
const PROGRAM = `
import json, libtorrent as lt, sys
for number in range(int(sys.argv[1])):
    try:
        info = lt.torrent_info(f'{number}.torrent')
        hashes = info.info_hashes()
        v1, v2 = hashes.has_v1(), hashes.has_v2()
        files = info.files()
        flag = lambda i, flag: bool(files.file_flags(i) & flag)
        list = [[files.file_size(i), flag(i, files.flag_pad_file), flag(i, files.flag_executable)] for i in range(files.num_files())]
        version = 'hybrid' if v1 and v2 else 'v1' if v1 else 'v2'
        print(json.dumps([version, list, str(hashes.v1) if v1 else None, str(hashes.v2) if v2 else None, info.piece_length()]))
    except RuntimeError:
        print(json.dumps(['refused', []]))
`;

type Verdict = [
  version: string,
  files: [length: number, pad: boolean, executable: boolean][],
  infoHashV1?: string | null,
  infoHashV2?: string | null,
  pieceLength?: number,
];

function verdictOf(torrent: Uint8Array): Verdict {
  try {
    const { version, files, infoHashV1, infoHashV2, pieceLength } = parseMetainfo(torrent);
    return [
      version,
      files.map(({ length, pad, executable }) => [length, pad, executable]),
      infoHashV1?.hex ?? null,
      infoHashV2?.hex ?? null,
      pieceLength,
    ];
  } catch (error) {
    if (error instanceof ShoalError) return ["refused", []];
    throw error;
  }
}

/** libtorrent pads the last file of a v2 torrent, too. */
function withoutLastPadding([version, files, ...rest]: Verdict): Verdict {
  const last = files.findLastIndex(([length]) => length > 0);
  return [version, files[last]?.[1] ? files.toSpliced(last, 1) : files, ...rest];
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
