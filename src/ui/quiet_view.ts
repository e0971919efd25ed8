/**
 * The view without progress (`--quiet`). Messages are printed only with `-v`, except for warnings that something is
 * lost.
 *
 * @module
 */

import { LogLines, plainLogLine } from "./log_lines.ts";
import type { View, ViewEvent, ViewOptions } from "./view.ts";

/** A {@linkcode View} that prints nothing but messages with `-v`, and warnings that something is lost. */
export class QuietView implements View {
  readonly isPicture = false;
  readonly #options: ViewOptions;
  readonly #log: LogLines;

  constructor(options: ViewOptions) {
    this.#options = options;
    this.#log = new LogLines(options.verbosity);
  }

  /** Nothing to start. */
  start(): void {}

  /** @param event Printed on standard error with `-v`, or if something is lost. */
  event(event: ViewEvent): void {
    if (event.event === "error") return; // the caller writes its error line
    const loses = event.event === "warning" && event.loses === true;
    const line = this.#log.of(event);
    if (line !== null && (loses || this.#options.verbosity > 0)) {
      void this.#options.terminal.stderr.write(plainLogLine(line));
    }
  }

  /** @param text Printed on standard error with `-v`. */
  note(text: string): void {
    if (this.#options.verbosity === 0) return;
    void this.#options.terminal.stderr.write(plainLogLine({ level: "note", text }));
  }

  /** Failures are reported by the error line. */
  failed(): void {}

  /** Nothing to close. */
  close(): Promise<void> {
    return Promise.resolve();
  }
}
