/**
 * `--stream`: serves the files of a transfer over HTTP.
 *
 * @module
 */

import { ShoalError } from "../base/errors.ts";
import { ListenError } from "../platform/listen_error.ts";
import type { StreamServer, StreamUrls } from "../stream/stream_server.ts";
import type { View } from "../ui/view.ts";
import type { Context } from "./context.ts";
import type { TorrentLike } from "./engine.ts";
import { badValue, parsePort } from "./option_values.ts";

/** Default port, as in webtorrent-cli. Any free port is used if it is taken. */
const DEFAULT_PORT = 8000;

/** Value of `--stream`. */
export interface StreamOption {
  /** Port; `null` for the default port, or any port if that is taken. */
  readonly port: number | null;
}

/** A running stream server. */
export interface Streaming {
  /** Serves a torrent once its metadata is known, and tells the view its URLs. Never throws. */
  add(torrent: TorrentLike): void;
  /** Stops the server. */
  close(): Promise<void>;
}

/**
 * Parses the value of `--stream [port]`.
 *
 * @param value The text after `--stream`.
 * @returns The port.
 * @throws {ShoalError} Of kind `usage` if the value is not a port, for example a source.
 */
export function parseStreamPort(value: string): number {
  if (/^\d+$/.test(value)) return parsePort(value, "--stream");
  throw badValue("--stream", { value, why: "a port was expected; what is to be downloaded goes before --stream" });
}

/**
 * Converts the value of `--stream` as commander returns it.
 *
 * @param option A port; `true` without a port, `false` if `--no-stream` took the option back.
 * @returns What to serve; `null` for nothing.
 */
export function streamWish(option: number | boolean | undefined): StreamOption | null {
  if (option === undefined || option === false) return null;
  return { port: option === true ? null : option };
}

/** Options for {@linkcode startStreaming}. */
export interface StartStreamingOptions {
  /** The environment. */
  readonly context: Context;
  /** View that shows the URLs and warnings. */
  readonly view: Pick<View, "event">;
}

/**
 * Starts a stream server on the loopback address. `--bind` is ignored, so that what the user watches stays private.
 *
 * @param wish Where to listen.
 * @param parts See {@linkcode StartStreamingOptions}.
 * @returns The server.
 * @throws {ShoalError} Of kind `network` if the port is taken.
 */
export async function startStreaming(
  wish: StreamOption,
  { context, view }: StartStreamingOptions,
): Promise<Streaming> {
  const warn = (message: string) => view.event({ event: "warning", infohash: null, message, where: "--stream" });
  const server = await start(wish, { context, warn });
  const tell = (torrent: TorrentLike, urls: StreamUrls) => {
    const { infoHash: { hex: infohash }, name } = torrent.snapshot();
    view.event({ event: "stream", infohash, name, ...urls });
  };
  return {
    add(torrent) {
      // A torrent that ends before its metadata is known reports that itself.
      server.add(torrent).then((urls) => tell(torrent, urls), () => {});
    },
    close: () => server.close(),
  };
}

async function start(
  { port }: StreamOption,
  { context: { platform }, warn }: { readonly context: Context; readonly warn: (message: string) => void },
): Promise<StreamServer> {
  const { StreamServer } = await import("../stream/stream_server.ts");
  if (port !== null) {
    try {
      return StreamServer.start(platform, { port, warn });
    } catch (error) {
      throw error instanceof ListenError ? error.withPortFlag("--stream") : error;
    }
  }
  try {
    return StreamServer.start(platform, { port: DEFAULT_PORT, warn });
  } catch (error) {
    if (error instanceof ShoalError) return StreamServer.start(platform, { port: 0, warn });
    throw error;
  }
}
