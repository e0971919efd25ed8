/**
 * Debian's Chromium, headless, driven over the Chrome DevTools Protocol.
 *
 * @module
 */

import { Job, within } from "../support/job.ts";

/** A browser with one page. */
export class Chromium implements AsyncDisposable {
  readonly #job: Job;
  readonly #socket: WebSocket;
  readonly #waiting = new Map<number, PromiseWithResolvers<Answer>>();
  #last = 0;

  private constructor(job: Job, socket: WebSocket) {
    this.#job = job;
    this.#socket = socket;
    socket.onmessage = ({ data }) => {
      const answer = JSON.parse(data) as Answer;
      if (answer.id !== undefined) this.#waiting.get(answer.id)?.resolve(answer);
    };
    socket.onclose = () => {
      for (const { reject } of this.#waiting.values()) reject(new Error("The browser has gone"));
    };
  }

  /**
   * Starts the browser.
   *
   * @param folder Folder for the profile.
   * @param url Page to open.
   * @returns The browser. Dispose of it.
   */
  static async open(folder: string, url: string): Promise<Chromium> {
    const options = [
      "--headless=new",
      "--no-sandbox", // The sandbox doesn't work as root, and the only page is the test's own.
      "--disable-gpu",
      "--disable-dev-shm-usage",
      "--mute-audio",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--autoplay-policy=no-user-gesture-required",
      "--remote-debugging-port=0",
      `--user-data-dir=${folder}`,
    ];
    // Chromium prints the address that it listens on to standard error.
    const job = new Job(["sh", "-c", 'exec "$@" 2>&1', "sh", "chromium", ...options, "about:blank"], {
      name: "chromium",
      env: { HOME: folder, XDG_CONFIG_HOME: folder, XDG_CACHE_HOME: folder },
    });
    try {
      const listening = /DevTools listening on ws:\/\/([^/]+)/;
      const line = await job.line((text) => listening.test(text), { seconds: 60, what: "it listened" });
      const response = await fetch(`http://${listening.exec(line)![1]}/json/new`, { method: "PUT" });
      const { webSocketDebuggerUrl } = await response.json();
      const socket = new WebSocket(webSocketDebuggerUrl);
      await new Promise((resolve, reject) => {
        socket.onopen = resolve;
        socket.onerror = () => reject(new Error("Chromium's debugging socket can't be opened"));
      });
      const browser = new Chromium(job, socket);
      // The answer comes once the page is loading, so scripts run in this page and not in the blank page before it.
      await browser.#send("Page.navigate", { url }, 60);
      return browser;
    } catch (error) {
      await job.stop();
      throw error;
    }
  }

  /**
   * Runs a script in the page.
   *
   * @param script Body of an async function.
   * @param seconds Timeout in seconds.
   * @returns The value that the script returns.
   * @throws {Error} If the script throws.
   */
  async run<T>(script: string, seconds: number): Promise<T> {
    const expression = `(async () => { ${script} })()`;
    const { result, exceptionDetails } = await this.#send<Evaluated>(
      "Runtime.evaluate",
      { expression, awaitPromise: true, returnByValue: true },
      seconds,
    );
    if (exceptionDetails) throw new Error(`In the page: ${exceptionDetails.exception?.description}`);
    return result.value as T;
  }

  async #send<T>(method: string, params: object, seconds: number): Promise<T> {
    const id = ++this.#last;
    const waiting = Promise.withResolvers<Answer>();
    this.#waiting.set(id, waiting);
    try {
      this.#socket.send(JSON.stringify({ id, method, params }));
      const { result, error } = await within(waiting.promise, { seconds, what: `the browser's answer to ${method}` });
      if (error) throw new Error(`${method}: ${error.message}`);
      return result as T;
    } finally {
      this.#waiting.delete(id);
    }
  }

  /** Stops the browser. */
  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise((resolve) => this.#socket.onclose = resolve);
    this.#socket.close();
    await Promise.race([closed, this.#job.ended]);
    await this.#job.stop();
  }
}

/** A message from the browser (Chrome DevTools Protocol). */
interface Answer {
  readonly id?: number;
  readonly error?: { readonly message: string };
  readonly result?: unknown;
}

/** The answer to `Runtime.evaluate`. */
interface Evaluated {
  readonly result: { readonly value: unknown };
  readonly exceptionDetails?: { readonly exception?: { readonly description?: string } };
}
