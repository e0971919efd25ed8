/**
 * Keys from the real terminal.
 *
 * @module
 */

import type { Bytes } from "../base/bytes.ts";

/** Most bytes that are read at once. */
const BUFFER = 1024;
/** The code of a program that Ctrl-\ ends, as shells have it. */
const EXIT_QUIT = 131;

/**
 * See `Terminal.readKeys()`.
 *
 * @param listener Takes the bytes.
 * @param options `isWindows`: then Ctrl-C comes as a byte.
 * @returns Takes it back; `null` when standard input is no terminal.
 */
export function readKeys(
  listener: (bytes: Bytes) => void,
  options: { readonly isWindows: boolean },
): (() => void) | null {
  const { isWindows } = options;
  if (!Deno.stdin.isTerminal()) return null;
  let open = true;
  const take = (): void => Deno.stdin.setRaw(true, { cbreak: !isWindows });
  const giveBack = (): void => {
    try {
      Deno.stdin.setRaw(false);
    } catch {
      // The window is closed: there is nothing to be put right.
    }
  };
  try {
    take();
  } catch {
    return null; // a terminal that can't be set, as one that has just been closed
  }
  // The shell has its own settings while the program is suspended, and puts them back when it goes on.
  const again = (): void => {
    try {
      take();
    } catch {
      // as above
    }
  };
  const quit = (): void => Deno.exit(EXIT_QUIT); // by way of `unload`
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

/** A read that waits when it is over stays; it ends with the program, which doesn't wait for it. */
async function readOn(isOpen: () => boolean, listener: (bytes: Bytes) => void): Promise<void> {
  const buffer = new Uint8Array(BUFFER);
  while (isOpen()) {
    const count = await Deno.stdin.read(buffer).catch(() => null);
    if (count === null) return; // the window is closed; whoever listens for that is told
    if (isOpen()) listener(buffer.slice(0, count));
  }
}
