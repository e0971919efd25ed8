/**
 * The swarm that `shoal demo` downloads from: a payload, a tracker, seeders, and another leecher.
 *
 * @module
 */

import { type Bytes, toHex } from "../base/bytes.ts";
import { encodeSingleFile } from "../metainfo/encode_torrent.ts";
import { type Metainfo, parseMetainfo } from "../metainfo/mod.ts";
import type { FileHandle, Platform } from "../platform/platform.ts";
import type { Session } from "../session/session.ts";
import type { TrackerServer } from "../tracker_server/server.ts";

/** Address that all parts of the demo use. */
export const LOOPBACK = "127.0.0.1";
const SEEDERS = 3;
const PIECE_LENGTH = 512 * 1024;
/** Cache of each helper session, in bytes. The helpers share a process with the download that is shown. */
const HELPER_CACHE = 16 * 1024 * 1024;
/** Announce interval, in seconds. Short, because the swarm is small and short-lived. */
const ANNOUNCE_SECONDS = 5;

/** A running swarm on this machine. */
export interface DemoSwarm {
  /** Torrent that the swarm shares. */
  readonly meta: Metainfo;
  /** SHA-256 of the original, as 64 hexadecimal digits. */
  readonly sha256: string;
  /** Name of each helper, by the `host:port` that it listens on. */
  readonly names: ReadonlyMap<string, string>;
  /** Stops the swarm. The files stay. */
  close(): Promise<void>;
}

/** Options for {@linkcode startDemoSwarm}. */
export interface DemoSwarmOptions {
  /** Folder for the files of the swarm. */
  readonly folder: string;
  /** Size of the payload, in bytes. */
  readonly size: number;
  /** Download limit of the other leecher, in bytes per second; `null` for none. */
  readonly maxDown: number | null;
  /** Stops making the payload when aborted. */
  readonly signal: AbortSignal;
}

/**
 * Makes a payload and starts a swarm that shares it.
 *
 * @param platform Clocks, network, files.
 * @param options See {@linkcode DemoSwarmOptions}.
 * @returns The running swarm.
 * @throws The signal's reason if the signal is aborted.
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
    const join = async (name: string, add: Parameters<Session["add"]>[1], maxDown: number | null = null) => {
      const session = new Session({ platform, port: 0, bind: LOOPBACK, cacheBytes: HELPER_CACHE, maxDown });
      sessions.push(session);
      await session.start();
      names.set(`${LOOPBACK}:${session.port}`, name);
      return await session.add(meta, add);
    };
    for (let i = 1; i <= SEEDERS; i++) {
      const seeder = await join(`seeder ${i}`, { folder: source, seedOnly: true, trust: true });
      await seeder.finished;
    }
    await join("the other leecher", { folder: `${options.folder}/rival` }, options.maxDown);
    return { meta, sha256, names, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Options for {@linkcode sha256OfFile}. */
export interface Sha256Options {
  /** Path of the file. */
  readonly path: string;
  /** Stops hashing when aborted. */
  readonly signal: AbortSignal;
}

/**
 * Computes the SHA-256 of a file.
 *
 * @param platform Hashes and files.
 * @param options See {@linkcode Sha256Options}.
 * @returns 64 hexadecimal digits.
 * @throws The signal's reason if the signal is aborted.
 */
export async function sha256OfFile(platform: Platform, { path, signal }: Sha256Options): Promise<string> {
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

/** Writes random bytes and hashes them. */
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
