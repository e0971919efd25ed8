/**
 * Options shared by the commands that connect to peers.
 *
 * @module
 */

import type { Command } from "commander";
import { type HostPort, parseIp, type PeerAddress } from "../base/address.ts";
import { messageOf, ShoalError } from "../base/errors.ts";
import type { Terminal } from "../platform/terminal.ts";
import type { DiscoveryOptions, EncryptionMode, SessionOptions } from "../session/session.ts";
import type { Context } from "./context.ts";
import {
  badValue,
  checkUrl,
  parseIpAddress,
  parsePort,
  parseRate,
  parseSize,
  parseWhole,
  readHostPort,
} from "./option_values.ts";

const ENCRYPTION_MODES: readonly EncryptionMode[] = ["off", "prefer", "require"];

/** Smallest accepted value of `--cache`, in bytes. */
const MIN_CACHE = 1024 * 1024;

/** Values of the options for finding peers, as commander collects them. */
export interface PeerOptions {
  readonly port?: number;
  readonly bind?: string;
  readonly peer?: readonly HostPort[];
  readonly blocklist?: string;
  readonly dht: boolean;
  readonly dhtBootstrap?: readonly HostPort[];
  readonly lsd: boolean;
  readonly pex: boolean;
}

/** Values of all network options, as commander collects them. */
export interface NetworkOptions extends PeerOptions {
  readonly maxPeers?: number;
  readonly maxDown?: number;
  readonly maxUp?: number;
  readonly cache?: number;
  readonly encryption?: EncryptionMode;
  readonly portMap: boolean;
  readonly json?: true;
  readonly quiet?: true;
  readonly verbose: number;
}

/**
 * Adds the options for finding peers.
 *
 * @param command The command.
 * @returns The same command.
 */
export function addPeerOptions(command: Command): Command {
  return command
    .option(
      "-p, --port <n>",
      "listen port; 0 for any (default: first free of 6881-6889)",
      (v) => parsePort(v, "--port"),
    )
    .option("--bind <ip>", "address to listen on and connect from", (v) => parseIpAddress(v, "--bind"))
    .option("--peer <host:port>", "a peer to try, repeatable", collectPeer)
    .option("--blocklist <file>", "file of addresses to block: P2P, .dat or CIDR lines, gzipped or not")
    .option("--no-dht", "do not use the DHT")
    .option(
      "--dht-bootstrap <host:port>",
      "a DHT node to start from, repeatable; replaces the built-in ones",
      collectNode,
    )
    .option("--no-pex", "do not ask peers for other peers")
    .option("--no-lsd", "do not look for peers in the local network")
    .option("--no-utp", "do not use uTP (this version has none)")
    .option("--no-port-map", "do not ask the router to forward the port (UPnP, NAT-PMP, PCP)");
}

/** Values of {@linkcode addTrackerOption}. */
export interface TrackerOptions {
  readonly tracker?: readonly (readonly string[])[];
}

/**
 * Adds `--tracker`.
 *
 * @param command The command.
 * @returns The same command.
 */
export function addTrackerOption(command: Command): Command {
  return command.option(
    "-t, --tracker <url>",
    "a tracker to announce to besides the torrent's own, repeatable",
    collectTracker,
  );
}

/**
 * Adds the options of a command that transfers data.
 *
 * @param command The command.
 * @returns The same command.
 */
export function addNetworkOptions(command: Command): Command {
  addPeerOptions(command)
    .option("--max-peers <n>", "connections per torrent (default: 100)", (value) => {
      return parseWhole(value, { flag: "--max-peers", min: 1, max: 10_000 });
    })
    .option(
      "--max-down <rate>",
      "download limit in bytes per second, like 500K or 5M; 0 for no limit (default)",
      (v) => {
        return parseRate(v, "--max-down");
      },
    )
    .option("--max-up <rate>", "upload limit in bytes per second, like 500K or 5M; 0 for no limit (default)", (v) => {
      return parseRate(v, "--max-up");
    })
    .option(
      "--encryption <off|prefer|require>",
      "how connections to peers are encrypted (default: prefer)",
      parseEncryption,
    )
    .option("--cache <size>", "memory for pieces in flight and for reading (default: 64M)", parseCache)
    .option("--json", "one JSON object a line on standard output")
    .option("-q, --quiet", "no progress; errors, and warnings that something is lost, on standard error")
    .option("-v, --verbose", "log lines on standard error; repeat for more", (_, count: number) => count + 1, 0);
  return command;
}

/**
 * Returns session options for finding peers.
 *
 * @param options Values of the options.
 * @returns The session options.
 */
export function peerSettings(options: PeerOptions, { platform, terminal }: Context): SessionOptions {
  return {
    platform,
    stateFolder: stateFolder(terminal),
    oneOff: true,
    portable: terminal.isWindows,
    discovery: discoveryOf(options),
    ...(options.port !== undefined && { port: options.port }),
    ...(options.bind !== undefined && { bind: options.bind }),
    ...(options.blocklist !== undefined && { blocklist: options.blocklist }),
  };
}

/**
 * Returns session options for transferring data.
 *
 * @param options Values of the options.
 * @returns The session options.
 */
export function sessionOptions(options: NetworkOptions, context: Context): SessionOptions {
  const settings = peerSettings(options, context);
  return {
    ...settings,
    discovery: { ...settings.discovery, portMap: options.portMap },
    ...(options.maxPeers !== undefined && { maxPeers: options.maxPeers }),
    ...(options.maxDown !== undefined && { maxDown: options.maxDown || null }),
    ...(options.maxUp !== undefined && { maxUp: options.maxUp || null }),
    ...(options.encryption !== undefined && { encryption: options.encryption }),
    ...(options.cache !== undefined && { cacheBytes: options.cache }),
  };
}

/**
 * Resolves the addresses of peers that the user named.
 *
 * @param peers Hosts; a host may be a name.
 * @returns Literal addresses, all of each name.
 * @throws {ShoalError} Of kind `network` if a name can't be resolved.
 */
export async function resolvePeers(
  peers: readonly HostPort[],
  { platform }: Pick<Context, "platform">,
): Promise<PeerAddress[]> {
  const found = await Promise.all(peers.map(async ({ host, port }) => {
    if (parseIp(host) !== null) return [{ host, port }];
    try {
      return (await platform.net.resolve(host)).map((address) => ({ host: address, port }));
    } catch (error) {
      throw new ShoalError("network", {
        what: "cannot find the peer",
        where: host,
        why: messageOf(error),
        cause: error,
      });
    }
  }));
  return found.flat();
}

function discoveryOf({ dht, dhtBootstrap, lsd, pex }: PeerOptions): DiscoveryOptions {
  return { lsd, pex, ...(dht && { dht: dhtBootstrap === undefined ? {} : { bootstrap: dhtBootstrap } }) };
}

function collectNode(value: string, nodes: readonly HostPort[] = []): readonly HostPort[] {
  return [...nodes, readHostPort(value, "--dht-bootstrap")];
}

function collectPeer(value: string, peers: readonly HostPort[] = []): readonly HostPort[] {
  return [...peers, readHostPort(value, "--peer")];
}

function collectTracker(value: string, tiers: readonly (readonly string[])[] = []): readonly (readonly string[])[] {
  const urls = value.split(",").map((url) => url.trim());
  for (const url of urls) checkUrl(url, { flag: "--tracker", value, schemes: ["http:", "https:", "udp:"] });
  return [...tiers, urls];
}

function parseEncryption(value: string): EncryptionMode {
  const mode = ENCRYPTION_MODES.find((one) => one === value);
  if (mode !== undefined) return mode;
  throw badValue("--encryption", { value, why: "off, prefer or require was expected" });
}

function parseCache(value: string): number {
  const bytes = parseSize(value, "--cache");
  if (bytes >= MIN_CACHE) return bytes;
  throw new ShoalError("usage", { what: "bad value", where: `--cache ${value}`, why: "at least 1M is needed" });
}

/**
 * Returns the folder for state that is kept between runs.
 *
 * @param terminal Environment variables.
 * @returns `shoal` below `XDG_STATE_HOME`, below `~/.local/state`, or on Windows below `LOCALAPPDATA`; `null` if none
 * of these variables is set, so that no state is kept.
 */
export function stateFolder(terminal: Pick<Terminal, "env" | "isWindows">): string | null {
  const xdg = terminal.env("XDG_STATE_HOME");
  // The XDG specification says to ignore a relative path.
  if (xdg?.startsWith("/")) return `${xdg}/shoal`;
  if (terminal.isWindows) {
    const local = terminal.env("LOCALAPPDATA");
    return local ? `${local}\\shoal` : null;
  }
  const home = terminal.env("HOME");
  return home ? `${home}/.local/state/shoal` : null;
}
