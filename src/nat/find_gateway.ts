/**
 * Finding a gateway that maps ports.
 *
 * The system knows its default router and its own addresses, but tells neither to a program without further permissions. So
 * we ask the local network: a multicast datagram to ourselves comes back from our own address on it, and gateways answer a
 * UPnP search. Those, and the two addresses that routers usually have, are asked in PCP and NAT-PMP, too.
 *
 * @module
 */

import { parseIp, type PeerAddress } from "../base/address.ts";
import { type Bytes, equalBytes } from "../base/bytes.ts";
import { messageOf } from "../base/errors.ts";
import { MAX_GATEWAY_DATAGRAM, MAX_GATEWAYS } from "../base/defences.ts";
import { isPrivate } from "../base/networks.ts";
import type { Platform, UdpSocket } from "../platform/platform.ts";
import { PortMapError } from "./errors.ts";
import type { Gateway, Mapping, MappingRequest } from "./gateway.ts";
import { PcpGateway } from "./pcp_gateway.ts";
import { encodeSearch, parseSearchReply, SEARCH_TARGETS, SSDP_GROUP, SSDP_PORT } from "./ssdp.ts";
import { UpnpGateway } from "./upnp_gateway.ts";

/** What is needed of the outside. */
export type NatPlatform = Pick<Platform, "now" | "after" | "net" | "http" | "random" | "randomBytes">;

/** Milliseconds until the datagram to ourselves must be back. */
const SELF_MS = 500;
/** Milliseconds between two searches: an answer may take one second (`MX`). */
const SEARCH_MS = 1_200;
/** Searches, since datagrams get lost. */
const SEARCHES = 2;
/** Bytes by which our own datagram is told from others. */
const TOKEN_LENGTH = 16;
/** The last bytes of the addresses that routers usually have. */
const USUAL_ROUTERS = [1, 254];

/** A gateway, and the first mapping that it made. */
export interface Found {
  readonly gateway: Gateway;
  readonly mapping: Mapping;
}

/** Options for {@linkcode findGateway}. */
export interface FindGatewayOptions {
  /** Our own IPv4 address on the local network. Found out by multicast when absent. */
  readonly bind?: string;
  /** Cancels the search. */
  readonly signal: AbortSignal;
  /** Called with each gateway before the mapping is requested from it. */
  readonly trying: (gateway: Gateway) => void;
}

/**
 * Finds a gateway and has it map a port. PCP and NAT-PMP come first: they say how long a mapping holds and belong to it by a
 * secret, UPnP is the one that most routers have.
 *
 * @param platform The outside.
 * @param request What to map.
 * @param options `bind`: our own address, when it is known. `signal`: gives up. `trying`: is told of every gateway before it
 * is asked for a mapping.
 * @returns The gateway and the mapping, or `null` when we are not behind one: our own address is public.
 * @throws {PortMapError} If there is no gateway, or none grants it.
 */
export async function findGateway(
  platform: NatPlatform,
  request: MappingRequest,
  options: FindGatewayOptions,
): Promise<Found | null> {
  const { signal, trying } = options;
  const client = options.bind ?? await ownAddress(platform, signal);
  if (client === null) throw new PortMapError("there is no local network with multicast");
  if (!isPrivate(client)) return null;
  const locations = await search(platform, { client, signal });
  if (signal.aborted) throw new PortMapError("the search was given up");
  const hosts = new Set(locations.map((location) => location.hostname));
  for (const host of usualRouters(client)) hosts.add(host);
  const pcp = [...hosts].slice(0, MAX_GATEWAYS + USUAL_ROUTERS.length).map((gateway) =>
    new PcpGateway(platform, { gateway, client })
  );
  // All at once, but only one after the other may come to a mapping: the first that answers.
  const problems: unknown[] = [];
  const answered = await firstOf(pcp, async (gateway, loser) => {
    trying(gateway);
    return { gateway, mapping: await gateway.map(request, AbortSignal.any([signal, loser])) };
  }, problems);
  if (answered !== null) return answered;
  for (const location of locations) {
    if (signal.aborted) break;
    try {
      const gateway = await UpnpGateway.open(platform, { location: location.href, client, signal });
      trying(gateway);
      return { gateway, mapping: await gateway.map(request, signal) };
    } catch (error) {
      problems.push(error);
    }
  }
  // A refusal tells more than silence.
  const told = problems.find((error) => error instanceof PortMapError && error.code !== null) ??
    (locations.length > 0 ? problems.at(-1) : undefined);
  if (told !== undefined) throw told;
  throw new PortMapError("no gateway answers, neither to UPnP nor to NAT-PMP nor to PCP");
}

/** The first that does it, and `null` when all failed; the others are called off. */
async function firstOf<T, R>(
  all: readonly T[],
  attempt: (one: T, loser: AbortSignal) => Promise<R>,
  problems: unknown[],
): Promise<R | null> {
  const loser = new AbortController();
  try {
    return await Promise.any(all.map((one) => attempt(one, loser.signal)));
  } catch (error) {
    if (!(error instanceof AggregateError)) throw error;
    problems.push(...error.errors);
    return null;
  } finally {
    loser.abort();
  }
}

function usualRouters(client: string): string[] {
  const [a, b, c, own] = parseIp(client)!;
  return USUAL_ROUTERS.filter((last) => last !== own).map((last) => `${a}.${b}.${c}.${last}`);
}

/**
 * Our own IPv4 address on the local network.
 *
 * @returns It, or `null` when there is no network with multicast, or it was given up.
 */
async function ownAddress(platform: NatPlatform, signal: AbortSignal): Promise<string | null> {
  const token = platform.randomBytes(TOKEN_LENGTH);
  let own: string | null = null;
  await listen(platform, { host: "0.0.0.0", join: true, ms: SELF_MS, signal }, {
    opened: (socket) => void socket.send(token, { host: SSDP_GROUP, port: socket.address.port }),
    received(bytes, from) {
      if (equalBytes(bytes, token)) own = from.host;
      return own !== null;
    },
  });
  return own;
}

/** Descriptions of gateways that answer. */
async function search(
  platform: NatPlatform,
  { client, signal }: { readonly client: string; readonly signal: AbortSignal },
): Promise<URL[]> {
  const found = new Map<string, URL>();
  for (let round = 0; round < SEARCHES && found.size === 0 && !signal.aborted; round++) {
    await listen(platform, { host: client, join: false, ms: SEARCH_MS, signal }, {
      opened(socket) {
        for (const target of SEARCH_TARGETS) {
          void socket.send(encodeSearch(target), { host: SSDP_GROUP, port: SSDP_PORT });
        }
      },
      received(bytes, from) {
        const location = isPrivate(from.host) ? parseSearchReply(bytes, from.host) : null;
        if (location !== null && found.size < MAX_GATEWAYS) found.set(location.href, location);
        return false;
      },
    });
  }
  return [...found.values()];
}

interface ListenOptions {
  /** Local IPv4 address of the socket. */
  readonly host: string;
  /** Whether to join the SSDP multicast group. */
  readonly join: boolean;
  /** Milliseconds to listen for. */
  readonly ms: number;
  /** Cancels listening. */
  readonly signal: AbortSignal;
}

interface ListenEvents {
  /** The socket is open. */
  opened(socket: UdpSocket): void;
  /** A datagram has arrived. Returns `true` to stop listening. */
  received(bytes: Bytes, from: PeerAddress): boolean;
}

/** Opens a socket, and takes what comes until somebody has heard enough or the time is over. */
async function listen(platform: NatPlatform, how: ListenOptions, on: ListenEvents): Promise<void> {
  if (how.signal.aborted) return;
  const socket = platform.net.openUdp({ host: how.host, port: 0, ...(how.join && { shared: true }) });
  const close = () => socket.close();
  const timer = platform.after(how.ms, close);
  how.signal.addEventListener("abort", close, { once: true });
  try {
    if (how.join) {
      try {
        await socket.join(SSDP_GROUP);
      } catch (error) {
        throw new PortMapError(`the local network has no multicast: ${messageOf(error)}`, { cause: error });
      }
    }
    on.opened(socket);
    const into = new Uint8Array(MAX_GATEWAY_DATAGRAM);
    for (let got = await socket.receive(into); got !== null; got = await socket.receive(into)) {
      if (on.received(into.subarray(0, got.length), got.from)) return;
    }
  } finally {
    timer.cancel();
    how.signal.removeEventListener("abort", close);
    close();
  }
}
