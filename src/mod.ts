/**
 * Shoal as a library: sessions and torrents on Deno.
 *
 * @example
 * ```ts
 * import { denoPlatform, parseMetainfo, Session } from "@shoal/shoal";
 *
 * const session = new Session({ platform: denoPlatform });
 * await session.start();
 * const torrent = await session.add(parseMetainfo(await Deno.readFile("debian.torrent")), { folder: "." });
 * session.subscribe((event) => console.log(event));
 * await torrent.finished;
 * await session.stop();
 * ```
 *
 * @module
 */

export { formatAddress, type PeerAddress } from "./base/address.ts";
export type { Bytes } from "./base/bytes.ts";
export { type ErrorKind, type ErrorParts, ShoalError } from "./base/errors.ts";
export { InfoHash } from "./base/info_hash.ts";
export { VERSION } from "./base/version.ts";
export { magnetOf, type Metainfo, MetainfoError, type MetainfoFile, parseMetainfo } from "./metainfo/mod.ts";
export { denoPlatform } from "./platform/deno_platform.ts";
export type { Platform } from "./platform/platform.ts";
export { type CreatedTorrent, type CreateOptions, createTorrent } from "./session/create.ts";
export { type AddOptions, Session, type SessionOptions, type Torrent } from "./session/session.ts";
export type * from "./session/types.ts";
export {
  type FileVerdict,
  type Verification,
  type VerifiedFile,
  verify,
  type VerifyOptions,
} from "./session/verify.ts";
