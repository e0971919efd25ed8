/**
 * Rules for the order of incoming messages: a state machine as a table.
 *
 * @module
 */

import { MessageId, messageName, WireError } from "../wire/messages.ts";

/** `opening` until the peer has announced its pieces or has started without announcing any; then `open`. */
export type Phase = "opening" | "open";

interface Rule {
  /** Phases in which the message is allowed. */
  readonly allowed: readonly Phase[];
  /** Phase after the message. */
  readonly next: (phase: Phase) => Phase;
  /** Whether the message requires the Fast extension (BEP 6). */
  readonly fast: boolean;
}

const stay = (phase: Phase) => phase;
const open = (): Phase => "open";
const anytime: Rule = { allowed: ["opening", "open"], next: stay, fast: false };
const working: Rule = { allowed: ["opening", "open"], next: open, fast: false };
/** BEP 6 allows the message only as the first one. */
const first: Rule = { allowed: ["opening"], next: open, fast: true };

/**
 * Choke, unchoke, port, extended and allowed-fast don't change the phase, since libtorrent, Transmission and others
 * send some of them before the bitfield.
 */
const RULES: ReadonlyMap<number, Rule> = new Map([
  [MessageId.choke, anytime],
  [MessageId.unchoke, anytime],
  [MessageId.interested, working],
  [MessageId.notInterested, working],
  [MessageId.have, working],
  // BEP 3 and 6 allow bitfield and have-all only as the first message, but aria2 sends them later in place of many
  // haves.
  [MessageId.bitfield, working],
  [MessageId.haveAll, { ...working, fast: true }],
  [MessageId.request, working],
  [MessageId.piece, working],
  [MessageId.cancel, working],
  [MessageId.port, anytime],
  [MessageId.suggest, { ...anytime, fast: true }],
  [MessageId.haveNone, first],
  [MessageId.reject, { ...working, fast: true }],
  [MessageId.allowedFast, { ...anytime, fast: true }],
  [MessageId.extended, anytime],
  [MessageId.hashRequest, anytime],
  [MessageId.hashes, anytime],
  [MessageId.hashReject, anytime],
]);

/**
 * Returns the phase after a message.
 *
 * @param phase The current phase.
 * @param id Id of the message.
 * @param fast Whether both ends support the Fast extension.
 * @returns The next phase.
 * @throws {WireError} If the message is not allowed in this phase.
 */
export function nextPhase(phase: Phase, id: number, fast: boolean): Phase {
  const rule = RULES.get(id);
  if (!rule) return phase;
  if (rule.fast && !fast) throw new WireError(`${messageName(id)} without the Fast extension`);
  if (!rule.allowed.includes(phase)) throw new WireError(`${messageName(id)} comes too late`);
  return rule.next(phase);
}
