/**
 * What a terminal sends when keys are pressed, as keys. Pure: bytes in, keys out.
 *
 * @module
 */

import type { Bytes } from "../base/bytes.ts";

/** A key: a character that can be seen, or a name. */
export type Key =
  | { readonly kind: "character"; readonly character: string }
  | { readonly kind: "named"; readonly name: NamedKey };

/** Keys that have names. */
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

/** More bytes at once than fingers send: something was pasted. */
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

/** By the last byte of a sequence that begins with `ESC [` or `ESC O`. */
const FINALS: Readonly<Record<string, NamedKey>> = {
  A: "up",
  B: "down",
  C: "right",
  D: "left",
  F: "end",
  H: "home",
  Z: "back-tab",
};

/** By the number in `ESC [ n ~`. */
const NUMBERED: Readonly<Record<string, NamedKey>> = {
  1: "home",
  4: "end",
  5: "page-up",
  6: "page-down",
  7: "home",
  8: "end",
};

/**
 * Tells keys from bytes, over any cut between them. Whatever isn't a key that is known counts for nothing: other escape
 * sequences, characters beyond ASCII, text that was pasted.
 */
export class KeyReader {
  #state: "ground" | "escape" | "sequence" = "ground";
  /** Parameters of the sequence so far, cut short: what is longer is no key. */
  #parameters = "";

  /**
   * @param bytes What was read at once.
   * @param options `typing`: whether text is asked for, so that it may be pasted.
   * @returns The keys that were pressed.
   */
  read(bytes: Bytes, options: { readonly typing?: boolean } = {}): Key[] {
    const keys: Key[] = [];
    for (const byte of bytes) this.#byte(byte, keys);
    // Nothing follows at once: that is the key itself, and no sequence.
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
      if (this.#parameters.length < 8) this.#parameters += String.fromCharCode(byte);
      return;
    }
    this.#state = "ground";
    const final = String.fromCharCode(byte);
    const name = final === "~" ? NUMBERED[this.#parameters] : this.#parameters === "" ? FINALS[final] : undefined;
    if (name !== undefined) keys.push({ kind: "named", name });
  }
}

/** Whether characters came at once, as nobody presses them. */
function isText(keys: readonly Key[]): boolean {
  return keys.filter(({ kind }) => kind === "character").length > 1;
}
