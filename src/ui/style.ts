/**
 * Colours and character sets that the terminal supports.
 *
 * @module
 */

import styles from "ansi-styles";
import { printable } from "./printable.ts";

/** What the terminal can show. */
export interface Style {
  /** Whether to use colours and weights. */
  readonly color: boolean;
  /** Whether to use non-ASCII characters. */
  readonly unicode: boolean;
  /** Number of colours: 256 or all (default 16). */
  readonly depth?: 256 | "all";
}

/** A colour or weight. Colours are from the terminal's sixteen, so that the user's theme applies. */
export type Paint = "plain" | "bold" | "dim" | "red" | "green" | "yellow" | "cyan";

/**
 * Detects the style from the environment.
 *
 * @param env Returns an environment variable.
 * @returns No colour with `NO_COLOR` or on a dumb terminal; only ASCII on a dumb terminal, on the Linux console, or in
 * a locale without UTF-8.
 */
export function styleFor(env: (name: string) => string | undefined): Style {
  const terminal = env("TERM");
  const locale = env("LC_ALL") || env("LC_CTYPE") || env("LANG") || "UTF-8";
  const all = /^(truecolor|24bit)$/i.test(env("COLORTERM") ?? "");
  return {
    ...(all ? { depth: "all" } : /256/.test(terminal ?? "") ? { depth: 256 } : {}),
    color: !env("NO_COLOR") && terminal !== "dumb",
    unicode: terminal !== "dumb" && terminal !== "linux" && /utf-?8/i.test(locale),
  };
}

/**
 * Colours text.
 *
 * @param text Printable text.
 * @param paint The colour or weight.
 * @param style What the terminal can show.
 * @returns The text, with escape sequences around it if the style has colours.
 */
export function painted(text: string, paint: Paint, style: Style): string {
  if (!style.color || paint === "plain" || text === "") return text;
  const { open, close } = styles[paint];
  return open + text + close;
}

/** Options for {@linkcode tinted}. */
export interface TintOptions {
  /** Red, green and blue, each 0 to 255. */
  readonly rgb: readonly [number, number, number];
  /** Colour for terminals with sixteen colours. */
  readonly otherwise: Paint;
  /** What the terminal can show. */
  readonly style: Style;
}

/**
 * Colours text in any colour.
 *
 * @param text Printable text.
 * @param options See {@linkcode TintOptions}.
 * @returns The text, with escape sequences around it if the style has colours.
 */
export function tinted(text: string, options: TintOptions): string {
  const { rgb, otherwise, style } = options;
  if (!style.color || style.depth === undefined) return painted(text, otherwise, style);
  const { color } = styles;
  const open = style.depth === "all" ? color.ansi16m(...rgb) : color.ansi256(styles.rgbToAnsi256(...rgb));
  return open + text + color.close;
}

/**
 * Makes text from outside safe to print on a terminal.
 *
 * @param text Text from outside.
 * @param style What the terminal can show.
 * @returns Printable text, with `?` for each character that the terminal can't show.
 */
export function shown(text: string, style: Style): string {
  const safe = printable(text);
  return style.unicode ? safe : safe.replace(/[^\x20-\x7e]/gu, "?");
}
