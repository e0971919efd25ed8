/**
 * What is known about peers that aren't connected: how many there are, and how connections to them failed.
 *
 * @module
 */

import { formatAddress } from "../../base/address.ts";
import type { Candidate } from "./candidates.ts";
import type { DialFault } from "./dial_fault.ts";

/** Known peers that aren't connected, at one moment. */
export interface AddressFacts {
  /** Addresses that are being dialled or may be dialled, now or later. */
  readonly known: number;
  /** Number of these that are being dialled. */
  readonly dialling: number;
  /** Number of these that may be dialled now. */
  readonly ready: number;
  /** Number of these whose last connection failed, by the kind of failure. */
  readonly faults: Readonly<Record<DialFault, number>>;
  /** Seconds until the next address that has failed is dialled again; `null` if none has failed. */
  readonly secondsUntilNext: number | null;
  /** `host:port` of the only known address; `null` if there is another number of them. */
  readonly only: string | null;
  /** Number of addresses that were named and are on the blocklist. */
  readonly blocked: number;
}

/**
 * Describes candidates.
 *
 * @param candidates All candidates of a torrent, including connected ones, which are left out.
 * @param options The time in milliseconds, and the number of addresses on the blocklist.
 */
export function addressFacts(
  candidates: Iterable<Candidate>,
  { now, blocked }: { readonly now: number; readonly blocked: number },
): AddressFacts {
  const faults: Record<DialFault, number> = { refused: 0, silent: 0, unreachable: 0, ended: 0 };
  let [known, dialling, ready, next] = [0, 0, 0, Infinity];
  let only: Candidate | null = null;
  for (const candidate of candidates) {
    if (candidate.state === "connected" || candidate.unneeded) continue;
    known++;
    only = candidate;
    if (candidate.state === "dialling") dialling++;
    else if (candidate.nextTry <= now) ready++;
    if (candidate.fault === null) continue;
    faults[candidate.fault]++;
    if (candidate.state === "idle") next = Math.min(next, candidate.nextTry);
  }
  return {
    known,
    dialling,
    ready,
    faults,
    secondsUntilNext: next === Infinity ? null : Math.max(0, next - now) / 1000,
    only: known === 1 ? formatAddress(only!.address) : null,
    blocked,
  };
}
