/**
 * What the terminal can show: colours, and characters beyond ASCII.
 *
 * @module
 */

import styles from "ansi-styles";
import { printable } from "./printable.ts";

/** How to draw. */
export interface Style {
  /** Whether colours and weights may be used. */
  readonly color: boolean;
  /** Whether characters beyond ASCII may be used. */
  readonly unicode: boolean;
  /** How many colours there are: 16 when absent, 256, or all of them. */
  readonly depth?: 256 | "all";
}

/** A colour or weight; each is one of the terminal's own sixteen, so that the user's theme decides. */
export type Paint = "plain" | "bold" | "dim" | "red" | "green" | "yellow" | "cyan";

/**
 * The style that the environment asks for.
 *
 * @param env Reads a variable of the environment.
 * @returns No colour with `NO_COLOR` or on a dumb terminal; ASCII alone where the locale says that there is no more.
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
 * Text in a colour.
 *
 * @param text Printable text.
 * @param paint Which colour or weight.
 * @param style What the terminal can show.
 * @returns The text with escape sequences round it, or as it is.
 */
export function painted(text: string, paint: Paint, style: Style): string {
  if (!style.color || paint === "plain" || text === "") return text;
  const { open, close } = styles[paint];
  return open + text + close;
}

/**
 * Text in a colour that the sixteen don't have.
 *
 * @param text Printable text.
 * @param options `rgb`: the colour, each part 0 to 255. `otherwise`: what to use where there are sixteen. `style`: what the
 * terminal can show.
 * @returns The text with escape sequences round it, or as it is.
 */
export function tinted(
  text: string,
  options: { readonly rgb: readonly [number, number, number]; readonly otherwise: Paint; readonly style: Style },
): string {
  const { rgb, otherwise, style } = options;
  if (!style.color || style.depth === undefined) return painted(text, otherwise, style);
  const { color } = styles;
  const open = style.depth === "all" ? color.ansi16m(...rgb) : color.ansi256(styles.rgbToAnsi256(...rgb));
  return open + text + color.close;
}

/**
 * Text from outside as this terminal can show it.
 *
 * @param text Anything.
 * @param style What the terminal can show.
 * @returns Printable text, with `?` for each character that is missing there.
 */
export function shown(text: string, style: Style): string {
  const safe = printable(text);
  return style.unicode ? safe : safe.replace(/[^\x20-\x7e]/gu, "?");
}
