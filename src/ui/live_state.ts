/**
 * Selections of the user in the live view, and how keys change them. Free of I/O.
 *
 * @module
 */

import type { Key } from "./keys.ts";
import { parseLimits } from "./limit_prompt.ts";
import { PEER_ORDERS, type PeerOrder } from "./table.ts";

/** What the live view shows, as selected by the user. */
export interface LiveState {
  /** Index of the selected torrent. */
  readonly selected: number;
  /** Sort order of the peers. */
  readonly order: PeerOrder;
  /** Panel below the torrent. */
  readonly panel: "overview" | "files" | "sources" | "help";
  /** Index of the first peer, file or line of the panel to show. */
  readonly scroll: number;
  /** Text typed in the limit prompt; `null` if the prompt is closed. */
  readonly prompt: string | null;
  /** Error about the typed text; empty if there is none. */
  readonly complaint: string;
}

/** Action of a key besides a change of the view. */
export type KeyAction =
  | { readonly kind: "quit" }
  | { readonly kind: "pause"; readonly all: boolean }
  | { readonly kind: "limits"; readonly down?: number | null; readonly up?: number | null };

/** Counts that limit selection and scrolling. */
export interface LiveContext {
  /** Number of torrents. */
  readonly torrents: number;
  /** Number of peers, files or lines that can be scrolled in the panel. */
  readonly items: number;
  /** Number of them that are shown at once. */
  readonly page: number;
}

/** Initial state. */
export const FIRST_STATE: LiveState = {
  selected: 0,
  order: "activity",
  panel: "overview",
  scroll: 0,
  prompt: null,
  complaint: "",
};

/** Longest text that can be typed. */
const MAX_PROMPT = 32;

/** Options for {@linkcode handleKey}. */
export interface PressedOptions {
  /** The pressed key. */
  readonly key: Key;
  /** Numbers of torrents, items and items per page. */
  readonly around: LiveContext;
}

/** Result of {@linkcode handleKey}. */
export interface PressedResult {
  /** The new state. */
  readonly state: LiveState;
  /** Action to take; `null` for none. */
  readonly action: KeyAction | null;
}

/**
 * Handles a key.
 *
 * @param state The current state.
 * @param options See {@linkcode PressedOptions}.
 * @returns The new state and the action to take.
 */
export function handleKey(state: LiveState, options: PressedOptions): PressedResult {
  const { key, around } = options;
  if (key.kind === "named" && key.name === "interrupt") return { state, action: { kind: "quit" } };
  if (state.prompt !== null) return typed(state, state.prompt, key);
  const name = key.kind === "named" ? key.name : key.character;
  const only = (change: Partial<LiveState>) => ({ state: { ...state, ...change }, action: null });
  const step = STEPS[name];
  // In the overview of several torrents the arrows select one of them.
  const selects = state.panel === "overview" && around.torrents > 1 && (name === "up" || name === "down");
  if (step !== undefined && !selects) return only({ scroll: scrolled(state, step, around) });
  switch (name) {
    case "q":
      return { state, action: { kind: "quit" } };
    case "p":
    case " ":
      return { state, action: { kind: "pause", all: false } };
    case "P":
      return { state, action: { kind: "pause", all: true } };
    case "s":
      return only({ order: PEER_ORDERS[(PEER_ORDERS.indexOf(state.order) + 1) % PEER_ORDERS.length]!, scroll: 0 });
    case "f":
      return only({ panel: state.panel === "files" ? "overview" : "files", scroll: 0 });
    case "t":
      return only({ panel: state.panel === "sources" ? "overview" : "sources", scroll: 0 });
    case "?":
    case "h":
      return only({ panel: state.panel === "help" ? "overview" : "help", scroll: 0 });
    case "l":
      return only({ prompt: "", complaint: "" });
    case "escape":
      return only({ panel: "overview", scroll: 0 });
    case "up":
    case "back-tab":
      return only(selected(state, -1, around));
    case "down":
    case "tab":
      return only(selected(state, 1, around));
    default:
      return { state, action: null };
  }
}

/**
 * Returns `true` if a key ends a view that shows a finished transfer: any key that shows nothing else.
 *
 * @param state The current state.
 * @param options See {@linkcode PressedOptions}.
 */
export function endsHold(state: LiveState, options: PressedOptions): boolean {
  const { key } = options;
  if (state.prompt !== null) return false;
  if (key.kind === "named") return key.name === "enter" || (key.name === "escape" && state.panel === "overview");
  const { state: next, action } = handleKey(state, options);
  return action !== null || next === state;
}

/** Keys that scroll, by lines or pages. */
const STEPS: Readonly<Record<string, readonly [number, "lines" | "pages"]>> = {
  "up": [-1, "lines"],
  "down": [1, "lines"],
  "page-up": [-1, "pages"],
  "page-down": [1, "pages"],
  "home": [-Infinity, "lines"],
  "end": [Infinity, "lines"],
};

function scrolled(state: LiveState, [by, unit]: readonly [number, string], { items, page }: LiveContext): number {
  const wanted = state.scroll + by * (unit === "pages" ? Math.max(1, page) : 1);
  return Math.max(0, Math.min(Math.max(0, items - page), wanted));
}

function selected(state: LiveState, by: number, { torrents }: LiveContext): Partial<LiveState> {
  if (torrents < 2) return {};
  return { selected: (state.selected + by + torrents) % torrents, scroll: 0 };
}

function typed(state: LiveState, prompt: string, key: Key): { state: LiveState; action: KeyAction | null } {
  const only = (change: Partial<LiveState>) => ({ state: { ...state, complaint: "", ...change }, action: null });
  if (key.kind === "character") return only({ prompt: (prompt + key.character).slice(0, MAX_PROMPT) });
  switch (key.name) {
    case "backspace":
      return only({ prompt: prompt.slice(0, -1) });
    case "escape":
      return only({ prompt: null });
    case "enter": {
      if (prompt.trim() === "") return only({ prompt: null });
      const limits = parseLimits(prompt);
      if (limits === null) return only({ complaint: "not understood" });
      return { state: { ...state, complaint: "", prompt: null }, action: { kind: "limits", ...limits } };
    }
    default:
      return only({});
  }
}
