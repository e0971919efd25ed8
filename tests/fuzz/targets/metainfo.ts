/**
 * Fuzzes the parser of torrent files.
 *
 * @module
 */

import { type Bytes, equalBytes, fromUtf8Lossy, MAX_NAME_BYTES, utf8 } from "../../../src/base/bytes.ts";
import { ShoalError } from "../../../src/base/errors.ts";
import { merkle, pieceLayer, rootLayer } from "../../../src/base/merkle.ts";
import { decodeDict, encode } from "../../../src/bencode/mod.ts";
import {
  describe,
  type Metainfo,
  MetainfoError,
  type MetainfoFile,
  parseMagnet,
  parseMetainfo,
  type ParseOptions,
  pieceHash,
  pieceSize,
} from "../../../src/metainfo/mod.ts";
import { MAX_PATH_LENGTH } from "../../../src/metainfo/files.ts";
import { foldName } from "../../../src/metainfo/safe_path.ts";
import { writeShape } from "../shapes/bencode.ts";
import { anyTreeTorrent } from "../shapes/file_tree.ts";
import { anyTorrent, METAINFO_TOKENS } from "../shapes/metainfo.ts";
import { attempt, hold, type Target } from "../target.ts";

const FORBIDDEN = /[/\\\p{Cc}\p{Cs}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/u;
const FORBIDDEN_PORTABLE = /[<>:"|?*]|[. ]$/;

/** Makes a target for a parser of torrent files, which checks every accepted torrent. */
export function metainfoTargetOf(parse: typeof parseMetainfo): Target {
  return {
    name: "metainfo",
    weight: 1,
    tokens: METAINFO_TOKENS,
    generate: (dice, draft) => writeShape(draft, anyTorrent(dice)),
    run(input) {
      const portable = input.length % 4 !== 0;
      const meta = attempt(MetainfoError, () => parse(input, { portable }));
      if (meta instanceof MetainfoError) {
        hold(meta.key !== "" && meta.why !== "", "an error that says nothing");
        return meta;
      }
      checkTorrent(meta, { portable });
      checkAgain(input, meta, { portable });
      return null;
    },
  };
}

/** Makes a target for a parser of torrents with file trees and piece layers. */
export function fileTreeTargetOf(parse: typeof parseMetainfo): Target {
  return {
    ...metainfoTargetOf(parse),
    name: "file-tree",
    generate: (dice, draft) => writeShape(draft, anyTreeTorrent(dice)),
  };
}

/** Target for `parseMetainfo()` of torrents with file trees and piece layers. */
export const fileTreeTarget: Target = fileTreeTargetOf(parseMetainfo);

/** Target for `parseMetainfo()`, and for `describe()` of its results. */
export const metainfoTarget = metainfoTargetOf(parseMetainfo);

/**
 * Asserts what the types of a torrent promise.
 *
 * @param options Options of the parser.
 * @throws {Broken} If a promise is broken.
 */
export function checkTorrent(meta: Metainfo, options: ParseOptions = {}): void {
  const { pieceCount, pieceLength, totalLength, pieces } = meta;
  const hasDigests = pieces.length > 0 || meta.version === "v1";
  hold(pieceCount >= 1 && pieces.length === (hasDigests ? 20 * pieceCount : 0), "more or less hashes than pieces");
  hold(Number.isSafeInteger(totalLength) && Number.isSafeInteger(pieceLength), "a size is not exact");
  hold(totalLength > (pieceCount - 1) * pieceLength, "the last piece is empty");
  hold(totalLength <= pieceCount * pieceLength, "there is more than the pieces hold");
  hold(pieceSize(meta, pieceCount - 1) >= 1 && pieceSize(meta, pieceCount - 1) <= pieceLength, "the last piece is odd");
  hold(!hasDigests || pieceHash(meta, pieceCount - 1).length === 20, "a hash has no 20 bytes");
  let offset = 0;
  let size = 0;
  for (const file of meta.files) {
    hold(file.offset === offset && Number.isSafeInteger(file.length) && file.length >= 0, "a file is out of its place");
    offset += file.length;
    if (!file.pad) size += file.length;
    hold(file.path[0] === meta.name, "a file is outside the torrent's folder");
    checkHashes(file, meta);
    checkPath(file.path, options);
    if (!file.symlink) continue;
    checkPath(file.symlink, options);
    hold(file.symlink[0] === meta.name && file.length === 0 && !file.pad, "a link is none");
  }
  hold(offset === totalLength && size === meta.size && size >= 1, "the sizes don't add up");
  checkApart(meta.files);
  checkLinks(meta.files);
  checkSources(meta);
}

/** Asserts that the version of a torrent and the hashes of a file belong together. */
function checkHashes(file: MetainfoFile, { version, infoHash, infoHashV1, infoHashV2, pieceLength }: Metainfo): void {
  hold((infoHashV1 === null) === (version === "v2"), "a v1 info-hash too many or too few");
  hold((infoHashV2 === null) === (version === "v1"), "a v2 info-hash too many or too few");
  hold(infoHash.equals(infoHashV1 ?? infoHashV2!.truncated), "the info-hash is of another torrent");
  const { root, layer, length, offset, pad } = file;
  hold((root !== undefined) === (version !== "v1" && length > 0 && !pad), "a root too many or too few");
  hold(root === undefined || (root.length === 32 && offset % pieceLength === 0), "a file with a root is not aligned");
  hold(layer === undefined || (root !== undefined && length > pieceLength), "a layer too many");
  if (layer === undefined) return;
  hold(layer.length === 32 * Math.ceil(length / pieceLength), "a layer of another length");
  const height = { from: pieceLayer(pieceLength), to: rootLayer(length) };
  hold(equalBytes(merkle.root(layer, height), root!), "a layer that is not below its root");
}

/** Asserts that no file has the path of another file or of a folder, even where case and Unicode form don't count. */
function checkApart(files: Metainfo["files"]): void {
  const taken = new Set<string>();
  const folders = new Set<string>();
  for (const file of files) {
    if (file.pad) continue;
    const key = foldName(file.path.join("/"));
    hold(!taken.has(key), () => `two files are ${JSON.stringify(file.path)}`);
    taken.add(key);
    for (let i = 1; i < file.path.length; i++) folders.add(foldName(file.path.slice(0, i).join("/")));
  }
  for (const key of taken) hold(!folders.has(key), () => `${JSON.stringify(key)} is a file and a folder`);
}

function checkPath(path: readonly string[], { portable = true }: ParseOptions): void {
  hold(path.length >= 1, "a path has no parts");
  let length = 0;
  for (const part of path) {
    hold(part !== "" && part !== "." && part !== "..", () => `a path leads out: ${JSON.stringify(path)}`);
    hold(!FORBIDDEN.test(part), () => `a name has a character that it must not have: ${JSON.stringify(part)}`);
    hold(!portable || !FORBIDDEN_PORTABLE.test(part), () => `a name that some systems refuse: ${JSON.stringify(part)}`);
    const bytes = utf8(part).length;
    hold(bytes <= MAX_NAME_BYTES, () => `a name of ${bytes} bytes`);
    length += bytes + 1;
  }
  // A number that makes a name unique may come on top.
  hold(length <= MAX_PATH_LENGTH + MAX_NAME_BYTES + 8, () => `a path of ${length} bytes`);
}

/**
 * Asserts that every link, followed as a file system would, ends at a file or folder of the torrent, and that no path
 * goes through a link.
 */
function checkLinks(files: Metainfo["files"]): void {
  const links = new Map<string, readonly string[]>();
  for (const file of files) if (file.symlink) links.set(file.path.join("/"), file.symlink);
  if (links.size === 0) return;
  const written = files.filter((file) => !file.pad);
  const there = new Set(written.flatMap((file) => file.path.map((_, i) => file.path.slice(0, i + 1).join("/"))));
  for (const file of written) {
    for (let i = 1; i < file.path.length; i++) {
      hold(!links.has(file.path.slice(0, i).join("/")), () => `${JSON.stringify(file.path)} goes through a link`);
    }
  }
  for (const target of links.values()) followLink(target, { links, there });
}

function followLink(
  target: readonly string[],
  { links, there }: { links: ReadonlyMap<string, readonly string[]>; there: ReadonlySet<string> },
): void {
  let at: readonly string[] = [];
  let left = target;
  for (let steps = 0; left.length > 0; steps++) {
    hold(steps < 10_000, "a link never ends");
    at = [...at, left[0]!];
    left = left.slice(1);
    hold(there.has(at.join("/")), () => `a link leads to ${JSON.stringify(at)}, which is not there`);
    const next = links.get(at.join("/"));
    if (!next) continue;
    left = [...next, ...left];
    at = [];
  }
}

function checkSources(meta: Metainfo): void {
  const urls = [...meta.trackers.flat(), ...meta.webSeeds];
  hold(meta.trackers.every((tier) => tier.length > 0), "a tier is empty");
  hold(new Set(meta.trackers.flat()).size === meta.trackers.flat().length, "a tracker is there twice");
  for (const url of urls) hold(URL.canParse(url), () => `${JSON.stringify(url)} is no URL`);
  for (const { host, port } of meta.nodes) {
    hold(host !== "" && port >= 1 && port <= 65_535, () => `the node ${JSON.stringify(host)}:${port} can't be`);
  }
  const text = JSON.stringify(describe(meta));
  hold(
    text.length > 0 && JSON.parse(text).infohash === (meta.infoHashV1?.hex ?? null),
    "the description is not of this torrent",
  );
  const magnet = new URL(describe(meta).magnet);
  hold(magnet.searchParams.get("dn") === meta.name, "the magnet link has another name");
}

/**
 * Asserts that the info dictionary alone makes the same torrent, and that parsing did not change the info dictionary.
 */
function checkAgain(input: Bytes, meta: Metainfo, options: ParseOptions): void {
  const info = decodeDict(input, { allowTrailing: true }).getDict("info")!;
  hold(equalBytes(info.raw, meta.info), "the info dictionary is not what was in the torrent");
  hold(meta.info.buffer !== input.buffer, "the torrent is a view of the input");
  const encoding = decodeDict(input, { allowTrailing: true }).getBytes("encoding");
  const bare = encode(encoding ? { encoding, info } : { info });
  if (!equalBytes(encode(info), info.raw)) return; // an info dictionary that isn't canonical changes when it is encoded
  const again = parseMetainfo(bare, options);
  hold(again.infoHash.equals(meta.infoHash), "the info-hash depends on what is around the info dictionary");
  const files = ({ files }: Metainfo) => JSON.stringify(files.map((file) => ({ ...file, layer: undefined })));
  hold(files(again) === files(meta), "the files depend on what is around the info");
}

/** Target for `parseMagnet()`. */
export const magnetTarget: Target = {
  name: "magnet",
  weight: 1,
  tokens: [
    "magnet:?",
    "xt=urn:btih:",
    "xt=urn:btmh:1220",
    "b".repeat(64),
    "a".repeat(40),
    "a".repeat(32),
    "&",
    "tr=",
    "http%3A%2F%2F",
    "x.pe=1.2.3.4:5",
    "so=0-3",
    "%",
  ],
  generate(dice, draft) {
    const v1 = `xt=urn:btih:${dice.oneIn(2) ? "c".repeat(40) : "D".repeat(32)}`;
    const v2 = `xt=urn:btmh:1220${"e".repeat(64)}`;
    draft.ascii(`magnet:?${dice.oneIn(4) ? v2 : dice.oneIn(4) ? `${v1}&${v2}` : v1}`);
    const names = ["dn", "tr", "tr.1", "ws", "xs", "x.pe", "so", "xt"];
    const values = ["http://a.example/x", "udp://[::1]:80", "[::1]:5", "1.2.3.4:6881", "0,2-9", "%zz", "a+b", ""];
    for (let i = dice.below(6); i > 0; i--) {
      draft.ascii(`&${dice.pick(names)}=${encodeURIComponent(dice.pick(values))}`);
    }
  },
  run(input) {
    const magnet = attempt(ShoalError, () => parseMagnet(fromUtf8Lossy(input)));
    if (magnet instanceof ShoalError) return magnet;
    hold(magnet.infoHash.hex.length === 40, "an info-hash of another length");
    hold(magnet.infoHash.equals(magnet.infoHashV1 ?? magnet.infoHashV2!.truncated), "an info-hash of another torrent");
    for (const url of [...magnet.trackers.flat(), ...magnet.webSeeds, ...magnet.exactSources]) {
      hold(URL.canParse(url), "a URL that is none");
    }
    for (const { port } of magnet.peers) hold(port > 0 && port < 65_536, "a port that can't be");
    return null;
  },
};
