/**
 * Draws where a torrent gets peers and data from: trackers, DHT, port, local network, web seeds, each with its last
 * answer and next try.
 *
 * @module
 */

import type { DhtSource, PortSource, TorrentSources, TrackerSource, WebSeedSource } from "../session/session_events.ts";
import { formatDuration, formatPlural, formatSize } from "./format.ts";
import { type Paint, painted, type Style } from "./style.ts";
import { clip, widthOf } from "./text.ts";

/** Smallest width at which a source takes one line. */
const ONE_LINE_WIDTH = 60;
/** Part of the width that names take. */
const NAME_SHARE = 0.42;
const MAX_NAME = 60;
const GAP = 2;

/** Options for {@linkcode renderSources}. */
export interface RenderSourcesOptions {
  /** Width in cells. */
  readonly width: number;
  /** Most lines. */
  readonly room: number;
  /** Index of the first line to show, below the heading. */
  readonly scroll: number;
  /** What the terminal can show. */
  readonly style: Style;
}

/** A source: its name, what it said last, and when it is asked again. */
interface Row {
  readonly name: string;
  readonly said: string;
  readonly next: string;
  readonly paint: Paint;
}

/**
 * Draws the sources of a torrent.
 *
 * @param sources The sources; `null` if they are unknown.
 * @param options See {@linkcode RenderSourcesOptions}.
 * @returns A heading, and the lines that fit. A source takes two lines in a narrow window.
 */
export function renderSources(sources: TorrentSources | null, options: RenderSourcesOptions): string[] {
  const { width, room, style } = options;
  const all = sourceLines(sources, { width, style });
  const rows = Math.max(0, room - 1);
  const first = Math.max(0, Math.min(options.scroll, all.length - rows));
  const range = `Sources, ${first + 1} to ${first + rows} of ${all.length} lines; arrows move`;
  const heading = all.length <= rows ? "Trackers, DHT, port, web seeds" : range;
  return [painted(clip(heading, { width, style }), "dim", style), ...all.slice(first, first + rows)];
}

/** Returns the number of lines that {@linkcode renderSources} scrolls through. */
export function countSourceLines(sources: TorrentSources | null, columns: number): number {
  const count = rowsOf(sources).length;
  return columns < ONE_LINE_WIDTH ? 2 * count : count;
}

function sourceLines(
  sources: TorrentSources | null,
  { width, style }: Pick<RenderSourcesOptions, "width" | "style">,
): string[] {
  return rowsOf(sources).flatMap(({ name, said, next, paint }) => {
    if (width < ONE_LINE_WIDTH) {
      const words = next === "" ? said : `${said}, ${next}`;
      return [clip(name, { width, style }), painted(clip(`  ${words}`, { width, style }), paint, style)];
    }
    const names = Math.min(MAX_NAME, Math.floor(width * NAME_SHARE));
    const shownName = clip(name, { width: names, style });
    // The end of a URL says less than its host, and the next try more than the end of a long message.
    const left = width - names - GAP - (next === "" ? 0 : next.length + 2);
    const shownSaid = clip(said, { width: Math.max(1, left), style });
    const pad = " ".repeat(Math.max(0, names + GAP - widthOf(shownName)));
    return [shownName + pad + painted(next === "" ? shownSaid : `${shownSaid}, ${next}`, paint, style)];
  });
}

function rowsOf(sources: TorrentSources | null): Row[] {
  if (sources === null) return [];
  const { trackers, dht, lsd, pex, port, webSeeds, isPrivate } = sources;
  const off = isPrivate ? "off: the torrent is private" : "off";
  const none: Row = { name: "Trackers", said: "none", next: "", paint: "dim" };
  return [
    ...(trackers.length === 0 ? [none] : trackers.map(trackerRow)),
    dht === null ? { name: "DHT", said: off, next: "", paint: "dim" } : dhtRow(dht),
    lsd === null
      ? { name: "Local network", said: off, next: "", paint: "dim" }
      : { name: "Local network", said: `heard ${formatPlural(lsd.heard, "announce")}`, ...again(lsd), paint: "plain" },
    { name: "Peer exchange", said: pex ? "on" : off, next: "", paint: pex ? "plain" : "dim" },
    portRow(port),
    ...webSeeds.map(webSeedRow),
  ];
}

function trackerRow(tracker: TrackerSource): Row {
  const { url, state, status, message, peers, seeders, leechers } = tracker;
  const { next } = again(tracker);
  const counts = [
    `${formatPlural(peers ?? 0, "peer")} named`,
    ...(seeders === null ? [] : [formatPlural(seeders, "seed")]),
    ...(leechers === null ? [] : [formatPlural(leechers, "leecher")]),
  ].join(", ");
  const asked = state === "announcing" ? "being asked" : state === "leaving" ? "being told that we leave" : next;
  switch (status) {
    case "error":
      return { name: url, said: message, next: asked, paint: "yellow" };
    case "warning":
      return { name: url, said: `${counts}; it warns: ${message}`, next: asked, paint: "yellow" };
    case "ok":
      return { name: url, said: counts, next: asked, paint: "plain" };
    case null:
      return { name: url, said: asked === "" ? "not asked: others come first" : asked, next: "", paint: "dim" };
  }
}

function dhtRow(dht: DhtSource): Row {
  const { state, nodes, last } = dht;
  const known = nodes === 0 ? "no node answers" : formatPlural(nodes, "node");
  const found = last === null ? "" : `, ${formatPlural(last.peers, "peer")} named`;
  const next = state === "asking" ? "being asked" : state === "joining" ? "joining" : again(dht).next;
  return { name: "DHT", said: known + found, next, paint: nodes === 0 ? "yellow" : "plain" };
}

function portRow({ tcp, udp, mapping, external, message }: PortSource): Row {
  const name = tcp === udp ? `Port ${tcp}` : `Port ${tcp}, UDP ${udp}`;
  switch (mapping) {
    case "off":
      return { name, said: "not mapped by a router", next: "", paint: "plain" };
    case "asking":
      return { name, said: "no router has answered yet", next: "", paint: "plain" };
    case "mapped":
      return { name, said: `reached at ${external} through the ${message}`, next: "", paint: "green" };
    case "failed":
      return { name, said: `not mapped: ${message}`, next: "", paint: "yellow" };
  }
}

function webSeedRow(seed: WebSeedSource): Row {
  const { url, status, message, downloaded } = seed;
  const got = `${formatSize(downloaded)} received`;
  switch (status) {
    case "unused":
      return { name: url, said: "web seed, not asked yet", next: "", paint: "dim" };
    case "sending":
      return { name: url, said: `web seed, ${got}`, next: "being asked", paint: "plain" };
    case "ready":
      return { name: url, said: `web seed, ${got}`, next: "", paint: "plain" };
    case "failed":
      return { name: url, said: message, ...again(seed), paint: "yellow" };
    case "given up":
      return { name: url, said: message, next: "given up", paint: "yellow" };
  }
}

function again({ secondsUntilNext }: { readonly secondsUntilNext: number | null }): { readonly next: string } {
  return { next: secondsUntilNext === null ? "" : `again in ${formatDuration(secondsUntilNext)}` };
}
