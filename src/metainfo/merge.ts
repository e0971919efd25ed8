/**
 * Merges torrent files and magnet links of the same torrent.
 *
 * @module
 */

import type { HostPort } from "../base/address.ts";
import type { Magnet } from "./magnet.ts";
import type { Metainfo } from "./metainfo.ts";
import { MAX_SOURCES } from "./sources.ts";

/** Where the peers and the data of a torrent can be found. */
export interface Places {
  /** Tiers of announce URLs. */
  readonly trackers: readonly (readonly string[])[];
  /** URLs of web seeds (BEP 19). */
  readonly webSeeds: readonly string[];
}

/**
 * Merges trackers and web seeds. New trackers are appended as further tiers.
 *
 * @param first Trackers and web seeds that come first.
 * @param second Trackers and web seeds that come after.
 * @returns Each URL once, up to 1,000 tiers and 1,000 web seeds.
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
 * Merges the sources of one torrent. A torrent file is preferred to a magnet link, since it contains more. For a
 * private torrent (BEP 27), only the trackers and web seeds of the first file are used.
 *
 * @param sources At least one source, all of the same torrent.
 * @returns The first torrent file with the trackers and web seeds of all sources, or a magnet link with the values of
 * all links if there is no torrent file.
 */
export function mergeSources(sources: readonly (Metainfo | Magnet)[]): Metainfo | Magnet {
  // Trackers keep the order of the sources.
  const places = sources.reduce<Places>(mergePlaces, { trackers: [], webSeeds: [] });
  const file = sources.find(isFile);
  if (file !== undefined) return file.private ? file : { ...file, ...places };
  const links = sources.filter((source): source is Magnet => !isFile(source));
  const infoHashV1 = links.find(({ infoHashV1 }) => infoHashV1 !== null)?.infoHashV1 ?? null;
  return {
    ...links[0]!,
    ...places,
    infoHash: infoHashV1 ?? links[0]!.infoHash,
    infoHashV1,
    infoHashV2: links.find(({ infoHashV2 }) => infoHashV2 !== null)?.infoHashV2 ?? null,
    displayName: links.find(({ displayName }) => displayName !== null)?.displayName ?? null,
    exactSources: [...new Set(links.flatMap((link) => link.exactSources))],
    peers: uniqueHosts(links.flatMap((link) => link.peers)),
    selectOnly: mergeChoices(links.map(({ selectOnly }) => selectOnly)),
  };
}

function isFile(source: Metainfo | Magnet): source is Metainfo {
  return "pieces" in source;
}

/** Selects all files if one link does, or else the files that any link selects. */
function mergeChoices(choices: readonly (string | null)[]): string | null {
  return choices.includes(null) ? null : [...new Set(choices)].join(",");
}

function uniqueHosts(hosts: readonly HostPort[]): HostPort[] {
  return [...new Map(hosts.map((one) => [`${one.host} ${one.port}`, one])).values()].slice(0, MAX_SOURCES);
}
