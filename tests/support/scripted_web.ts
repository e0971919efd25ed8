/**
 * Web servers that answer by a script, on a virtual clock.
 *
 * @module
 */

import type { Bytes } from "../../src/base/bytes.ts";
import { HttpError, type HttpStream, type HttpStreamRequest } from "../../src/platform/platform.ts";
import type { VirtualClock } from "./virtual_clock.ts";

/** Answer of a server to a request. */
export interface WebAnswer {
  /** HTTP status; 206 when absent. */
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** Empty when absent. */
  readonly body?: Bytes;
  /** If `true`, the connection breaks off after the body. */
  readonly cut?: boolean;
  /** If `true`, the response stalls after the body. */
  readonly hang?: boolean;
  /** Bytes per read; 40,000 when absent, so that reads and blocks end at different offsets. */
  readonly step?: number;
  /** Milliseconds before each read; 0 when absent. */
  readonly pause?: number;
  /** Error of the request, which gets no answer. */
  readonly refuse?: string;
  /** URL that the request is redirected to. */
  readonly redirect?: string;
}

/** A recorded request. */
export interface WebCall {
  readonly url: string;
  /** `first-last`, or `null` for a request without a range. */
  readonly range: string | null;
  /** Bytes of the body read so far. */
  taken: number;
  /** `true` once the request has ended for any reason. */
  ended: boolean;
}

/** Answers requests by a script. */
export class ScriptedWeb {
  /** Every request that reached a server, in order. */
  readonly calls: WebCall[] = [];
  readonly #clock: VirtualClock;
  readonly #script: (call: WebCall) => WebAnswer;

  /** @param script Decides the answer to each request. */
  constructor(clock: VirtualClock, script: (call: WebCall) => WebAnswer) {
    this.#clock = clock;
    this.#script = script;
  }

  /** Number of requests under way. */
  get open(): number {
    return this.calls.filter((call) => !call.ended).length;
  }

  /** Implements `Http.stream()`. */
  stream = async (request: HttpStreamRequest): Promise<HttpStream> => {
    if (request.signal?.aborted) throw new HttpError("the request was given up");
    const range = request.headers?.["range"]?.replace("bytes=", "") ?? null;
    const call: WebCall = { url: request.url, range, taken: 0, ended: false };
    this.calls.push(call);
    const answer = this.#script(call);
    await Promise.resolve();
    if (answer.refuse !== undefined) {
      call.ended = true;
      throw new HttpError(answer.refuse);
    }
    if (answer.redirect !== undefined) {
      call.ended = true;
      return await this.stream({ ...request, url: answer.redirect });
    }
    return this.#answer(call, answer, request);
  };

  #answer(call: WebCall, answer: WebAnswer, request: HttpStreamRequest): HttpStream {
    const { status = 206, headers = {}, body = new Uint8Array(), step = 40_000, pause = 0 } = answer;
    let fail: ((error: Error) => void) | null = null;
    let gone: Error | null = null;
    const giveUp = () => {
      call.ended = true;
      gone ??= new HttpError("the request was given up");
      fail?.(gone);
    };
    request.signal?.addEventListener("abort", giveUp, { once: true });
    const read = async (): Promise<Bytes | null> => {
      if (gone) throw gone;
      const waits = pause > 0 || (answer.hang && call.taken === body.length);
      if (waits) {
        await new Promise<void>((resolve, reject) => {
          fail = reject;
          if (pause > 0 && !(answer.hang && call.taken === body.length)) this.#clock.after(pause, resolve);
        });
        fail = null;
      }
      if (gone) throw gone;
      const bytes = body.slice(call.taken, call.taken + step);
      call.taken += bytes.length;
      if (bytes.length > 0) return bytes;
      call.ended = true;
      if (answer.cut) throw new HttpError("the connection was cut off");
      return null;
    };
    return { status, headers: new Headers(headers), url: new URL(call.url).href, read, cancel: giveUp };
  }
}

/**
 * Answers as a server that supports ranges does.
 *
 * @param file Contents of the URL.
 * @returns Status 206, or 200 for a request without a range.
 */
export function serveRange(call: WebCall, file: Bytes): WebAnswer {
  if (call.range === null) return { status: 200, headers: { "content-length": `${file.length}` }, body: file };
  const [first, last] = call.range.split("-").map(Number) as [number, number];
  const body = file.slice(first, last + 1);
  const headers = { "content-length": `${body.length}`, "content-range": `bytes ${first}-${last}/${file.length}` };
  return { status: 206, headers, body };
}
