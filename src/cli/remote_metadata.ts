/**
 * What a magnet link stands for, asked of peers and nothing more.
 *
 * @module
 */

import { ShoalError } from "../base/errors.ts";
import type { Magnet, Metainfo } from "../metainfo/mod.ts";
import { formatDuration } from "../ui/format.ts";
import type { Context } from "./context.ts";
import { type PeerOptions, peerSettings, resolvePeers } from "./network_options.ts";

/** Milliseconds that stopping may take: trackers are told that we leave. */
const STOP_MS = 2_500;
/** Seconds to wait for the metadata when the user doesn't say. */
const PATIENCE_SECONDS = 120;
/** Reasons that are told when nobody gave it. */
const MAX_TOLD = 2;

/**
 * Gets the metadata.
 *
 * @param magnet The link.
 * @param options `network`: values of the options. `timeout`: seconds to wait. `quiet`: says nothing meanwhile.
 * @param context The surroundings.
 * @returns The torrent.
 * @throws {ShoalError} Of kind `timeout` if nobody gives it in time.
 */
export async function fetchMetadata(
  magnet: Magnet,
  options: { readonly network: PeerOptions; readonly timeout?: number | undefined; readonly quiet: boolean },
  context: Context,
): Promise<Metainfo> {
  const { engine, shutdown, platform, terminal } = context;
  const { network, timeout = PATIENCE_SECONDS, quiet } = options;
  shutdown.listen();
  const peers = await shutdown.unlessLeaving(resolvePeers(network.peer ?? [], context));
  const session = await engine.createSession(peerSettings(network, context));
  const late = Promise.withResolvers<never>();
  late.promise.catch(() => {}); // it may come before anybody waits for it
  // What else the link names is of no concern as long as somebody may still give the metadata.
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
  const timer = platform.after(timeout * 1000, () =>
    late.reject(
      new ShoalError("timeout", {
        what: "gave up",
        where: magnet.displayName ?? magnet.infoHash.hex,
        why: [`nobody gave the metadata within ${formatDuration(timeout)}`, ...reasons()].join("; "),
        hint: "wait longer with --timeout, or name a peer with --peer",
      }),
    ));
  try {
    await session.start();
    if (!quiet) await terminal.stderr.write("asking peers for the metadata\n");
    const torrent = await session.add(magnet, { folder: ".", peers, metadataOnly: true });
    return await shutdown.unlessLeaving(Promise.race([torrent.metadata, late.promise]));
  } finally {
    unsubscribe();
    timer.cancel();
    await session.stop(STOP_MS);
  }
}
