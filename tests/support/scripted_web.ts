/**
 * Web servers that answer by a script, on a virtual clock.
 *
 * @module
 */

import type { Bytes } from "../../src/base/bytes.ts";
import { HttpError, type HttpStream, type HttpStreamRequest } from "../../src/platform/platform.ts";
import type { VirtualClock } from "./virtual_clock.ts";

/** What a server does with a request. */
export interface WebAnswer {
  /** 206 when absent. */
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** Nothing when absent. */
  readonly body?: Bytes;
  /** The connection is cut off when the body has been sent. */
  readonly cut?: boolean;
  /** Nothing more comes when the body has been sent. */
  readonly hang?: boolean;
  /** Bytes of each part; 40,000 when absent, so that parts and blocks end at different places. */
  readonly step?: number;
  /** Milliseconds before each part; 0 when absent. */
  readonly pause?: number;
  /** There is no answer at all, for this reason. */
  readonly refuse?: string;
  /** The answer comes from somewhere else. */
  readonly redirect?: string;
}

/** A request that was made. */
export interface WebCall {
  readonly url: string;
  /** `first-last`, or `null` when all was asked for. */
  readonly range: string | null;
  /** Bytes of the body that were read. */
  taken: number;
  /** Whether it is over, one way or the other. */
  ended: boolean;
}

/** Answers requests by a script. */
export class ScriptedWeb {
  /** Every request that reached a server, in order. */
  readonly calls: WebCall[] = [];
  readonly #clock: VirtualClock;
  readonly #script: (call: WebCall) => WebAnswer;

  /**
   * @param clock Time.
   * @param script Decides what each request gets.
   */
  constructor(clock: VirtualClock, script: (call: WebCall) => WebAnswer) {
    this.#clock = clock;
    this.#script = script;
  }

  /** Requests that are under way. */
  get open(): number {
    return this.calls.filter((call) => !call.ended).length;
  }

  /** `Http.stream()`. */
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
 * The answer of a server that knows ranges.
 *
 * @param call The request.
 * @param file What the URL names.
 * @returns 206, or 200 when all was asked for.
 */
export function serveRange(call: WebCall, file: Bytes): WebAnswer {
  if (call.range === null) return { status: 200, headers: { "content-length": `${file.length}` }, body: file };
  const [first, last] = call.range.split("-").map(Number) as [number, number];
  const body = file.slice(first, last + 1);
  const headers = { "content-length": `${body.length}`, "content-range": `bytes ${first}-${last}/${file.length}` };
  return { status: 206, headers, body };
}
