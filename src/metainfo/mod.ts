/**
 * Torrent files and magnet links: parsing, validation, safe paths, file selection and encoding.
 *
 * @example
 * ```ts
 * const meta = parseMetainfo(await platform.files.readFile(path, MAX_TORRENT_SIZE), { source: path });
 * meta.files[0]?.path; // ["Sintel", "Sintel.mkv"]
 * ```
 *
 * @module
 */

export { describe, type TorrentDescription } from "./describe.ts";
export { MetainfoError } from "./errors.ts";
export { formatMagnet, isInfoHash, type Magnet, parseMagnet, wrongInfoHash } from "./magnet.ts";
export { mergePlaces, mergeSources, type Places } from "./merge.ts";
export {
  magnetOf,
  type Metainfo,
  type MetainfoFile,
  pieceHash,
  pieceSize,
  topicsOf,
  type TorrentVersion,
} from "./metainfo.ts";
export { infoHashesOf } from "./info_hashes.ts";
export { isFolder, originalPaths } from "./original_path.ts";
export {
  MAX_PIECE_LENGTH,
  MAX_TORRENT_SIZE,
  parseInfo,
  type ParseInfoOptions,
  parseMetainfo,
  type ParseOptions,
} from "./parse.ts";
export { pathsOnDisk } from "./paths_on_disk.ts";
export { hasHashes, requireHashes } from "./require_hashes.ts";
export { safeName, type SafePathOptions } from "./safe_path.ts";
export {
  type FileChoice,
  numberedFiles,
  parseFileChoice,
  parseSelectOnly,
  selectFiles,
  SelectionError,
} from "./select.ts";
export { torrentFile } from "./encode_torrent.ts";
export { hasLayers, V2Pieces } from "./v2_pieces.ts";
export { digestsOf, layoutOf, type PayloadLayout, verifierOf } from "./verifier.ts";
