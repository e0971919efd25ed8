/**
 * Chooses the view of a session.
 *
 * @module
 */

import type { Terminal } from "../platform/terminal.ts";
import type { View, ViewOptions } from "../ui/view.ts";
import type { NetworkOptions } from "./network_options.ts";

/**
 * Opens the view that the options and the terminal ask for.
 *
 * @param wanted `--json` and `--quiet`.
 * @param options See {@linkcode ViewOptions}.
 * @returns The view, not started.
 */
export async function openView(wanted: Pick<NetworkOptions, "json" | "quiet">, options: ViewOptions): Promise<View> {
  // Each view is loaded only where it is used. The quiet view starts fastest.
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
 * Returns `true` if the terminal can only print lines. Windows has no `TERM`.
 *
 * @param terminal Environment variables.
 */
export function isDumb(terminal: Pick<Terminal, "env" | "isWindows">): boolean {
  const kind = terminal.env("TERM") ?? "";
  return kind === "dumb" || (kind === "" && !terminal.isWindows);
}
