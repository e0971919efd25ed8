/**
 * Interfaces shared by all views of a session.
 *
 * @module
 */

import type { Platform } from "../platform/platform.ts";
import type { Terminal } from "../platform/terminal.ts";
import type { FileSnapshot, PieceMap } from "../session/session_events.ts";
import type {
  ChangedEvent,
  RemovedEvent,
  SessionEvent,
  StateEvent,
  TorrentSnapshot,
  TorrentSources,
} from "../session/session_events.ts";

/** A torrent is now served over HTTP. */
export interface StreamEvent {
  readonly event: "stream";
  readonly infohash: string;
  /** Name of the torrent. */
  readonly name: string;
  /** URL of the page with links to the files; ends with a slash. */
  readonly url: string;
  /** URL of the largest file; `null` if there are no files. */
  readonly largest: string | null;
  /** Number of files. */
  readonly files: number;
}

/** An event for a view. Views take the state of torrents from snapshots, so that they need no `state` events. */
export type ViewEvent = Exclude<SessionEvent, StateEvent | ChangedEvent | RemovedEvent> | StreamEvent;

/** Returns `true` if an event is passed to views. */
export function isShown(event: SessionEvent): event is Exclude<ViewEvent, StreamEvent> {
  return event.event !== "state" && event.event !== "changed" && event.event !== "removed";
}

/** Shows the progress of a session. */
export interface View {
  /** Whether the view redraws a part of the terminal, so that nothing else may be written to it. */
  readonly isPicture: boolean;
  /** Starts to show progress. */
  start(): void;
  /** Shows an event of the session or the program. Must neither throw nor wait. */
  event(event: ViewEvent): void;
  /** Shows a message of the program. */
  note(text: string): void;
  /**
   * Shows a failure that no event of the session has told, be it a bug. Its error line on standard error is written by
   * the caller.
   */
  failed(error: unknown): void;
  /** Waits until the user has looked at the view and pressed a key. Absent if the view doesn't read keys. */
  hold?(): Promise<void>;
  /** Stops, prints a summary and restores the terminal. Does nothing when called again. */
  close(): Promise<void>;
}

/** Actions of the live view, and data that is requested only if it is shown. Torrents are named by info-hash. */
export interface LiveControls {
  /** Returns the pieces of a torrent, as `Torrent.pieceMap()`. */
  pieceMap(infohash: string, cells: number): PieceMap | null;
  /** Returns the sources of a torrent; `null` if there is no such torrent. */
  sources(infohash: string): TorrentSources | null;
  /** Returns the files of a torrent. */
  files(infohash: string): readonly FileSnapshot[];
  /** Pauses torrents, or resumes them if all of them are paused. */
  togglePause(infohashes: readonly string[]): void;
  /** Returns the rate limits of the session, in bytes per second; `null` for no limit. */
  limits(): { readonly down: number | null; readonly up: number | null };
  /** Changes the rate limits. An absent limit doesn't change. */
  setLimits(limits: { readonly down?: number | null; readonly up?: number | null }): void;
  /** Stops the program in good order, as Ctrl-C does. */
  quit(): void;
}

/** Options for a {@linkcode View}. */
export interface ViewOptions {
  /** Clocks and timers. */
  readonly platform: Pick<Platform, "now" | "wallClock" | "after">;
  /** Terminal to draw on. */
  readonly terminal: Terminal;
  /** Returns snapshots of all torrents. */
  readonly snapshots: () => readonly TorrentSnapshot[];
  /** Number of `-v` options. */
  readonly verbosity: number;
  /** Returns the folder of a torrent's data by info-hash; `null` if the folder shall not be shown. */
  readonly savedIn: (infohash: string) => string | null;
  /** Controls for the live view. */
  readonly controls: LiveControls;
  /** Whether the same command resumes the download. */
  readonly resumable: boolean;
}
