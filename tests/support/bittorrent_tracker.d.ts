/** Declarations of the parts of npm's `bittorrent-tracker` that the tests use; the package has no declarations. */

interface Emitter {
  on(event: "error" | "warning", listener: (error: Error) => void): this;
}

/** Counts of a swarm, as a tracker reports them. */
export interface Swarm {
  readonly complete: number;
  readonly incomplete: number;
}

/** A tracker client. */
export default class Client implements Emitter {
  constructor(options: {
    readonly infoHash: string;
    readonly peerId: string;
    readonly announce: readonly string[];
    readonly port: number;
    readonly wrtc: false;
  });
  on(event: "error" | "warning", listener: (error: Error) => void): this;
  once(event: "peer", listener: (address: string) => void): this;
  once(event: "update", listener: (swarm: Swarm) => void): this;
  once(event: "scrape", listener: (swarm: Swarm & { readonly downloaded: number }) => void): this;
  start(options: { readonly left: number; readonly uploaded?: number; readonly downloaded?: number }): void;
  complete(options: { readonly left: number; readonly downloaded?: number }): void;
  stop(options: { readonly left: number }): void;
  scrape(): void;
  destroy(done: () => void): void;
}

/** A tracker server. */
export class Server implements Emitter {
  constructor(options: {
    readonly http: boolean;
    readonly udp: boolean;
    readonly ws: boolean;
    readonly stats: boolean;
    readonly interval?: number;
    readonly filter?: (infoHash: string, params: unknown, done: (error: Error | null) => void) => void;
  });
  readonly http: { address(): { readonly port: number } };
  readonly udp: { address(): { readonly port: number } } | null;
  on(event: "error" | "warning", listener: (error: Error) => void): this;
  on(
    event: "start" | "complete" | "update" | "stop",
    listener: (address: string, params: { readonly left: number; readonly key?: string }) => void,
  ): this;
  listen(port: number, host: string, done?: () => void): void;
  close(done: () => void): void;
}
