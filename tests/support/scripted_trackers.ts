/**
 * Scripted trackers: the HTTP of a {@linkcode Platform} goes to a function of the test, on a virtual clock.
 *
 * @module
 */

import { utf8 } from "../../src/base/bytes.ts";
import type { Reach } from "../../src/base/networks.ts";
import { type Encodable, encode } from "../../src/bencode/mod.ts";
import {
  type Http,
  HttpError,
  type HttpRequest,
  type HttpResponse,
  type HttpServer,
} from "../../src/platform/platform.ts";
import { VirtualClock, type VirtualClockOptions } from "./virtual_clock.ts";

/** A recorded announce. */
export interface Call {
  /** Scheme, host and path. */
  readonly tracker: string;
  /** Query parameters, still percent-encoded. */
  readonly parameters: ReadonlyMap<string, string>;
  /** `started`, `completed`, `stopped`, `paused`, or empty. */
  readonly event: string;
  /** Reading of the clock at the announce, in milliseconds. */
  readonly at: number;
  /** The whole request. */
  readonly request: HttpRequest;
}

/** Reaction of a scripted tracker: a reply, a network failure, an HTTP status, or no answer. */
export type Reaction =
  | { readonly reply: { readonly [key: string]: Encodable }; readonly delay?: number; readonly reach?: Reach }
  | { readonly fails: string; readonly delay?: number }
  | { readonly status: number; readonly body: string; readonly delay?: number }
  | "hang"
  | "hang whatever the signal says";

/** A virtual clock, with trackers that answer by a script. */
export class ScriptedTrackers extends VirtualClock {
  /** Every announce so far. */
  readonly calls: Call[] = [];
  /** Decides the reaction to each announce. */
  script: (call: Call) => Reaction;
  /** Passes each request to the script. */
  readonly http: Http = {
    request: (request) => this.#request(request),
    stream: () => Promise.reject(new Error("Scripted trackers answer in one go")),
    serve: (): HttpServer => {
      throw new Error("Scripted trackers don't serve");
    },
  };

  /** @param script Decides the reaction to each announce. */
  constructor(script: (call: Call) => Reaction, options: VirtualClockOptions = {}) {
    super(options);
    this.script = script;
  }

  /** Every announce so far as `tracker event`, without the tracker's scheme. */
  get log(): string[] {
    return this.calls.map((call) => `${call.tracker.replace(/^https?:\/\//, "")} ${call.event || "-"}`);
  }

  #request(request: HttpRequest): Promise<HttpResponse> {
    const [tracker = "", query = ""] = request.url.split("?");
    const parameters = new Map(query.split("&").map((pair) => pair.split("=") as [string, string]));
    const call = { tracker, parameters, event: parameters.get("event") ?? "", at: this.now(), request };
    this.calls.push(call);
    const reaction = this.script(call);
    return new Promise((resolve, reject) => {
      if (reaction === "hang whatever the signal says") return;
      request.signal?.addEventListener("abort", () => reject(new HttpError("the request was given up")));
      if (reaction === "hang") return;
      const settle = () => {
        if ("fails" in reaction) return reject(new HttpError(reaction.fails));
        const [status, body] = "reply" in reaction
          ? [200, encode(reaction.reply)]
          : [reaction.status, utf8(reaction.body)];
        const reach = "reply" in reaction && reaction.reach ? { reach: reaction.reach } : {};
        resolve({ status, body, headers: new Headers(), url: request.url, ...reach });
      };
      if (reaction.delay === undefined) settle();
      else this.after(reaction.delay, settle);
    });
  }
}
