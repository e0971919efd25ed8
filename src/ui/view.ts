/**
 * What every way of showing a session has in common.
 *
 * @module
 */

import type { ShoalError } from "../base/errors.ts";
import type { Platform } from "../platform/platform.ts";
import type { Terminal } from "../platform/terminal.ts";
import type { FileSnapshot, PieceMap } from "../session/session_events.ts";
import type {
  ChangedEvent,
  RemovedEvent,
  SessionEvent,
  StateEvent,
  TorrentSnapshot,
} from "../session/session_events.ts";

/** A torrent is served over HTTP. */
export interface StreamEvent {
  readonly event: "stream";
  readonly infohash: string;
  /** The torrent's. */
  readonly name: string;
  /** Page with links to the files; ends with a slash. */
  readonly url: string;
  /** The largest file; `null` when there is none. */
  readonly largest: string | null;
  /** How many files there are. */
  readonly files: number;
}

/** What a view is told; what a torrent does is seen in its snapshots. */
export type ViewEvent = Exclude<SessionEvent, StateEvent | ChangedEvent | RemovedEvent> | StreamEvent;

/** Whether a view is told of an event. */
export function isShown(event: SessionEvent): event is Exclude<ViewEvent, StreamEvent> {
  return event.event !== "state" && event.event !== "changed" && event.event !== "removed";
}

/** Shows what a session does. */
export interface View {
  /** Starts showing. */
  start(): void;
  /** Takes note of an event of the session, or of the program's own; never throws, never waits. */
  event(event: ViewEvent): void;
  /** Says a sentence of the program's own. */
  note(text: string): void;
  /** Takes note of a failure that is not a torrent's; its error line on standard error is not the view's business. */
  failed(error: ShoalError): void;
  /** Stops showing, sums up, and leaves the terminal as it was. Harmless when called again. */
  close(): Promise<void>;
}

/** What keys do, and what is drawn only where there is room for it; torrents are named by their info-hash. */
export interface LiveControls {
  /** The pieces of a torrent, as `Torrent.pieceMap()` gives them. */
  pieceMap(infohash: string, cells: number): PieceMap | null;
  /** The files of a torrent. */
  files(infohash: string): readonly FileSnapshot[];
  /** Pauses torrents, or lets them go on when all of them are paused. */
  togglePause(infohashes: readonly string[]): void;
  /** How fast all torrents together may be, in bytes a second; `null` for as fast as they can. */
  limits(): { readonly down: number | null; readonly up: number | null };
  /** Changes that; what is absent stays as it is. */
  setLimits(limits: { readonly down?: number | null; readonly up?: number | null }): void;
  /** Stops in good order, as Ctrl-C does. */
  quit(): void;
}

/** What a view draws from and draws on. */
export interface ViewOptions {
  /** Clocks and timers. */
  readonly platform: Pick<Platform, "now" | "wallClock" | "after">;
  /** Where it draws. */
  readonly terminal: Terminal;
  /** The torrents as they are now. */
  readonly snapshots: () => readonly TorrentSnapshot[];
  /** How often `-v` was given. */
  readonly verbosity: number;
  /** The folder in which a torrent's data is saved, by info-hash; `null` when nobody wants to know. */
  readonly savedIn: (infohash: string) => string | null;
  /** What a view for people can ask for besides. */
  readonly controls: LiveControls;
  /** Whether the same command goes on where this run was stopped. */
  readonly resumable: boolean;
}
