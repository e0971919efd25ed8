/**
 * `fetch`, for proxies and for connections from a chosen address that can't be made otherwise; and what failures mean, in plain
 * words.
 *
 * @module
 */

import type { Bytes } from "../base/bytes.ts";
import { messageOf } from "../base/errors.ts";
import type { Exchange, RequestLines } from "./http_reply.ts";
import { HttpError } from "./platform.ts";

/**
 * Sends a request with `fetch`, which looks the host up by itself.
 *
 * @param way `bind`: local address to connect from. `proxy`: URL of the proxy to go through.
 * @param request What is asked for.
 * @param signal Gives up.
 * @returns The answer, be it a redirect.
 * @throws {Error} What `fetch` throws.
 */
export async function fetchBy(
  { bind, proxy }: { readonly bind?: string | undefined; readonly proxy?: string | undefined },
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
          // A body that was cancelled ends like one that is complete.
          signal.throwIfAborted();
          if (!part.done) return part.value as Bytes;
          end();
          return null;
        }
      },
      cancel() {
        if (over) return;
        end();
        // Nobody reads on, so that a failure at the very end is of no interest.
        reader?.cancel().catch(() => {});
      },
    };
  } catch (error) {
    end();
    throw error;
  }
}

/** What the texts of sockets and of `fetch` mean. They differ between versions and systems, so a part of each must do. */
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

/** What an error text can name. */
interface Place {
  readonly url: string;
  readonly bind: string | undefined;
}

/**
 * Says in plain words why there is no answer.
 *
 * @param error What a socket, `fetch`, or the reading of a body threw.
 * @param place `url`: what was asked. `bind`: from which address.
 * @returns The error to throw.
 */
export function explain(error: unknown, place: Place): HttpError {
  const text = error instanceof Error && error.cause ? messageOf(error.cause) : messageOf(error);
  // the URL is in most texts, and could hold any of the words
  const plain = text.replaceAll(place.url, "").replace(/\([^()]*:\/\/[^()]*\)/g, "");
  const meaning = MEANINGS.find(([pattern]) => pattern.test(plain))?.[1];
  const message = meaning === undefined ? text : typeof meaning === "string" ? meaning : meaning(place);
  return new HttpError(message, { cause: error });
}

function hostOf(url: string): string {
  return new URL(url).hostname;
}
