/**
 * Fetches the metadata of a magnet link from peers, without downloading the torrent.
 *
 * @module
 */

import { ShoalError } from "../base/errors.ts";
import type { Magnet, Metainfo } from "../metainfo/mod.ts";
import type { Timer } from "../platform/platform.ts";
import { isSameReason } from "../session/session_events.ts";
import { formatDuration } from "../ui/format.ts";
import { printable } from "../ui/printable.ts";
import type { Context } from "./context.ts";
import type { TorrentLike } from "./engine.ts";
import { type PeerOptions, peerSettings, resolvePeers, type TrackerOptions } from "./network_options.ts";

/** Milliseconds after which the user is told that peers are asked. */
const TELL_MS = 500;
/** Milliseconds after which the user is told why nothing arrives, and between two times. */
const EXPLAIN_MS = 5_000;
/** Longest time to stop the session, in milliseconds. Trackers are sent `stopped`. */
const STOP_MS = 2_500;
/** Default timeout, in seconds. */
const PATIENCE_SECONDS = 120;
/** Most reasons that the timeout error names. */
const MAX_TOLD = 2;

/** Options for {@linkcode fetchMetadata}. */
export interface FetchMetadataOptions {
  /** Options for finding peers. */
  readonly network: PeerOptions & TrackerOptions;
  /** Seconds to wait for the metadata (default 120). */
  readonly timeout?: number | undefined;
  /** Whether to print no message while waiting. */
  readonly quiet: boolean;
}

/**
 * Fetches the metadata of a magnet link.
 *
 * @param magnet The link.
 * @param options See {@linkcode FetchMetadataOptions}.
 * @param context The environment.
 * @returns The torrent.
 * @throws {ShoalError} Of kind `timeout` if no peer sends the metadata in time.
 */
export async function fetchMetadata(
  magnet: Magnet,
  options: FetchMetadataOptions,
  context: Context,
): Promise<Metainfo> {
  const { engine, shutdown, platform, terminal } = context;
  const { network, timeout = PATIENCE_SECONDS, quiet } = options;
  shutdown.listen();
  const peers = await shutdown.raceShutdown(resolvePeers(network.peer ?? [], context));
  const session = await engine.createSession(peerSettings(network, context));
  const late = Promise.withResolvers<never>();
  late.promise.catch(() => {}); // the timeout may come before the promise is awaited
  // Failures of the link's other sources are only kept for the timeout error, since a peer may still send the metadata.
  const failed = new Map<string, string>();
  const unsubscribe = session.subscribe((event) => {
    if (event.event === "warning" && event.infohash === magnet.infoHash.hex) failed.set(event.where, event.message);
  });
  const reasons = () => {
    const told = [...failed].map(([where, message]) => `${where}: ${message}`);
    const waiting = magnet.exactSources.filter((url) => !failed.has(url)).map((url) =>
      `${url} has not answered so far`
    );
    return [...told, ...waiting].slice(0, MAX_TOLD);
  };
  let torrent: TorrentLike | null = null;
  let telling: Timer | null = null;
  let explained: string | null = null;
  const explain = () => {
    telling = platform.after(EXPLAIN_MS, explain);
    const waiting = torrent?.snapshot().waiting ?? null;
    if (waiting === null || isSameReason(waiting, explained)) return;
    explained = waiting;
    void terminal.stderr.write(`${printable(waiting)}\n`);
  };
  const tell = () => {
    void terminal.stderr.write("asking peers for the metadata\n");
    telling = platform.after(EXPLAIN_MS, explain);
  };
  const timer = platform.after(timeout * 1000, () =>
    late.reject(
      new ShoalError("timeout", {
        what: "gave up",
        where: magnet.displayName ?? magnet.infoHash.hex,
        why: [
          `no peer sent the metadata within ${formatDuration(timeout)}`,
          ...[torrent?.snapshot().waiting ?? []].flat(),
          ...reasons(),
        ].join("; "),
        hint: "wait longer with --timeout, or name a peer with --peer",
      }),
    ));
  try {
    await session.start();
    // Metadata that is kept from an earlier run arrives at once.
    if (!quiet) telling = platform.after(TELL_MS, tell);
    torrent = await session.add(magnet, {
      folder: ".",
      peers,
      metadataOnly: true,
      ...(network.tracker && { trackers: network.tracker }),
    });
    return await shutdown.raceShutdown(Promise.race([torrent.metadata, late.promise]));
  } finally {
    unsubscribe();
    timer.cancel();
    telling?.cancel();
    await session.stop(STOP_MS);
  }
}
