/**
 * HTTP requests with `fetch`, for proxies and for connections from a local address that can't be made otherwise, and
 * plain words for connection errors.
 *
 * @module
 */

import type { Bytes } from "../base/bytes.ts";
import { messageOf } from "../base/errors.ts";
import type { Exchange, RequestLines } from "./http_reply.ts";
import { withoutNumber } from "./network_words.ts";
import { HttpError } from "./platform.ts";

/** How {@linkcode fetchBy} connects. */
export interface FetchRoute {
  /** Local address to connect from. */
  readonly bind?: string | undefined;
  /** URL of the proxy to go through. */
  readonly proxy?: string | undefined;
}

/**
 * Sends a request with `fetch`, which resolves the host itself. Redirects are not followed.
 *
 * @param route See {@linkcode FetchRoute}.
 * @param request The request.
 * @param signal Aborts the request.
 * @returns The response.
 * @throws {Error} What `fetch` throws.
 */
export async function fetchBy(
  { bind, proxy }: FetchRoute,
  request: RequestLines,
  signal: AbortSignal,
): Promise<Exchange> {
  const { method, url, body } = request;
  const headers = new Headers(request.headers);
  headers.delete("connection");
  const client = Deno.createHttpClient({
    ...(bind !== undefined && { localAddress: bind }),
    ...(proxy !== undefined && { proxy: { url: proxy } }),
  });
  let over = false;
  const end = () => {
    if (!over) client.close();
    over = true;
  };
  try {
    const init = { method, headers, redirect: "manual", signal, client, ...(body !== undefined && { body }) } as const;
    const response = await fetch(url, init);
    const reader = response.body?.getReader() ?? null;
    return {
      status: response.status,
      headers: response.headers,
      decoded: true,
      async read(): Promise<Bytes | null> {
        if (over) return null;
        for (;;) {
          const part = await reader?.read() ?? { done: true as const, value: undefined };
          if (!part.done && part.value.length === 0) continue;
          // A cancelled body ends like a complete one.
          signal.throwIfAborted();
          if (!part.done) return part.value as Bytes;
          end();
          return null;
        }
      },
      cancel() {
        if (over) return;
        end();
        // The body isn't read any more, so a late failure doesn't matter.
        reader?.cancel().catch(() => {});
      },
    };
  } catch (error) {
    end();
    throw error;
  }
}

/** Our words for parts of error texts of sockets and `fetch`, which differ between versions and systems. */
const MEANINGS: readonly (readonly [RegExp, string | ((place: Place) => string)])[] = [
  [/localAddress|invalid address|bind|EADDRNOTAVAIL|Invalid IP address/i, ({ bind }) => `cannot connect from ${bind}`],
  [/connection refused|actively refused|ECONNREFUSED/i, "connection refused"],
  [/dns error|failed to lookup/i, ({ url }) => `no address is known for the host "${hostOf(url)}"`],
  [/certificate|UnknownIssuer/i, "the server's certificate is not valid"],
  [/corrupt message|tls|handshake/i, "the server does not answer in TLS"],
  [/network is unreachable|no route to host|ENETUNREACH|EHOSTUNREACH/i, "the network is unreachable"],
  [/timed out|ETIMEDOUT/i, "the connection timed out"],
  [
    /gzip|deflate|brotli|decompress|decode|failed to write whole buffer|unexpected end of (?:file|input)/i,
    "the answer is not compressed as it says",
  ],
  [
    /reset by peer|before message completed|reading a body|broken pipe|aborted|ECONNRESET|EPIPE/i,
    "the connection was cut off",
  ],
  [/parsed|parse error|invalid http/i, "the answer is not HTTP"],
  [/are blocked/i, ({ url }) => `port ${new URL(url).port} is not allowed for HTTP`],
];

/** Values that an error message can mention. */
interface Place {
  readonly url: string;
  readonly bind: string | undefined;
}

/**
 * Says in plain words why there is no response.
 *
 * @param error Thrown by a socket, by `fetch`, or while reading a body.
 * @param place Values that the message can mention: the URL, and the local address.
 * @returns The error to throw.
 */
export function explain(error: unknown, place: Place): HttpError {
  const text = error instanceof Error && error.cause ? messageOf(error.cause) : messageOf(error);
  // Most texts contain the URL, which could match any of the patterns.
  const plain = text.replaceAll(place.url, "").replace(/\([^()]*:\/\/[^()]*\)/g, "");
  const meaning = MEANINGS.find(([pattern]) => pattern.test(plain))?.[1];
  const message = meaning === undefined ? withoutNumber(text) : typeof meaning === "string" ? meaning : meaning(place);
  return new HttpError(message, { cause: error });
}

function hostOf(url: string): string {
  return new URL(url).hostname;
}
