/**
 * One address at which a UDP tracker listens, shared by all torrents that announce there (BEP 15).
 *
 * Life of a conversation: it needs a connection id; where there is none that is younger than a minute, one is asked for,
 * once for all who wait. Then its question is sent, and sent again until there is an answer or the time is over.
 *
 * Nothing here waits: datagrams and timers go in, datagrams and settled promises come out.
 *
 * @module
 */

import type { Bytes } from "../base/bytes.ts";
import type { Clock, Platform, Timer } from "../platform/platform.ts";
import { TrackerError } from "./errors.ts";
import { retransmitDelay } from "./announce_schedule.ts";
import { ACTION, encodeConnect, parseConnectReply, parseReplyHeader } from "./udp_messages.ts";

/** Milliseconds for which a connection id may be used (BEP 15). */
const CONNECTION_ID_LIFE_MS = 60_000;
/** Milliseconds between two requests for a connection id, however many conversations wait for one. */
const CONNECT_SPACING_MS = 200;

/** Something to ask a tracker. */
export interface UdpQuery<T> {
  /** @returns The datagram. */
  encode(ids: { readonly connectionId: Uint8Array; readonly transactionId: number }): Bytes;
  /**
   * Reads the answer.
   *
   * @param bytes A datagram with the right transaction id; good until this returns.
   * @throws {TrackerError} If it is no answer, or the tracker says no.
   */
  decode(bytes: Uint8Array): T;
  /** The question has been sent, so that the tracker may know of it whether or not it answers. */
  asked(): void;
}

/** How long a conversation may take. */
export interface Limits {
  /** Milliseconds until the answer must be there. */
  readonly timeout: number;
  /** Gives up early. */
  readonly signal: AbortSignal;
}

/** What an {@linkcode UdpEndpoint} needs. */
export interface UdpEndpointOptions {
  /** Time and chance. */
  readonly platform: Pick<Clock, "now"> & Pick<Platform, "after" | "randomBytes">;
  /** Sends a datagram there; it may be lost. */
  readonly send: (bytes: Bytes) => void;
}

/** A conversation that is under way. */
interface Conversation {
  readonly question: UdpQuery<unknown>;
  readonly startedAt: number;
  readonly timeout: number;
  /** Its own for as long as it lasts, so that late answers count. */
  readonly transactionId: number;
  /** How often what is waited for now has been sent. */
  sent: number;
  /** Waits for an answer to its question, and not for a connection id. */
  asking: boolean;
  /** Its question has been sent, so that there may be an answer, even while it waits for another connection id. */
  asked: boolean;
  timer: Timer | null;
  readonly resolve: (answer: unknown) => void;
  readonly reject: (error: TrackerError) => void;
}

/** See the head of this file. */
export class UdpEndpoint {
  readonly #options: UdpEndpointOptions;
  readonly #conversations = new Map<number, Conversation>();
  #connection: { readonly id: Bytes; readonly since: number } | null = null;
  /** The request for a connection id that has not been answered. */
  #connecting: { readonly transactionId: number; sentAt: number } | null = null;

  /** @param options What it needs. */
  constructor(options: UdpEndpointOptions) {
    this.#options = options;
  }

  /** Whether no conversation is under way. */
  get isIdle(): boolean {
    return this.#conversations.size === 0;
  }

  /**
   * Asks the tracker something. The first datagram is on its way when this returns.
   *
   * @param question What to ask.
   * @param limits How long it may take.
   * @returns The answer.
   * @throws {TrackerError} If there is none in time, it makes no sense, or the tracker says no.
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
   * Takes a datagram that came from this address. What answers nothing is left alone: anybody can write a sender's address.
   *
   * @param bytes Good until this returns.
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

  /** Ends all conversations. */
  close(): void {
    for (const conversation of [...this.#conversations.values()]) {
      this.#fail(conversation, new TrackerError("the session has been stopped"));
    }
  }

  /** Sends what is next, and sees to it that it is sent again. */
  #advance(conversation: Conversation): void {
    const { platform } = this.#options;
    const id = this.#connectionId();
    conversation.asking = id !== null;
    conversation.sent++;
    const delay = retransmitDelay(conversation.sent, conversation.timeout);
    conversation.timer?.cancel();
    conversation.timer = platform.after(delay, () => {
      // A tracker that was started anew knows no id of before, and may not say so.
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

  /** Tries again with a new connection id if the old one may be why the tracker says no. @returns whether it does. */
  #renew(conversation: Conversation): boolean {
    if (!conversation.asking) return true; // it has been given up already, for being silent
    if (!this.#forgetOldId(conversation)) return false;
    conversation.sent = 0;
    this.#advance(conversation);
    return true;
  }

  /** Forgets a connection id that is older than a conversation. @returns whether it was. */
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

  /** Can't be guessed, and is nobody else's. */
  #newTransactionId(): number {
    for (;;) {
      const bytes = this.#options.platform.randomBytes(4);
      const id = new DataView(bytes.buffer).getUint32(0);
      if (id !== this.#connecting?.transactionId && !this.#conversations.has(id)) return id;
    }
  }
}
