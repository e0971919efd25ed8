/**
 * Where resume state lives.
 *
 * @module
 */

import type { Terminal } from "../platform/terminal.ts";

/**
 * The folder for what Shoal remembers between runs.
 *
 * @param terminal Knows the environment.
 * @returns `shoal` below `XDG_STATE_HOME`, below `~/.local/state`, or on Windows below `LOCALAPPDATA`; `null` when the
 * environment names none of them, and nothing is remembered.
 */
export function stateFolder(terminal: Pick<Terminal, "env" | "isWindows">): string | null {
  const xdg = terminal.env("XDG_STATE_HOME");
  // by the XDG specification, a relative path there is to be ignored
  if (xdg?.startsWith("/")) return `${xdg}/shoal`;
  if (terminal.isWindows) {
    const local = terminal.env("LOCALAPPDATA");
    return local ? `${local}\\shoal` : null;
  }
  const home = terminal.env("HOME");
  return home ? `${home}/.local/state/shoal` : null;
}
