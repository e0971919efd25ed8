/**
 * Decides how to respond to a request to the stream server. Free of I/O.
 *
 * @module
 */

import { MAX_STREAM_PATH } from "../base/defences.ts";
import type { Catalog, ServedFile, ServedTorrent, Target } from "./catalog.ts";
import { type Fields, isOurHost, judgeConditions, parseRange } from "./request_fields.ts";
import { contentType, isActiveContent } from "./content_type.ts";
import { listPage, playlist } from "./pages.ts";

/** The relevant parts of a request. */
export interface StreamRequest {
  /** `GET`, `HEAD` or an unsupported method. */
  readonly method: string;
  /** Percent-encoded path, without the query. */
  readonly path: string;
  /** Header fields. */
  readonly fields: Fields;
}

/** A response. */
export interface StreamResponse {
  /** Status code. */
  readonly status: number;
  /** Header fields, including the content length. */
  readonly headers: Readonly<Record<string, string>>;
  /** The body; `null` for none, as for `HEAD`. */
  readonly body: string | FilePart | null;
}

/** A part of a file. */
export interface FilePart {
  readonly torrent: ServedTorrent;
  readonly file: ServedFile;
  /** Offset of the first byte. */
  readonly begin: number;
  /** Offset after the last byte. */
  readonly end: number;
}

/** State of the server that responses depend on. */
export interface AnswerContext {
  /** Served torrents. */
  readonly catalog: Catalog;
  /** Address that the server listens on. */
  readonly bound: string;
  /** `http://host:port`. */
  readonly base: string;
}

/**
 * Header fields of every response. The browser must not cache files, which would fill its cache with films and leave
 * traces on disk; proxies must not compress them, which would change the length; other sites must not embed them;
 * browsers must not guess their types.
 */
const ALWAYS: Readonly<Record<string, string>> = {
  "cache-control": "no-store, no-transform",
  "cross-origin-resource-policy": "same-origin",
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
};
const PAGE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'";

/**
 * Responds to a request with a page, a playlist, a file or a part of it (RFC 9110), or an error.
 *
 * @param question The request.
 * @param context State of the server.
 * @returns The response.
 */
export function answerTo(question: StreamRequest, context: AnswerContext): StreamResponse {
  const { method, path, fields } = question;
  const isHead = method === "HEAD";
  if (!isOurHost(fields.get("host"), context.bound)) {
    return text(421, "This is a server for the machine that it runs on: ask for it by localhost.\n", { isHead });
  }
  if (method !== "GET" && !isHead) {
    return text(405, "Only GET and HEAD are understood.\n", { isHead, headers: { allow: "GET, HEAD" } });
  }
  if (path.length > MAX_STREAM_PATH) return text(414, "No path is that long.\n", { isHead });
  const target = context.catalog.find(path);
  if (target === null) return text(404, "There is no such file, or it is not downloaded.\n", { isHead });
  return target.kind === "file" ? fileAnswer(target, { fields, isHead }) : listAnswer(target, { context, isHead });
}

function listAnswer(
  target: Exclude<Target, { kind: "file" }>,
  { context, isHead }: { readonly context: AnswerContext; readonly isHead: boolean },
): StreamResponse {
  if (target.kind === "playlist") {
    return text(200, playlist(target.torrent, context.base), { isHead, type: "audio/x-mpegurl; charset=utf-8" });
  }
  const [torrents, title] = target.kind === "index"
    ? [context.catalog.torrents, "Shoal"]
    : [[target.torrent], target.torrent.name];
  const headers = { "content-security-policy": PAGE_POLICY };
  return text(200, listPage(torrents, title), { isHead, type: "text/html; charset=utf-8", headers });
}

function fileAnswer(
  { torrent, file }: Extract<Target, { kind: "file" }>,
  { fields, isHead }: { readonly fields: Fields; readonly isHead: boolean },
): StreamResponse {
  const tag = `"${torrent.infohash}-${file.index}"`;
  const type = contentType(file.path.at(-1)!);
  const headers = {
    ...ALWAYS,
    "accept-ranges": "bytes",
    etag: tag,
    ...(isActiveContent(type) && { "content-security-policy": "sandbox" }),
  };
  const { status, rangeCounts } = judgeConditions(fields, tag);
  if (status === 304) return { status, headers, body: null };
  if (status === 412) return text(412, "The file is another one.\n", { isHead, headers });
  // A range is defined for GET alone (RFC 9110 section 14.2).
  const range = parseRange(rangeCounts && !isHead ? fields.get("range") : null, file.length);
  if (range.kind === "unsatisfiable") {
    const contentRange = { "content-range": `bytes */${file.length}` };
    return text(416, `The file has ${file.length} bytes.\n`, { isHead, headers: { ...headers, ...contentRange } });
  }
  const { begin, end } = range.kind === "part" ? range : { begin: 0, end: file.length };
  return {
    status: range.kind === "part" ? 206 : 200,
    headers: {
      ...headers,
      "content-type": type,
      "content-length": String(end - begin),
      ...(range.kind === "part" && { "content-range": `bytes ${begin}-${end - 1}/${file.length}` }),
    },
    body: isHead ? null : { torrent, file, begin, end },
  };
}

function text(
  status: number,
  body: string,
  options: { readonly isHead: boolean; readonly type?: string; readonly headers?: Readonly<Record<string, string>> },
): StreamResponse {
  const { isHead, type = "text/plain; charset=utf-8", headers = {} } = options;
  const length = String(new TextEncoder().encode(body).length);
  return {
    status,
    headers: { ...ALWAYS, ...headers, "content-type": type, "content-length": length },
    body: isHead ? null : body,
  };
}
