/**
 * Parses the bytes that a terminal sends into keys. Free of I/O.
 *
 * @module
 */

import type { Bytes } from "../base/bytes.ts";

/** A key: a printable character or a named key. */
export type Key =
  | { readonly kind: "character"; readonly character: string }
  | { readonly kind: "named"; readonly name: NamedKey };

/** Options for {@linkcode KeyReader}. */
export interface KeyReaderOptions {
  /** Called with the row of the cursor, from 1, when the terminal answers {@linkcode ASK_CURSOR}. */
  readonly onCursor?: (row: number) => void;
}

/** Asks the terminal where the cursor is. */
export const ASK_CURSOR = "\x1b[6n";

/** Names of keys. */
export type NamedKey =
  | "up"
  | "down"
  | "left"
  | "right"
  | "home"
  | "end"
  | "page-up"
  | "page-down"
  | "tab"
  | "back-tab"
  | "enter"
  | "escape"
  | "backspace"
  | "interrupt";

/** More bytes than this in one read are pasted text, not typed keys. */
const PASTE_BYTES = 24;
const ESC = 0x1b;

const CONTROLS: Readonly<Record<number, NamedKey>> = {
  0x03: "interrupt",
  0x08: "backspace",
  0x09: "tab",
  0x0a: "enter",
  0x0d: "enter",
  0x7f: "backspace",
};

/** Keys by the last byte of a sequence that starts with `ESC [` or `ESC O`. */
const FINALS: Readonly<Record<string, NamedKey>> = {
  A: "up",
  B: "down",
  C: "right",
  D: "left",
  F: "end",
  H: "home",
  Z: "back-tab",
};

/** Keys by the number in `ESC [ n ~`. */
const NUMBERED: Readonly<Record<string, NamedKey>> = {
  1: "home",
  4: "end",
  5: "page-up",
  6: "page-down",
  7: "home",
  8: "end",
};

/** Options for {@linkcode KeyReader.read}. */
export interface ReadKeysOptions {
  /** Whether the user is typing text, which may be pasted (default `false`). */
  readonly typing?: boolean;
}

/**
 * Parses keys from bytes that may be split anywhere. Ignores unknown escape sequences, non-ASCII characters and pasted
 * text.
 */
export class KeyReader {
  #state: "ground" | "escape" | "sequence" = "ground";
  /** Parameters of the current sequence, limited in length. No known key has longer parameters. */
  #parameters = "";
  readonly #onCursor: (row: number) => void;

  /** @param options See {@linkcode KeyReaderOptions}. */
  constructor({ onCursor = () => {} }: KeyReaderOptions = {}) {
    this.#onCursor = onCursor;
  }

  /**
   * Parses the bytes of one read.
   *
   * @param bytes The bytes.
   * @param options See {@linkcode ReadKeysOptions}.
   * @returns The pressed keys.
   */
  read(bytes: Bytes, options: ReadKeysOptions = {}): Key[] {
    const keys: Key[] = [];
    for (const byte of bytes) this.#byte(byte, keys);
    // An ESC at the end of a read is the Escape key, not the start of a sequence.
    if (this.#state === "escape") {
      this.#state = "ground";
      keys.push({ kind: "named", name: "escape" });
    }
    if (options.typing) return keys;
    return bytes.length > PASTE_BYTES || isText(keys) ? [] : keys;
  }

  #byte(byte: number, keys: Key[]): void {
    if (byte === ESC) {
      this.#state = "escape";
      this.#parameters = "";
    } else if (this.#state === "escape") {
      this.#state = byte === 0x5b || byte === 0x4f ? "sequence" : "ground";
    } else if (this.#state === "sequence") {
      this.#inSequence(byte, keys);
    } else if (byte in CONTROLS) {
      keys.push({ kind: "named", name: CONTROLS[byte]! });
    } else if (byte >= 0x20 && byte < 0x7f) {
      keys.push({ kind: "character", character: String.fromCharCode(byte) });
    }
  }

  #inSequence(byte: number, keys: Key[]): void {
    if (byte >= 0x20 && byte < 0x40) {
      if (this.#parameters.length < 9) this.#parameters += String.fromCharCode(byte);
      return;
    }
    this.#state = "ground";
    const final = String.fromCharCode(byte);
    const position = final === "R" ? /^(\d{1,4});\d{1,4}$/.exec(this.#parameters) : null;
    if (position !== null) this.#onCursor(Number(position[1]));
    const name = final === "~" ? NUMBERED[this.#parameters] : this.#parameters === "" ? FINALS[final] : undefined;
    if (name !== undefined) keys.push({ kind: "named", name });
  }
}

/** Returns `true` if several characters came in one read, which no typist achieves. */
function isText(keys: readonly Key[]): boolean {
  return keys.filter(({ kind }) => kind === "character").length > 1;
}
