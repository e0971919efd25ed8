/**
 * Our queries: which answer belongs to which, how long to wait, and how many at a time.
 *
 * @module
 */

import { formatAddress, type PeerAddress } from "../base/address.ts";
import { keyOf } from "../bencode/mod.ts";
import { MAX_DHT_QUERIES } from "../base/defences.ts";
import { RateLimit } from "../base/rate_limit.ts";
import type { Platform, Timer } from "../platform/platform.ts";
import { type Arguments, encodeQuery, type QueryMethod, type Refusal, type Response } from "./krpc.ts";

/** Milliseconds after which an answer is slow: most nodes are faster, and dead ones should not hold a lookup up. */
const SLOW_MS = 1_500;
/** Milliseconds after which an answer isn't waited for any more. */
const TIMEOUT_MS = 8_000;
/** Our queries: a flood would fill the tables of home routers ... */
const QUERIES_PER_SECOND = 100;
/** ... but a lookup should not have to wait. */
const QUERY_BURST = 100;
/** Random bytes of a transaction id, so that answers can't be forged by somebody who doesn't see our queries. */
const TRANSACTION_LENGTH = 4;

/** What can become of a query. One of `answered`, `refused` and `failed` is called, once. */
export interface QueryOutcome {
  /** There is an answer. */
  answered(response: Response): void;
  /** The node says that it won't. */
  refused(refusal: Refusal): void;
  /** The answer takes long. */
  slow(): void;
  /** There is none. */
  failed(): void;
}

/** A question and what becomes of it. */
export interface Call {
  /** Whom to ask. */
  readonly to: PeerAddress;
  /** What. */
  readonly method: QueryMethod;
  /** Its arguments but our id. */
  readonly arguments: Omit<Arguments, "id">;
  /** What becomes of it. */
  readonly outcome: QueryOutcome;
}

/** Takes queries. */
export interface Queries {
  /**
   * Asks.
   *
   * @param call What.
   */
  query(call: Call): void;
}

interface Pending {
  readonly from: string;
  readonly outcome: QueryOutcome;
  timer: Timer;
}

/** What queries need. */
export interface RpcOptions {
  readonly platform: Pick<Platform, "now" | "after" | "randomBytes">;
  /** Sends a datagram. */
  send(bytes: Uint8Array<ArrayBuffer>, to: PeerAddress): void;
  /** Makes the arguments that every query has. */
  identify(): { readonly id: Arguments["id"]; readonly readOnly: boolean };
}

/** Sends queries and finds out what becomes of them. */
export class Rpc implements Queries {
  readonly #options: RpcOptions;
  readonly #pending = new Map<string, Pending>();
  readonly #queue: Call[] = [];
  readonly #rate: RateLimit;
  #turn: Timer | null = null;
  #stopped = false;

  /** @param options What it needs. */
  constructor(options: RpcOptions) {
    this.#options = options;
    this.#rate = new RateLimit({ perSecond: QUERIES_PER_SECOND, burst: QUERY_BURST }, options.platform.now());
  }

  /** How many wait for their answer or their turn. */
  get waiting(): number {
    return this.#pending.size + this.#queue.length;
  }

  /**
   * Asks, now or when it is its turn. If too much waits already, it fails at once, but not before this returns.
   *
   * @param call What.
   */
  query(call: Call): void {
    if (this.#stopped) return;
    if (this.waiting >= MAX_DHT_QUERIES) {
      this.#options.platform.after(0, () => call.outcome.failed());
    } else {
      this.#queue.push(call);
      if (this.#turn === null) this.#sendDue();
    }
  }

  /**
   * Takes an answer.
   *
   * @param message The answer.
   * @param from Where it came from: another address than we asked is none.
   * @returns Whether it answers a query of ours.
   */
  received(message: Response | Refusal, from: PeerAddress): boolean {
    const key = keyOf(message.transaction);
    const pending = this.#pending.get(key);
    if (!pending || pending.from !== formatAddress(from)) return false;
    this.#pending.delete(key);
    pending.timer.cancel();
    if (message.type === "response") pending.outcome.answered(message);
    else pending.outcome.refused(message);
    return true;
  }

  /** Forgets all queries; nobody hears of them any more. */
  stop(): void {
    this.#stopped = true;
    this.#turn?.cancel();
    for (const { timer } of this.#pending.values()) timer.cancel();
    this.#pending.clear();
    this.#queue.length = 0;
  }

  #sendDue(): void {
    const { platform } = this.#options;
    this.#turn = null;
    while (this.#queue.length > 0) {
      if (!this.#rate.take(platform.now())) {
        this.#turn = platform.after(Math.ceil(this.#rate.wait(platform.now())), () => this.#sendDue());
        return;
      }
      this.#send(this.#queue.shift()!);
    }
  }

  #send(call: Call): void {
    const { platform, send, identify } = this.#options;
    const transaction = platform.randomBytes(TRANSACTION_LENGTH);
    const key = keyOf(transaction);
    const { id, readOnly } = identify();
    const expire = () => {
      this.#pending.delete(key);
      call.outcome.failed();
    };
    const linger = () => {
      pending.timer = platform.after(TIMEOUT_MS - SLOW_MS, expire);
      call.outcome.slow();
    };
    const pending: Pending = {
      from: formatAddress(call.to),
      outcome: call.outcome,
      timer: platform.after(SLOW_MS, linger),
    };
    this.#pending.set(key, pending);
    send(encodeQuery({ transaction, method: call.method, arguments: { ...call.arguments, id }, readOnly }), call.to);
  }
}
