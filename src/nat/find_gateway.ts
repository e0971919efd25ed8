/**
 * Finds a gateway that maps ports.
 *
 * The system knows the default router and our own addresses, but a program needs further permissions to read them. We
 * therefore use the network: a multicast datagram to ourselves comes back from our own address, and UPnP gateways
 * answer an SSDP search. The gateways found, and the two addresses that routers usually have, are tried with PCP and
 * NAT-PMP as well.
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

/** The parts of the platform that port mapping uses. */
export type NatPlatform = Pick<Platform, "now" | "after" | "net" | "http" | "random" | "randomBytes">;

/** Milliseconds to wait for the multicast datagram to ourselves. */
const SELF_MS = 500;
/** Milliseconds per SSDP search. Gateways delay an answer by up to one second (`MX`). */
const SEARCH_MS = 1_200;
/** Number of SSDP searches, since datagrams get lost. */
const SEARCHES = 2;
/** Length of the random token by which our own multicast datagram is recognised, in bytes. */
const TOKEN_LENGTH = 16;
/** Last bytes of the addresses that routers usually have. */
const USUAL_ROUTERS = [1, 254];

/** A gateway, and its first mapping. */
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
 * Finds a gateway and maps a port on it. PCP and NAT-PMP are preferred: they grant a mapping for a definite time, and
 * PCP protects it with a nonce. UPnP is what most routers speak.
 *
 * @returns The gateway and the mapping, or `null` if our own address is public and needs no mapping.
 * @throws {PortMapError} If there is no gateway, or no gateway grants the mapping.
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
  // All gateways are asked at once. The first mapping wins, and the other requests are cancelled.
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
  // A refusal says more than a missing answer.
  const told = problems.find((error) => error instanceof PortMapError && error.code !== null) ??
    (locations.length > 0 ? problems.at(-1) : undefined);
  if (told !== undefined) throw told;
  throw new PortMapError("no gateway answers, neither to UPnP nor to NAT-PMP nor to PCP");
}

/** Runs all attempts at once and returns the first success, or `null` if all fail. Then cancels the other attempts. */
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
 * Finds our own IPv4 address on the local network.
 *
 * @returns The address, or `null` if the multicast datagram did not come back or the search was cancelled.
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

/** Returns the description URLs of the UPnP gateways that answer a search. */
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

/** Receives datagrams on a new socket until `received` returns `true` or the time is over. */
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
