/**
 * Cleaning up that happens in every case: at the end of a test, and when the test's process is interrupted or killed.
 *
 * @module
 */

/** A shell script that runs when the guard is disposed of, or when this process is gone. */
export class Guard implements AsyncDisposable {
  readonly #shell: Deno.ChildProcess;

  /**
   * @param script What is to be done in the end; gets `args` as `$1`, `$2` ...
   * @param args Its arguments.
   */
  constructor(script: string, ...args: string[]) {
    // The shell waits for the end of its input, which comes with the end of this process, whatever ends it. Keys that
    // interrupt the test are sent to its children, too, so the shell has to be deaf to them.
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
   * @throws {Error} If it fails; the message is what it says.
   */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#shell.stdin.close();
    const [{ success }, errors] = await Promise.all([this.#shell.status, new Response(this.#shell.stderr).text()]);
    if (!success) throw new Error(`cleaning up failed: ${errors}`);
  }
}
