/**
 * nginx as a web seed.
 *
 * @module
 */

import type { Job } from "../support/job.ts";
import type { Host } from "./network.ts";
import type { Lab } from "./lab.ts";

const PORT = 8080;

/** A web server of a lab that serves its payload. */
export class Nginx {
  readonly #folder: string;
  readonly #place: { readonly job: Job; readonly host: Host };

  private constructor(folder: string, place: { readonly job: Job; readonly host: Host }) {
    this.#folder = folder;
    this.#place = place;
  }

  /**
   * Starts it.
   *
   * @param lab Where; its payload is served.
   * @param options `folder`: empty, for its own files. `rate`: bytes a second for each connection; unlimited when absent. `host`:
   * where it ran before. `label`: the `Content-Encoding` that it puts on everything, stored as it is.
   * @returns The server. It may need a moment until it answers.
   */
  static async start(
    lab: Lab,
    options: { readonly folder: string; readonly rate?: number; readonly host?: Host; readonly label?: string },
  ): Promise<Nginx> {
    const { folder } = options;
    const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
      .map((name) => `${name}_temp_path ${folder}/${name};`).join(" ");
    // One process, which ends when it is killed.
    const label = options.label === undefined ? "" : `add_header Content-Encoding ${options.label};`;
    const settings = `user root; daemon off; master_process off; pid ${folder}/pid; error_log stderr;
      events {}
      http {
        ${temporary}
        log_format sent '$body_bytes_sent';
        access_log ${folder}/log sent;
        sendfile on; ${label} limit_rate ${options.rate ?? 0};
        server { listen ${PORT}; root "${lab.payload.folder}"; }
      }`;
    await Deno.writeTextFile(`${folder}/conf`, settings);
    const argv = ["nginx", "-p", folder, "-c", `${folder}/conf`];
    const place = await lab.program("nginx", argv, options.host === undefined ? {} : { host: options.host });
    return new Nginx(folder, place);
  }

  /** The URL of its root, with a slash at the end. */
  get url(): string {
    return `http://${this.#place.host.address}:${PORT}/`;
  }

  /** Where it runs. */
  get host(): Host {
    return this.#place.host;
  }

  /** Ends it without a word. */
  async kill(): Promise<void> {
    this.#place.job.signal("SIGKILL");
    await this.#place.job.ended;
  }

  /** Bytes of bodies that it has sent, in requests that have ended. */
  async sent(): Promise<number> {
    const sizes = (await Deno.readTextFile(`${this.#folder}/log`)).trim().split("\n").map(Number);
    return sizes.reduce((sum, size) => sum + size, 0);
  }
}
