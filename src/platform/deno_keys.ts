/**
 * Keyboard input from the real terminal.
 *
 * @module
 */

import type { Bytes } from "../base/bytes.ts";

/** Bytes of one read. */
const BUFFER = 1024;
/** Exit code of a program that Ctrl-\ ends, as in shells. */
const EXIT_QUIT = 131;

/** Options for {@linkcode readKeys}. */
export interface RawKeysOptions {
  /** `true` on Windows, where Ctrl-C is read as a byte. */
  readonly isWindows: boolean;
}

/**
 * Implements `Terminal.readKeys()`.
 *
 * @param listener Called with the bytes of each read.
 * @param options See {@linkcode RawKeysOptions}.
 * @returns Stops reading and restores the terminal. `null` if standard input is not a terminal.
 */
export function readKeys(
  listener: (bytes: Bytes) => void,
  options: RawKeysOptions,
): (() => void) | null {
  const { isWindows } = options;
  if (!Deno.stdin.isTerminal()) return null;
  let open = true;
  const take = (): void => Deno.stdin.setRaw(true, { cbreak: !isWindows });
  const giveBack = (): void => {
    try {
      Deno.stdin.setRaw(false);
    } catch {
      // The window is closed, so there is no terminal to restore.
    }
  };
  try {
    take();
  } catch {
    return null; // the mode can't be set, for example because the terminal was just closed
  }
  // The shell uses its own settings while the program is suspended, and restores them when the program continues.
  const again = (): void => {
    try {
      take();
    } catch {
      // The window is closed, so there is no mode to set.
    }
  };
  const quit = (): void => Deno.exit(EXIT_QUIT); // fires `unload`, which restores the terminal
  if (!isWindows) {
    Deno.addSignalListener("SIGCONT", again);
    Deno.addSignalListener("SIGQUIT", quit);
  }
  addEventListener("unload", giveBack);
  void readOn(() => open, listener);
  return () => {
    if (!open) return;
    open = false;
    if (!isWindows) {
      Deno.removeSignalListener("SIGCONT", again);
      Deno.removeSignalListener("SIGQUIT", quit);
    }
    removeEventListener("unload", giveBack);
    giveBack();
  };
}

/** Reads keys until stopped. The last read stays pending until the program ends, which doesn't wait for it. */
async function readOn(isOpen: () => boolean, listener: (bytes: Bytes) => void): Promise<void> {
  const buffer = new Uint8Array(BUFFER);
  while (isOpen()) {
    const count = await Deno.stdin.read(buffer).catch(() => null);
    if (count === null) return; // the window is closed, which `Terminal.onLeaveRequest` reports
    if (isOpen()) listener(buffer.slice(0, count));
  }
}
