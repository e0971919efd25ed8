/**
 * The view for who wants none: no progress, messages only when asked for with -v.
 *
 * @module
 */

import { LogLines, plainLogLine } from "./log_lines.ts";
import type { View, ViewEvent, ViewOptions } from "./view.ts";

/** {@linkcode View} that shows nothing by itself. */
export class QuietView implements View {
  readonly #options: ViewOptions;
  readonly #log: LogLines;

  /** @param options Where messages go, if any. */
  constructor(options: ViewOptions) {
    this.#options = options;
    this.#log = new LogLines(options.verbosity);
  }

  /** Nothing to start. */
  start(): void {}

  /** @param event Said on standard error with `-v`. */
  event(event: ViewEvent): void {
    if (this.#options.verbosity === 0) return;
    const line = this.#log.of(event);
    if (line !== null) void this.#options.terminal.stderr.write(plainLogLine(line));
  }

  /** @param text Said on standard error with `-v`. */
  note(text: string): void {
    if (this.#options.verbosity === 0) return;
    void this.#options.terminal.stderr.write(plainLogLine({ level: "note", text }));
  }

  /** The error line is enough. */
  failed(): void {}

  /** Nothing to end. */
  close(): Promise<void> {
    return Promise.resolve();
  }
}
