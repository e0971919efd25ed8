/**
 * Hundreds of torrents may have the same tracker, and all of them ask it when the program starts: a few at a time is kinder to it,
 * and to our memory.
 *
 * @module
 */

import { MAX_REQUESTS_PER_TRACKER } from "../base/defences.ts";

/** Requests to one server. */
interface Server {
  underWay: number;
  /** Those that wait for their turn, who came first first. */
  readonly waiting: Set<() => void>;
}

/** By the way out: all torrents of a program have the same, and a test has its own. */
const TURNS = new WeakMap<object, RequestQueue>();

/** Lets no more than {@linkcode MAX_REQUESTS_PER_TRACKER} requests go to one server at a time. */
export class RequestQueue {
  readonly #servers = new Map<string, Server>();

  /**
   * @param http The way out.
   * @returns The turns of all who use it.
   */
  static of(http: object): RequestQueue {
    const turns = TURNS.get(http) ?? new RequestQueue();
    TURNS.set(http, turns);
    return turns;
  }

  /**
   * Sends a request when it is its turn.
   *
   * @param place The server, as host and port.
   * @param request Sends it. If `signal` is aborted before its turn it is sent at once, to find that out.
   * @param signal Gives up.
   * @returns What `request` gives.
   */
  async take<T>(place: string, request: () => Promise<T>, signal: AbortSignal): Promise<T> {
    const server = this.#servers.get(place) ?? { underWay: 0, waiting: new Set() };
    this.#servers.set(place, server);
    if (server.underWay >= MAX_REQUESTS_PER_TRACKER && !signal.aborted) await this.#wait(server, signal);
    else server.underWay++;
    try {
      return await request();
    } finally {
      server.underWay--;
      const [next] = server.waiting;
      if (next) next();
      else if (server.underWay === 0) this.#servers.delete(place);
    }
  }

  /** Settles when it counts as being under way. */
  #wait(server: Server, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const go = (): void => {
        server.waiting.delete(go);
        server.underWay++;
        signal.removeEventListener("abort", go);
        resolve();
      };
      server.waiting.add(go);
      signal.addEventListener("abort", go);
    });
  }
}
