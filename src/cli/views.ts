/**
 * Chooses how to show a session.
 *
 * @module
 */

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
  if (options.terminal.stdout.isTerminal && options.terminal.env("TERM") !== "dumb") {
    const { LiveView } = await import("../ui/live_view.ts");
    return new LiveView(options);
  }
  const { PlainView } = await import("../ui/plain_view.ts");
  return new PlainView(options);
}
