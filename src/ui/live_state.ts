/**
 * What the user has chosen to see, and what keys do to it. Pure: a state and a key in, a state and a deed out.
 *
 * @module
 */

import type { Key } from "./keys.ts";
import { parseLimits } from "./limit_prompt.ts";
import { PEER_ORDERS, type PeerOrder } from "./table.ts";

/** What the live view shows, as far as the user decides. */
export interface LiveState {
  /** Which torrent is looked at. */
  readonly selected: number;
  /** What peers are sorted by. */
  readonly order: PeerOrder;
  /** What stands below the torrent. */
  readonly panel: "overview" | "files" | "help";
  /** The first line of the files that is shown. */
  readonly scroll: number;
  /** What is typed so far where limits are asked for; `null` when they aren't. */
  readonly prompt: string | null;
  /** What is wrong with what was typed; empty when nothing is. */
  readonly complaint: string;
}

/** What a key asks for besides another picture. */
export type KeyAction =
  | { readonly kind: "quit" }
  | { readonly kind: "pause"; readonly all: boolean }
  | { readonly kind: "limits"; readonly down?: number | null; readonly up?: number | null };

/** What the state is about. */
export interface LiveContext {
  /** How many torrents there are. */
  readonly torrents: number;
  /** How many files the selected one has. */
  readonly files: number;
  /** How many lines a page has. */
  readonly page: number;
}

/** What is shown first. */
export const FIRST_STATE: LiveState = {
  selected: 0,
  order: "activity",
  panel: "overview",
  scroll: 0,
  prompt: null,
  complaint: "",
};

/** Longest line that may be typed. */
const MAX_PROMPT = 32;

/**
 * What a key does.
 *
 * @param state What is shown.
 * @param options `key`: which was pressed. `around`: what the state is about.
 * @returns What is to be shown, and what is to be done, if anything.
 */
export function pressed(
  state: LiveState,
  options: { readonly key: Key; readonly around: LiveContext },
): { readonly state: LiveState; readonly deed: KeyAction | null } {
  const { key, around } = options;
  if (key.kind === "named" && key.name === "interrupt") return { state, deed: { kind: "quit" } };
  if (state.prompt !== null) return typed(state, state.prompt, key);
  const name = key.kind === "named" ? key.name : key.character;
  const only = (change: Partial<LiveState>) => ({ state: { ...state, ...change }, deed: null });
  const step = STEPS[name];
  if (step !== undefined && state.panel === "files") return only({ scroll: scrolled(state, step, around) });
  switch (name) {
    case "q":
      return { state, deed: { kind: "quit" } };
    case "p":
    case " ":
      return { state, deed: { kind: "pause", all: false } };
    case "P":
      return { state, deed: { kind: "pause", all: true } };
    case "s":
      return only({ order: PEER_ORDERS[(PEER_ORDERS.indexOf(state.order) + 1) % PEER_ORDERS.length]! });
    case "f":
      return only({ panel: state.panel === "files" ? "overview" : "files", scroll: 0 });
    case "?":
    case "h":
      return only({ panel: state.panel === "help" ? "overview" : "help" });
    case "l":
      return only({ prompt: "", complaint: "" });
    case "escape":
      return only({ panel: "overview" });
    case "up":
    case "back-tab":
      return only(selected(state, -1, around));
    case "down":
    case "tab":
      return only(selected(state, 1, around));
    default:
      return { state, deed: null };
  }
}

/** Keys that move through the files: lines, or pages. */
const STEPS: Readonly<Record<string, readonly [number, "lines" | "pages"]>> = {
  "up": [-1, "lines"],
  "down": [1, "lines"],
  "page-up": [-1, "pages"],
  "page-down": [1, "pages"],
  "home": [-Infinity, "lines"],
  "end": [Infinity, "lines"],
};

function scrolled(state: LiveState, [by, unit]: readonly [number, string], { files, page }: LiveContext): number {
  const wanted = state.scroll + by * (unit === "pages" ? Math.max(1, page) : 1);
  return Math.max(0, Math.min(Math.max(0, files - page), wanted));
}

function selected(state: LiveState, by: number, { torrents }: LiveContext): Partial<LiveState> {
  if (torrents < 2) return {};
  return { selected: (state.selected + by + torrents) % torrents, scroll: 0 };
}

function typed(state: LiveState, prompt: string, key: Key): { state: LiveState; deed: KeyAction | null } {
  const only = (change: Partial<LiveState>) => ({ state: { ...state, complaint: "", ...change }, deed: null });
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
      return { state: { ...state, complaint: "", prompt: null }, deed: { kind: "limits", ...limits } };
    }
    default:
      return only({});
  }
}
