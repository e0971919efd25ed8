/**
 * Chooses how to show a session.
 *
 * @module
 */

import type { Terminal } from "../platform/terminal.ts";
import type { View, ViewOptions } from "../ui/view.ts";
import type { NetworkOptions } from "./network_options.ts";

/**
 * The view that options and terminal ask for.
 *
 * @param wanted `--json` and `--quiet`.
 * @param options What to draw from and on.
 * @returns The view, not started.
 */
export async function openView(wanted: Pick<NetworkOptions, "json" | "quiet">, options: ViewOptions): Promise<View> {
  // each view is loaded only where it is used: the quiet one starts fastest
  if (wanted.json) {
    const { JsonView } = await import("../ui/json_view.ts");
    return new JsonView(options);
  }
  if (wanted.quiet) {
    const { QuietView } = await import("../ui/quiet_view.ts");
    return new QuietView(options);
  }
  if (options.terminal.stdout.isTerminal && !isDumb(options.terminal)) {
    const { LiveView } = await import("../ui/live_view.ts");
    return new LiveView(options);
  }
  const { PlainView } = await import("../ui/plain_view.ts");
  return new PlainView(options);
}

/**
 * Whether nothing is known of the terminal but that it prints; Windows has no TERM.
 *
 * @param terminal Knows the environment.
 * @returns Whether nothing can be drawn on it.
 */
export function isDumb(terminal: Pick<Terminal, "env" | "isWindows">): boolean {
  const kind = terminal.env("TERM") ?? "";
  return kind === "dumb" || (kind === "" && !terminal.isWindows);
}
