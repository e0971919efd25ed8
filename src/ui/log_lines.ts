/**
 * Describes the events of a session in sentences.
 *
 * @module
 */

import type { PeerEvent, PortMapEvent, TrackerEvent } from "../session/session_events.ts";
import { formatPlural } from "./format.ts";
import { painted, shown, type Style } from "./style.ts";
import type { StreamEvent, ViewEvent } from "./view.ts";

/** A message for the user. */
export interface LogLine {
  /** A `warning` matters to every user, a `note` to users who ask for messages. */
  readonly level: "note" | "warning";
  /** Printable text on one line. */
  readonly text: string;
}

/** Messages are coloured later, if at all. */
const PLAIN: Style = { color: false, unicode: true };

/** Describes events. Remembers the last message of each tracker to avoid repetition. */
export class LogLines {
  readonly #verbosity: number;
  readonly #names = new Map<string, string>();
  /** Last status and message of each tracker, by info-hash and URL. */
  readonly #trackers = new Map<string, string>();

  /**
   * @param verbosity 0: warnings and URLs; 1: also disconnected peers, tracker answers, port mappings and DHT problems;
   * 2: also connected and refused peers.
   */
  constructor(verbosity: number) {
    this.#verbosity = verbosity;
  }

  /**
   * Describes an event.
   *
   * @param event The event.
   * @returns The message; `null` if there is nothing to say.
   */
  of(event: ViewEvent): LogLine | null {
    if (event.event === "added" || event.event === "metadata") this.#names.set(event.infohash, event.name);
    const line = this.#describe(event);
    if (line === null) return null;
    // The name of the torrent is left out if there is only one torrent.
    const named = this.#names.size > 1 && event.infohash !== null;
    const name = named ? this.#names.get(event.infohash) : undefined;
    return { level: line.level, text: shown(name === undefined ? line.text : `${name}: ${line.text}`, PLAIN) };
  }

  #describe(event: ViewEvent): LogLine | null {
    switch (event.event) {
      case "tracker":
        return this.#describeTracker(event);
      case "peer":
        return this.#describePeer(event);
      case "hash_failed": {
        const from = event.peers.length === 0 ? "" : `; it came from ${event.peers.join(", ")}`;
        return { level: "warning", text: `piece ${event.piece} failed its hash check and is fetched again${from}` };
      }
      case "error":
        // The only torrent shows its error itself.
        if (this.#names.size < 2) return null;
        return { level: "warning", text: `failed: ${event.message}${event.where === "" ? "" : ` (${event.where})`}` };
      case "warning":
        return { level: "warning", text: `${event.message} (${event.where})` };
      case "stream":
        return { level: "note", text: streamText(event) };
      case "port_map":
        return this.#verbosity < 1 ? null : { level: "note", text: portMapText(event) };
      case "dht":
        return this.#verbosity < 1 ? null : { level: "warning", text: event.message };
      default:
        return null;
    }
  }

  #describeTracker(event: TrackerEvent): LogLine | null {
    const key = `${event.infohash} ${event.url}`;
    const words = `${event.status} ${event.message}`;
    const said = this.#trackers.get(key) === words;
    this.#trackers.set(key, words);
    if (event.status === "error" || event.status === "warning") {
      if (said && this.#verbosity === 0) return null;
      const verb = event.status === "error" ? "failed" : "warns";
      return { level: "warning", text: `tracker ${event.url} ${verb}: ${event.message}` };
    }
    if (this.#verbosity === 0) return null;
    const counts = [
      formatPlural(event.peers, "peer"),
      ...(event.seeders === null ? [] : [`${formatPlural(event.seeders, "seeder")} in all`]),
      ...(event.leechers === null ? [] : [`${formatPlural(event.leechers, "leecher")} in all`]),
    ];
    return { level: "note", text: `tracker ${event.url} answered: ${counts.join(", ")}` };
  }

  #describePeer(event: PeerEvent): LogLine | null {
    const peer = event.client === "" ? event.address : `${event.address} (${event.client})`;
    const why = event.message === "" ? "" : `: ${event.message}`;
    switch (event.action) {
      case "banned":
        return { level: "warning", text: `peer ${peer} is banned${why}` };
      case "disconnected":
        return this.#verbosity < 1 ? null : { level: "note", text: `peer ${peer} is gone${why}` };
      case "refused":
        return this.#verbosity < 2 ? null : { level: "note", text: `no connection with peer ${peer}${why}` };
      case "connected":
        return this.#verbosity < 2 ? null : { level: "note", text: `peer ${peer} is connected` };
    }
  }
}

function streamText({ url, largest, files }: StreamEvent): string {
  return files === 1 && largest !== null ? `watch it at ${largest}` : `${formatPlural(files, "file")} at ${url}`;
}

function portMapText({ status, protocol, external, message }: PortMapEvent): string {
  if (status === "error") return `others may not reach us: no port mapping: ${message}`;
  return `others reach us at ${external}, ${protocol?.toUpperCase()}, through the ${message}`;
}

/**
 * Formats a message as a line for standard error.
 *
 * @param line The message.
 * @returns The line with a line end.
 */
export function plainLogLine(line: LogLine): string {
  return line.level === "warning" ? `shoal: warning: ${line.text}\n` : `shoal: ${line.text}\n`;
}

/**
 * Formats a message for the live view.
 *
 * @param line The message.
 * @param style What the terminal can show.
 * @returns The line without a line end.
 */
export function styledLogLine(line: LogLine, style: Style): string {
  const text = shown(line.text, style);
  return line.level === "warning" ? `${painted("warning:", "yellow", style)} ${text}` : painted(text, "dim", style);
}
