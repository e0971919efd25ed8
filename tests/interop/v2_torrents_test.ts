/**
 * Compares what Shoal makes of odd v2 and hybrid torrents with what libtorrent makes of them.
 */

import { assertEquals } from "@std/assert";
import { ShoalError } from "../../src/base/errors.ts";
import { parseMagnet, parseMetainfo } from "../../src/metainfo/mod.ts";
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

const LIBTORRENTS = [
  ["python3-libtorrent", "2.0", {}],
  ["libtorrent21", "2.1", { PYTHONPATH: LIBTORRENT21 }],
] as const;

for (const [needs, version, env] of LIBTORRENTS) {
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

const V1 = "c12fe1c06bba254a9dc9f519b335aa7c1367a88a";
const V1_BASE32 = "YEX6DQDLXISUVHOJ6UM3GNNKPQJWPKEK";
const V2 = "ab".repeat(32);

/** Ends of magnet links. */
const LINKS: readonly string[] = [
  `xt=urn:btmh:1220${V2}`,
  `xt=urn:btmh:1220${V2.toUpperCase()}`,
  `xt=urn:btih:${V1}&xt=urn:btmh:1220${V2}`,
  `xt=urn:btmh:1220${V2}&xt=urn:btih:${V1.toUpperCase()}`,
  `xt=urn:btmh:1220${V2}&xt=urn:btih:${V1_BASE32}`,
  `xt=urn:btih:${V1_BASE32.toLowerCase()}&xt=urn:btmh:1220${V2}`,
  `xt.1=urn:btih:${V1}&xt.2=urn:btmh:1220${V2}`,
  `xt.2=urn:btih:${V1}&xt.1=urn:btmh:1220${V2}`,
  `xt=urn%3Abtmh%3A1220${V2}`,
  `xt=urn:btmh:%31%32%32%30${V2}&xt=urn%3abtih%3a${V1}`,
  `xt=urn:btmh:1220${V2}&xt=urn:btmh:1220${V2.toUpperCase()}`,
  `xt=urn:sha1:${V1_BASE32}&xt=urn:btmh:1220${V2}`,
  `dn=x&tr=http%3A%2F%2Ft.test%2F&xt=urn:btmh:1220${V2}&&so=0`,
  `xt=urn:btmh:1220${V2.slice(1)}`,
  `xt=urn:btmh:1220${V2.slice(2)}`,
  `xt=urn:btmh:1220${V2}00`,
  `xt=urn:btmh:1220${"z".repeat(64)}&xt=urn:btih:${V1.slice(1)}`,
  `xt=urn:btmh:${V2}`,
  `xt=urn:btmh:1114${V1}`,
  `xt=urn:btmh:1340${V2}${V2}`,
  `xt=urn:btmh:1220`,
  `xt=urn:btmh:`,
  `xt=urn:btih:1220${V2}`,
  `xt=urn:btih:${V2}`,
  `xt=urn:btih:${V1}&xt=urn:btmh:1220${V2.slice(2)}`,
  `dn=x`,
];

/** Prints the info-hashes of each link, or `null`. */
const LINKS_PROGRAM = `
import json, libtorrent as lt, sys
for link in sys.argv[1:]:
    try:
        hashes = lt.parse_magnet_uri('magnet:?' + link).info_hashes
        print(json.dumps([str(hashes.v1) if hashes.has_v1() else None, str(hashes.v2) if hashes.has_v2() else None]))
    except RuntimeError:
        print('null')
`;

function hashesOf(link: string): (string | null)[] | null {
  try {
    const { infoHashV1, infoHashV2 } = parseMagnet(`magnet:?${link}`);
    return [infoHashV1?.hex ?? null, infoHashV2?.hex ?? null];
  } catch (error) {
    if (error instanceof ShoalError) return null;
    throw error;
  }
}

for (const [needs, version, env] of LIBTORRENTS) {
  testWith(`magnet links with btmh name the torrents that they name for libtorrent ${version}`, [needs], async () => {
    const argv = ["/usr/bin/python3", "-W", "ignore", "-c", LINKS_PROGRAM, ...LINKS];
    await using job = new Job(argv, { name: "libtorrent", env });
    const { code, stdout, stderr } = await job.exit(60);
    assertEquals(code, 0, stderr.join("\n"));
    assertEquals(
      LINKS.map((link) => [link, hashesOf(link)]),
      LINKS.map((link, i) => [link, JSON.parse(stdout[i]!)]),
    );
  });
}
