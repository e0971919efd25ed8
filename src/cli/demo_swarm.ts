/**
 * The swarm that `shoal demo` downloads from: a payload, a tracker, seeders, and a rival.
 *
 * @module
 */

import { type Bytes, toHex } from "../base/bytes.ts";
import { encodeSingleFile } from "../metainfo/encode_torrent.ts";
import { type Metainfo, parseMetainfo } from "../metainfo/mod.ts";
import type { FileHandle, Platform } from "../platform/platform.ts";
import type { Session } from "../session/session.ts";
import type { TrackerServer } from "../tracker_server/server.ts";

/** Everything happens on this address. */
export const LOOPBACK = "127.0.0.1";
const SEEDERS = 3;
const PIECE_LENGTH = 512 * 1024;
/** Memory for each of the others, in bytes; they share a process with the download that is shown. */
const HELPER_CACHE = 16 * 1024 * 1024;
/** Seconds between announces: the swarm is small and short-lived. */
const ANNOUNCE_SECONDS = 5;

/** A swarm on this machine. */
export interface DemoSwarm {
  /** What it shares. */
  readonly meta: Metainfo;
  /** SHA-256 of the original, hexadecimal. */
  readonly sha256: string;
  /** Who listens at which `host:port`. */
  readonly names: ReadonlyMap<string, string>;
  /** Ends it. The files stay. */
  close(): Promise<void>;
}

/** What a {@linkcode DemoSwarm} is made of. */
export interface DemoSwarmOptions {
  /** For the files. */
  readonly folder: string;
  /** Of the payload, in bytes. */
  readonly size: number;
  /** Gives up while the payload is being made. */
  readonly signal: AbortSignal;
}

/**
 * Makes a payload and starts a swarm that has it.
 *
 * @param platform The outside.
 * @param options See {@linkcode DemoSwarmOptions}.
 * @returns The swarm, at work.
 * @throws The signal's reason, when it is aborted.
 */
export async function startDemoSwarm(platform: Platform, options: DemoSwarmOptions): Promise<DemoSwarm> {
  const [{ Session }, { TrackerServer }] = await Promise.all([
    import("../session/session.ts"),
    import("../tracker_server/server.ts"),
  ]);
  const source = `${options.folder}/original`;
  const tracker = TrackerServer.start(platform, { host: LOOPBACK, port: 0, interval: ANNOUNCE_SECONDS });
  const sessions: Session[] = [];
  const names = new Map<string, string>();
  const close = () => stopAll(tracker, sessions);
  try {
    await platform.files.makeFolder(source);
    const { meta, sha256 } = await makePayload(platform, { ...options, source, announce: `${tracker.url}` });
    const join = async (name: string, add: Parameters<Session["add"]>[1]) => {
      const session = new Session({ platform, port: 0, bind: LOOPBACK, cacheBytes: HELPER_CACHE });
      sessions.push(session);
      await session.start();
      names.set(`${LOOPBACK}:${session.port}`, name);
      return await session.add(meta, add);
    };
    for (let i = 1; i <= SEEDERS; i++) {
      const seeder = await join(`seeder ${i}`, { folder: source, seedOnly: true, trust: true });
      await seeder.finished;
    }
    await join("the other leecher", { folder: `${options.folder}/rival` });
    return { meta, sha256, names, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/**
 * The SHA-256 of a file.
 *
 * @param platform The outside.
 * @param options `path`: of the file. `signal`: gives up.
 * @returns 64 hexadecimal digits.
 * @throws The signal's reason, when it is aborted.
 */
export async function sha256OfFile(
  platform: Platform,
  { path, signal }: { readonly path: string; readonly signal: AbortSignal },
): Promise<string> {
  const file = await platform.files.open(path, "read");
  try {
    const hash = platform.digest("sha256");
    const part: Bytes = new Uint8Array(PIECE_LENGTH);
    for (let at = 0;;) {
      signal.throwIfAborted();
      const count = await file.read(part, at);
      if (count === 0) return toHex(hash.digest());
      hash.update(part.subarray(0, count));
      at += count;
    }
  } finally {
    await file.close();
  }
}

async function stopAll(tracker: TrackerServer, sessions: readonly Session[]): Promise<void> {
  await Promise.all(sessions.map((session) => session.stop()));
  await tracker.close();
}

async function makePayload(
  platform: Platform,
  options: DemoSwarmOptions & { readonly source: string; readonly announce: string },
): Promise<{ meta: Metainfo; sha256: string }> {
  const name = "shoal-demo.bin";
  const file = await platform.files.open(`${options.source}/${name}`, "write");
  try {
    const { digests, sha256 } = await fill(platform, { ...options, file });
    const { announce, size: length } = options;
    const torrent = encodeSingleFile({ name, length, pieceLength: PIECE_LENGTH, digests, announce });
    return { meta: parseMetainfo(torrent, { source: "demo" }), sha256 };
  } finally {
    await file.close();
  }
}

/** Writes random bytes, hashing them on the way. */
async function fill(
  platform: Platform,
  { file, size, signal }: DemoSwarmOptions & { readonly file: FileHandle },
): Promise<{ digests: Bytes[]; sha256: string }> {
  const digests: Bytes[] = [];
  const whole = platform.digest("sha256");
  for (let at = 0; at < size; at += PIECE_LENGTH) {
    signal.throwIfAborted();
    const piece = platform.randomBytes(Math.min(PIECE_LENGTH, size - at));
    whole.update(piece);
    digests.push(await platform.sha1(piece));
    await file.write(piece, at);
  }
  return { digests, sha256: toHex(whole.digest()) };
}
