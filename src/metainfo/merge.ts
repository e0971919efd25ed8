/**
 * Several torrent files and magnet links that stand for one torrent, as one.
 *
 * @module
 */

import type { HostPort } from "../base/address.ts";
import type { Magnet } from "./magnet.ts";
import type { Metainfo } from "./metainfo.ts";
import { MAX_SOURCES } from "./sources.ts";

/** Where a torrent's peers and data are to be found. */
export interface Places {
  /** Announce URLs in tiers. */
  readonly trackers: readonly (readonly string[])[];
  /** URLs of web seeds (BEP 19). */
  readonly webSeeds: readonly string[];
}

/**
 * Puts places together: trackers that are new come behind the others, as further tiers.
 *
 * @param first What comes first.
 * @param second What comes after it.
 * @returns Both, each URL once, no more than 1,000 of each kind.
 */
export function mergePlaces(first: Places, second: Places): Places {
  const known = new Set(first.trackers.flat());
  const others = second.trackers.map((tier) => tier.filter((url) => !known.has(url))).filter((tier) => tier.length > 0);
  return {
    trackers: [...first.trackers, ...others].slice(0, MAX_SOURCES),
    webSeeds: [...new Set([...first.webSeeds, ...second.webSeeds])].slice(0, MAX_SOURCES),
  };
}

/**
 * Puts sources of one torrent together, as far as its first file or link says what it holds: a torrent file knows more than a
 * link. Of a private torrent (BEP 27) the first file alone says where it may be looked for.
 *
 * @param sources At least one, all with the same info-hash.
 * @returns The first torrent file with the trackers and web seeds of all sources; a link with all that they say if there is none.
 */
export function mergeSources(sources: readonly (Metainfo | Magnet)[]): Metainfo | Magnet {
  // Trackers stand in the order of the sources, as they were given.
  const places = sources.reduce<Places>(mergePlaces, { trackers: [], webSeeds: [] });
  const file = sources.find(isFile);
  if (file !== undefined) return file.private ? file : { ...file, ...places };
  const links = sources.filter((source): source is Magnet => !isFile(source));
  return {
    ...links[0]!,
    ...places,
    displayName: links.find(({ displayName }) => displayName !== null)?.displayName ?? null,
    exactSources: [...new Set(links.flatMap((link) => link.exactSources))],
    peers: uniqueHosts(links.flatMap((link) => link.peers)),
    selectOnly: mergeChoices(links.map(({ selectOnly }) => selectOnly)),
  };
}

function isFile(source: Metainfo | Magnet): source is Metainfo {
  return "pieces" in source;
}

/** All files where one link wants all, else what any of them wants. */
function mergeChoices(choices: readonly (string | null)[]): string | null {
  return choices.includes(null) ? null : [...new Set(choices)].join(",");
}

function uniqueHosts(hosts: readonly HostPort[]): HostPort[] {
  return [...new Map(hosts.map((one) => [`${one.host} ${one.port}`, one])).values()].slice(0, MAX_SOURCES);
}
