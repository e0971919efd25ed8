/**
 * Cleanup that runs in every case: at the end of a test, and when the test's process is interrupted or killed.
 *
 * @module
 */

/** A shell script that runs when the guard is disposed of or when this process ends. */
export class Guard implements AsyncDisposable {
  readonly #shell: Deno.ChildProcess;

  /** @param script Cleanup script, which gets `args` as `$1`, `$2` and so on. */
  constructor(script: string, ...args: string[]) {
    // The shell waits for the end of its input, which comes with the end of this process, for whatever reason. Keys
    // that interrupt the test signal its children, too, so the shell ignores these signals.
    this.#shell = new Deno.Command("sh", {
      args: ["-c", `trap '' INT TERM HUP; cat > /dev/null; ${script}`, "sh", ...args],
      stdin: "piped",
      stdout: "null",
      stderr: "piped",
    }).spawn();
  }

  /**
   * Runs the script now.
   *
   * @throws {Error} If the script fails, with the script's error output.
   */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#shell.stdin.close();
    const [{ success }, errors] = await Promise.all([this.#shell.status, new Response(this.#shell.stderr).text()]);
    if (!success) throw new Error(`cleaning up failed: ${errors}`);
  }
}
