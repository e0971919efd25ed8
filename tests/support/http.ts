/**
 * An HTTP server on the loopback interface with answers that a test decides.
 *
 * @module
 */

/** A running server. */
export interface TestServer extends AsyncDisposable {
  /** `http://127.0.0.1:PORT`. */
  readonly url: string;
  /** Requested paths with their queries, in order. */
  readonly requests: readonly string[];
}

/**
 * Serves HTTP on a free port of the loopback interface.
 *
 * @param answer Returns the response to a request.
 * @returns The server; dispose of it.
 */
export function serve(answer: (request: Request) => Response): TestServer {
  const requests: string[] = [];
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, (request) => {
    requests.push(request.url.slice(request.url.indexOf("/", 8)));
    return answer(request);
  });
  return {
    url: `http://127.0.0.1:${server.addr.port}`,
    requests,
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}
