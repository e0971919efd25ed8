/**
 * Phrases about peers that aren't connected, and about the sources that name them: parts of the sentence in
 * `waiting.ts`. Pure.
 *
 * @module
 */

import type { AddressFacts } from "./peers/address_facts.ts";
import { plural } from "../base/plural.ts";
import type { DialFault } from "./peers/dial_fault.ts";
import type { DhtSource, TrackerSource } from "./torrent_sources.ts";
import type { WebSeedSource } from "./web_seeds/web_seed.ts";

/** Seconds that the DHT may take to join before it is said that no node answers. */
const JOIN_S = 10;
/** Characters of a tracker's or server's own words. */
const MAX_WORDS = 80;

/** What was found so far. */
export interface FoundSoFar {
  /** `true` if peers are known that aren't connected. */
  readonly hasAddresses: boolean;
}

/**
 * Describes a number of seconds.
 *
 * @param seconds Seconds; a fraction counts as a whole.
 * @returns Text such as `12 s`, `3 min` or `5 h`.
 */
export function inWords(seconds: number): string {
  const whole = Math.max(1, Math.ceil(seconds));
  if (whole < 100) return `${whole} s`;
  if (whole < 100 * 60) return `${Math.round(whole / 60)} min`;
  return whole < 100 * 3600 ? `${Math.round(whole / 3600)} h` : `${Math.round(whole / 86400)} d`;
}

/** Describes known peers that aren't connected; `null` if there are none. */
export function addressesPhrase(facts: AddressFacts): string | null {
  const { known, dialling, ready, only, secondsUntilNext } = facts;
  if (known === 0) return null;
  const faults = FAULT_ORDER.filter((fault) => facts.faults[fault] > 0);
  const failed = faults.reduce((sum, fault) => sum + facts.faults[fault], 0);
  if (failed === 0) {
    if (dialling > 0) return `connecting to ${only ?? plural(dialling, "address")}`;
    return ready > 0 ? `${plural(ready, "address")} to try, as soon as a connection is free` : null;
  }
  const again = dialling > 0
    ? "trying again"
    : secondsUntilNext !== null && secondsUntilNext > 0
    ? `tried again in ${inWords(secondsUntilNext)}`
    : "tried again";
  if (failed === 1) return `${only ?? "1 address"} ${FAULT_WORDS[faults[0]!]}, ${again}`;
  if (faults.length === 1) return `${failed} addresses ${FAULT_WORDS[faults[0]!]}, ${again}`;
  const each = faults.map((fault) => `${facts.faults[fault]} ${FAULT_WORDS[fault]}`).join(", ");
  return `${failed} addresses: ${each}, ${again}`;
}

const FAULT_ORDER: readonly DialFault[] = ["refused", "silent", "unreachable", "ended"];
const FAULT_WORDS: Readonly<Record<DialFault, string>> = {
  refused: "refused the connection",
  silent: "did not answer",
  unreachable: "could not be reached",
  ended: "ended the connection",
};

/** Describes what trackers said, and when they are asked again; `null` if that says nothing new. */
export function trackersPhrase(trackers: readonly TrackerSource[], { hasAddresses }: FoundSoFar): string | null {
  const failed = trackers.filter(({ status }) => status === "error");
  const answered = trackers.filter(({ status }) => status === "ok" || status === "warning");
  const helpful = answered.filter(({ others }) => others);
  const empty = answered.filter(({ others }) => !others);
  const fresh = trackers.filter(({ status, state }) => status === null && state === "announcing");
  if (hasAddresses && helpful.length > 0) return null; // what came of the peers that were named says more
  const parts = [
    ...group(failed, (host) => `${host} ${failureWords(failed[0]!)}`, () => failedTrackers(failed)),
    ...group(
      helpful,
      (host) => `${host} named ${plural(helpful[0]!.peers ?? 0, "peer")}`,
      (n) => `${n} trackers named peers`,
    ),
    ...group(empty, (host) => `${host} knows no other peer`, (n) => `${n} trackers know no other peer`),
    ...group(fresh, (host) => `asking ${host}`, (n) => `asking ${n} trackers`),
  ];
  if (parts.length === 0) return null;
  const next = soonest(trackers.map(({ secondsUntilNext }) => secondsUntilNext));
  const isAsking = trackers.some(({ state, status }) => state === "announcing" && status !== null);
  const again = isAsking ? ", being asked again" : next === null ? "" : `, asked again in ${inWords(next)}`;
  return parts.join(", ") + again;
}

function group(
  trackers: readonly TrackerSource[],
  one: (host: string) => string,
  several: (count: number) => string,
): string[] {
  if (trackers.length === 0) return [];
  return [trackers.length === 1 ? one(hostOf(trackers[0]!.url)) : several(trackers.length)];
}

function failedTrackers(failed: readonly TrackerSource[]): string {
  if (failed.every(isSilent)) return `${failed.length} trackers have not answered`;
  const told = failed.find((tracker) => !isSilent(tracker))!;
  return `${failed.length} trackers failed (${hostOf(told.url)}: ${clipped(told.message)})`;
}

function failureWords(tracker: TrackerSource): string {
  return isSilent(tracker) ? "has not answered" : `failed: ${clipped(tracker.message)}`;
}

function isSilent({ message }: TrackerSource): boolean {
  return message.startsWith("no answer within");
}

/** Describes how it goes with the DHT; `null` if that says nothing new. */
export function dhtPhrase(dht: DhtSource, { hasAddresses }: FoundSoFar): string | null {
  const { state, nodes, last, secondsSinceStart, secondsUntilNext } = dht;
  if (state === "stopped") return null;
  const again = secondsUntilNext === null ? "" : `, asked again in ${inWords(secondsUntilNext)}`;
  if (nodes === 0) return secondsSinceStart < JOIN_S ? "DHT: joining" : "DHT: no node answers";
  if (state === "joining") return `DHT: joining, ${plural(nodes, "node")} so far`;
  if (last === null) return state === "asking" ? `DHT: asking ${plural(nodes, "node")}` : null;
  if (last.answered === 0) return `DHT: no node answers${again}`;
  if (hasAddresses) return null;
  // One of the peers that nodes name may be ourselves.
  return last.peers === 0 ? `DHT: no peer known${again}` : `DHT: no usable peer known${again}`;
}

/** Describes web seeds that fail; `null` if none does. */
export function webSeedsPhrase(seeds: readonly WebSeedSource[]): string | null {
  const failed = seeds.filter(({ status }) => status === "failed");
  const givenUp = seeds.filter(({ status }) => status === "given up");
  const next = soonest(failed.map(({ secondsUntilNext }) => secondsUntilNext));
  const parts = [
    ...failedWebSeeds(failed, next === null ? "" : `, tried again in ${inWords(next)}`),
    ...failedWebSeeds(givenUp, ", given up"),
  ];
  return parts.length === 0 ? null : parts.join(", ");
}

function failedWebSeeds(seeds: readonly WebSeedSource[], outcome: string): string[] {
  if (seeds.length === 0) return [];
  const { url, message } = seeds[0]!;
  const host = hostOf(url);
  // Some failures begin with the host that was asked.
  const why = clipped(message.startsWith(`${host}: `) ? message.slice(host.length + 2) : message);
  return [
    `${
      seeds.length === 1 ? `web seed ${host}: ${why}` : `${seeds.length} web seeds failed (${host}: ${why})`
    }${outcome}`,
  ];
}

function soonest(times: readonly (number | null)[]): number | null {
  const known = times.filter((time) => time !== null);
  return known.length === 0 ? null : Math.min(...known);
}

/** Returns the host and port of a URL without secrets. Parsing it as a URL would take most of a sentence's time. */
function hostOf(url: string): string {
  return /^[a-z][a-z0-9+.-]*:\/\/([^/?#]+)/i.exec(url)?.[1] ?? url;
}

function clipped(words: string): string {
  return words.length <= MAX_WORDS ? words : `${words.slice(0, MAX_WORDS - 1)}\u2026`;
}
