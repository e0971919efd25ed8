/**
 * `--stream`: the files of a transfer over HTTP.
 *
 * @module
 */

import { ShoalError } from "../base/errors.ts";
import type { StreamServer, StreamUrls } from "../stream/stream_server.ts";
import type { View } from "../ui/view.ts";
import type { Context } from "./context.ts";
import type { TorrentLike } from "./engine.ts";
import { badValue, parsePort } from "./option_values.ts";

/** Port when none is asked for; any other one if it is taken. webtorrent-cli has the same. */
const DEFAULT_PORT = 8000;

/** What `--stream` asks for. */
export interface StreamWish {
  /** Port; `null` for the usual one, or any. */
  readonly port: number | null;
}

/** Serves what is downloaded. */
export interface Streaming {
  /** Serves a torrent as soon as it is known what it holds, and says where. Never fails. */
  add(torrent: TorrentLike): void;
  /** Ends it. */
  close(): Promise<void>;
}

/**
 * The value of `--stream [port]`.
 *
 * @param value What follows it.
 * @returns The port.
 * @throws {ShoalError} If it is none: a source, perhaps.
 */
export function parseStreamPort(value: string): number {
  if (/^\d+$/.test(value)) return parsePort(value, "--stream");
  throw badValue("--stream", { value, why: "a port was expected; what is to be downloaded goes before --stream" });
}

/**
 * What an option asks for.
 *
 * @param option As commander gives it: `true` when there is no port, `false` when it was taken back.
 * @returns The wish, or `null`.
 */
export function streamWish(option: number | boolean | undefined): StreamWish | null {
  if (option === undefined || option === false) return null;
  return { port: option === true ? null : option };
}

/**
 * Starts to serve, on this machine's own address: what somebody watches is nobody else's business, so that `--bind` doesn't count.
 *
 * @param wish Where.
 * @param parts `context`: the surroundings. `view`: is told the addresses.
 * @returns The server.
 * @throws {ShoalError} Of kind `network` if the port is taken.
 */
export async function startStreaming(
  wish: StreamWish,
  { context, view }: { readonly context: Context; readonly view: Pick<View, "event"> },
): Promise<Streaming> {
  const warn = (message: string) => view.event({ event: "warning", infohash: null, message, where: "--stream" });
  const server = await start(wish, { context, warn });
  const tell = (torrent: TorrentLike, urls: StreamUrls) => {
    const { infoHash: { hex: infohash }, name } = torrent.snapshot();
    view.event({ event: "stream", infohash, name, ...urls });
  };
  return {
    add(torrent) {
      // A torrent that ends before its metadata is here says so itself.
      server.add(torrent).then((urls) => tell(torrent, urls), () => {});
    },
    close: () => server.close(),
  };
}

async function start(
  { port }: StreamWish,
  { context: { platform }, warn }: { readonly context: Context; readonly warn: (message: string) => void },
): Promise<StreamServer> {
  const { StreamServer } = await import("../stream/stream_server.ts");
  if (port !== null) return StreamServer.start(platform, { port, warn });
  try {
    return StreamServer.start(platform, { port: DEFAULT_PORT, warn });
  } catch (error) {
    if (error instanceof ShoalError) return StreamServer.start(platform, { port: 0, warn });
    throw error;
  }
}
