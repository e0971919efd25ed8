/**
 * Limits the concurrent requests to each HTTP tracker. Hundreds of torrents may have the same tracker, and all of them
 * announce when the program starts, which would burden the tracker and take memory.
 *
 * @module
 */

import { MAX_REQUESTS_PER_TRACKER } from "../base/defences.ts";

/** Requests to one server. */
interface Server {
  underWay: number;
  /** Callbacks of waiting requests, first come, first served. */
  readonly waiting: Set<() => void>;
}

/** Queues by HTTP client: all torrents of a program share one, and each test has its own. */
const TURNS = new WeakMap<object, RequestQueue>();

/** Sends at most {@linkcode MAX_REQUESTS_PER_TRACKER} requests to a server at a time. */
export class RequestQueue {
  readonly #servers = new Map<string, Server>();

  /** Returns the queue of an HTTP client. */
  static of(http: object): RequestQueue {
    const turns = TURNS.get(http) ?? new RequestQueue();
    TURNS.set(http, turns);
    return turns;
  }

  /**
   * Sends a request in its turn.
   *
   * @param place Host and port of the server.
   * @param request Sends the request. Called at once if `signal` is aborted, so that the request rejects.
   * @param signal Aborts the request.
   * @returns The result of `request`.
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

  /** Resolves when the request may be sent, and counts it as sent. */
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
