/**
 * nginx as a web seed.
 *
 * @module
 */

import type { Job } from "../support/job.ts";
import type { Host } from "./network.ts";
import type { Lab } from "./lab.ts";

const PORT = 8080;

/** Options for {@linkcode Nginx.start}. */
export interface NginxOptions {
  /** Empty folder for nginx's own files. */
  readonly folder: string;
  /** Limit in bytes a second for each connection. Unlimited by default. */
  readonly rate?: number;
  /** Host to run nginx on, a new host by default. */
  readonly host?: Host;
  /** `Content-Encoding` header of every response. The body is sent as it is stored. No header by default. */
  readonly label?: string;
}

/** A web server in a lab that serves the lab's payload. */
export class Nginx {
  readonly #folder: string;
  readonly #place: { readonly job: Job; readonly host: Host };

  private constructor(folder: string, place: { readonly job: Job; readonly host: Host }) {
    this.#folder = folder;
    this.#place = place;
  }

  /**
   * Starts nginx.
   *
   * @param lab Lab that nginx runs in. Its payload is served.
   * @param options See {@linkcode NginxOptions}.
   * @returns The server. It may not accept connections yet.
   */
  static async start(lab: Lab, options: NginxOptions): Promise<Nginx> {
    const { folder } = options;
    const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
      .map((name) => `${name}_temp_path ${folder}/${name};`).join(" ");
    const label = options.label === undefined ? "" : `add_header Content-Encoding ${options.label};`;
    // Without a master process, killing the one process ends the server.
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

  /** URL of the payload's folder, with a slash at the end. */
  get url(): string {
    return `http://${this.#place.host.address}:${PORT}/`;
  }

  /** Host that nginx runs on. */
  get host(): Host {
    return this.#place.host;
  }

  /** Kills nginx with SIGKILL. */
  async kill(): Promise<void> {
    this.#place.job.signal("SIGKILL");
    await this.#place.job.ended;
  }

  /** Returns the bytes of bodies that nginx has sent in finished requests. */
  async sent(): Promise<number> {
    const sizes = (await Deno.readTextFile(`${this.#folder}/log`)).trim().split("\n").map(Number);
    return sizes.reduce((sum, size) => sum + size, 0);
  }
}
