/**
 * Requests to one address of a UDP tracker, shared by all torrents that announce there (BEP 15).
 *
 * A request needs a connection id. If there is none younger than a minute, one connect request is sent for all requests
 * that wait. Then the request is sent, and retransmitted until it is answered or times out.
 *
 * @module
 */

import type { Bytes } from "../base/bytes.ts";
import type { Clock, Platform, Timer } from "../platform/platform.ts";
import { TrackerError } from "./errors.ts";
import { retransmitDelay } from "./announce_schedule.ts";
import { ACTION, encodeConnect, parseConnectReply, parseReplyHeader, type UdpRequestIds } from "./udp_messages.ts";

/** Milliseconds for which a connection id is valid (BEP 15). */
const CONNECTION_ID_LIFE_MS = 60_000;
/** Milliseconds between connect requests, however many requests wait for a connection id. */
const CONNECT_SPACING_MS = 200;

/** A request to a tracker. */
export interface UdpQuery<T> {
  /** Returns the datagram of the request. */
  encode(ids: UdpRequestIds): Bytes;
  /**
   * Parses the reply.
   *
   * @param bytes A datagram with the right transaction id; valid only during the call.
   * @throws {TrackerError} If it is no reply to the request, or an error.
   */
  decode(bytes: Uint8Array): T;
  /** Called when the request is sent. From now on the tracker may know of it, whether or not it answers. */
  asked(): void;
}

/** Limits of a request. */
export interface Limits {
  /** Milliseconds for the reply. */
  readonly timeout: number;
  /** Aborts the request. */
  readonly signal: AbortSignal;
}

/** Options for {@linkcode UdpEndpoint}. */
export interface UdpEndpointOptions {
  /** System services: clock, timers and random numbers. */
  readonly platform: Pick<Clock, "now"> & Pick<Platform, "after" | "randomBytes">;
  /** Sends a datagram to the endpoint's address; it may be lost. */
  readonly send: (bytes: Bytes) => void;
}

/** State of a request. */
interface Conversation {
  readonly question: UdpQuery<unknown>;
  readonly startedAt: number;
  readonly timeout: number;
  /** Stays the same for all transmissions, so that late replies count. */
  readonly transactionId: number;
  /** Number of transmissions of what is waited for now: the connection id or the reply. */
  sent: number;
  /** `true` while waiting for the reply, `false` while waiting for a connection id. */
  asking: boolean;
  /** `true` once the request was sent: a reply may come even while waiting for another connection id. */
  asked: boolean;
  timer: Timer | null;
  readonly resolve: (answer: unknown) => void;
  readonly reject: (error: TrackerError) => void;
}

/** One address of a UDP tracker. */
export class UdpEndpoint {
  readonly #options: UdpEndpointOptions;
  readonly #conversations = new Map<number, Conversation>();
  #connection: { readonly id: Bytes; readonly since: number } | null = null;
  /** The unanswered connect request. */
  #connecting: { readonly transactionId: number; sentAt: number } | null = null;

  constructor(options: UdpEndpointOptions) {
    this.#options = options;
  }

  /** Returns `true` if no request is under way. */
  get isIdle(): boolean {
    return this.#conversations.size === 0;
  }

  /**
   * Sends a request. The first datagram is sent before this returns.
   *
   * @returns The parsed reply.
   * @throws {TrackerError} If there is no reply in time, it can't be parsed, or it is an error.
   */
  ask<T>(question: UdpQuery<T>, { timeout, signal }: Limits): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    const conversation: Conversation = {
      question,
      startedAt: this.#options.platform.now(),
      timeout,
      transactionId: this.#newTransactionId(),
      sent: 0,
      asking: false,
      asked: false,
      timer: null,
      resolve: resolve as (answer: unknown) => void,
      reject,
    };
    this.#conversations.set(conversation.transactionId, conversation);
    const giveUp = () => this.#fail(conversation, new TrackerError("the request was given up"));
    const deadline = this.#options.platform.after(timeout, () => {
      this.#fail(conversation, new TrackerError(`no answer within ${timeout / 1000} s`));
    });
    signal.addEventListener("abort", giveUp);
    const done = () => {
      deadline.cancel();
      signal.removeEventListener("abort", giveUp);
    };
    promise.then(done, done);
    if (signal.aborted) giveUp();
    else this.#advance(conversation);
    return promise;
  }

  /**
   * Handles a datagram from this address. Datagrams that answer no request are ignored, since source addresses can be
   * forged.
   *
   * @param bytes Datagram; valid only during the call.
   */
  receive(bytes: Uint8Array): void {
    const header = parseReplyHeader(bytes);
    if (header === null) return;
    if (header.transactionId === this.#connecting?.transactionId) return this.#connected(bytes);
    const conversation = this.#conversations.get(header.transactionId);
    if (conversation === undefined || !conversation.asked) return;
    if (header.action === ACTION.error && this.#renew(conversation)) return;
    this.#settle(conversation, (question) => question.decode(bytes));
  }

  /** Fails all requests. */
  close(): void {
    for (const conversation of [...this.#conversations.values()]) {
      this.#fail(conversation, new TrackerError("the session has been stopped"));
    }
  }

  /** Sends the connect request or the request, and sets the retransmission timer. */
  #advance(conversation: Conversation): void {
    const { platform } = this.#options;
    const id = this.#connectionId();
    conversation.asking = id !== null;
    conversation.sent++;
    const delay = retransmitDelay(conversation.sent, conversation.timeout);
    conversation.timer?.cancel();
    conversation.timer = platform.after(delay, () => {
      // A tracker that was restarted doesn't know older connection ids, and may not send an error.
      if (conversation.asking) this.#forgetOldId(conversation);
      this.#advance(conversation);
    });
    if (id === null) return this.#connect();
    const { question, transactionId } = conversation;
    conversation.asked = true;
    question.asked();
    this.#options.send(question.encode({ connectionId: id, transactionId }));
  }

  #connectionId(): Bytes | null {
    const age = this.#options.platform.now() - (this.#connection?.since ?? -Infinity);
    return age < CONNECTION_ID_LIFE_MS ? this.#connection!.id : null;
  }

  #connect(): void {
    const now = this.#options.platform.now();
    if (this.#connecting !== null && now - this.#connecting.sentAt < CONNECT_SPACING_MS) return;
    this.#connecting ??= { transactionId: this.#newTransactionId(), sentAt: now };
    this.#connecting.sentAt = now;
    this.#options.send(encodeConnect(this.#connecting.transactionId));
  }

  #connected(bytes: Uint8Array): void {
    this.#connecting = null;
    const waiting = [...this.#conversations.values()].filter((conversation) => !conversation.asking);
    try {
      this.#connection = { id: parseConnectReply(bytes), since: this.#options.platform.now() };
    } catch (error) {
      if (!(error instanceof TrackerError)) throw error;
      for (const conversation of waiting) this.#fail(conversation, error);
      return;
    }
    for (const conversation of waiting) {
      conversation.sent = 0;
      this.#advance(conversation);
    }
  }

  /** Repeats a request with a new connection id, if the old id may have caused an error. Returns `true` if so. */
  #renew(conversation: Conversation): boolean {
    if (!conversation.asking) return true; // the old id was already dropped because the tracker was silent
    if (!this.#forgetOldId(conversation)) return false;
    conversation.sent = 0;
    this.#advance(conversation);
    return true;
  }

  /** Drops the connection id if it is older than a request. Returns `true` if so. */
  #forgetOldId(conversation: Conversation): boolean {
    if (this.#connection === null || this.#connection.since >= conversation.startedAt) return false;
    this.#connection = null;
    return true;
  }

  #settle(conversation: Conversation, answer: (question: UdpQuery<unknown>) => unknown): void {
    try {
      const value = answer(conversation.question);
      this.#end(conversation);
      conversation.resolve(value);
    } catch (error) {
      if (!(error instanceof TrackerError)) throw error;
      this.#fail(conversation, error);
    }
  }

  #fail(conversation: Conversation, error: TrackerError): void {
    this.#end(conversation);
    conversation.reject(error);
  }

  #end(conversation: Conversation): void {
    conversation.timer?.cancel();
    this.#conversations.delete(conversation.transactionId);
  }

  /** Returns an unused transaction id that can't be guessed. */
  #newTransactionId(): number {
    for (;;) {
      const bytes = this.#options.platform.randomBytes(4);
      const id = new DataView(bytes.buffer).getUint32(0);
      if (id !== this.#connecting?.transactionId && !this.#conversations.has(id)) return id;
    }
  }
}
