/**
 * Our own queries: matches answers to queries, and limits time, rate and number.
 *
 * @module
 */

import { formatAddress, type PeerAddress } from "../base/address.ts";
import { keyOf } from "../bencode/mod.ts";
import { MAX_DHT_QUERIES } from "../base/defences.ts";
import { TokenBucket } from "../base/token_bucket.ts";
import type { Platform, Timer } from "../platform/platform.ts";
import { type Arguments, encodeQuery, type QueryMethod, type Refusal, type Response } from "./krpc_messages.ts";

/** Milliseconds after which a query is slow. Most nodes answer sooner, and dead nodes should not hold up a lookup. */
const SLOW_MS = 1_500;
/** Milliseconds after which a query has failed. */
const TIMEOUT_MS = 8_000;
/** Maximum rate of our queries. A flood would fill the NAT tables of home routers. */
const QUERIES_PER_SECOND = 100;
/** Number of queries that may be sent at once, so that a lookup need not wait. */
const QUERY_BURST = 100;
/** Random bytes in a transaction id, so that a host that doesn't see our queries cannot forge answers. */
const TRANSACTION_LENGTH = 4;

/** Callbacks for one query. One of `answered`, `refused` and `failed` is called once, unless the client stops. */
export interface QueryOutcome {
  /** The node has answered. */
  answered(response: Response): void;
  /** The node has sent an error message. */
  refused(refusal: Refusal): void;
  /** The answer takes longer than {@linkcode SLOW_MS}. */
  slow(): void;
  /** There is no answer. */
  failed(): void;
}

/** A query and its callbacks. */
export interface Call {
  /** Node to query. */
  readonly to: PeerAddress;
  /** Method of the query. */
  readonly method: QueryMethod;
  /** Arguments of the query, without our node id. */
  readonly arguments: Omit<Arguments, "id">;
  /** Callbacks for the outcome. */
  readonly outcome: QueryOutcome;
}

/** Sends queries. */
export interface Queries {
  /** Sends a query. */
  query(call: Call): void;
}

interface Pending {
  readonly from: string;
  readonly outcome: QueryOutcome;
  timer: Timer;
}

/** Options for {@linkcode Rpc}. */
export interface RpcOptions {
  readonly platform: Pick<Platform, "now" | "after" | "randomBytes">;
  /** Sends a datagram. */
  send(bytes: Uint8Array<ArrayBuffer>, to: PeerAddress): void;
  /** Returns our node id and whether we are read-only, for every query. */
  identify(): { readonly id: Arguments["id"]; readonly readOnly: boolean };
}

/** Sends queries and reports their outcomes. */
export class Rpc implements Queries {
  readonly #options: RpcOptions;
  readonly #pending = new Map<string, Pending>();
  readonly #queue: Call[] = [];
  readonly #rate: TokenBucket;
  #turn: Timer | null = null;
  #stopped = false;

  constructor(options: RpcOptions) {
    this.#options = options;
    this.#rate = new TokenBucket({ perSecond: QUERIES_PER_SECOND, burst: QUERY_BURST }, options.platform.now());
  }

  /** Number of queries that await an answer or are queued. */
  get waiting(): number {
    return this.#pending.size + this.#queue.length;
  }

  /**
   * Sends a query, or queues it while the rate limit is exhausted. If too many queries are waiting, the query fails
   * soon after this method has returned.
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
   * Handles an answer or error message.
   *
   * @param from Sender. A message from another address than the queried one is ignored.
   * @returns `true` if the message belongs to a query of ours.
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

  /** Drops all queries. No callback is called any more. */
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
