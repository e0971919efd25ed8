/**
 * Which message may come when: the state machine of a connection's incoming side, as a table.
 *
 * @module
 */

import { MessageId, messageName, WireError } from "../wire/messages.ts";

/** `opening` until the peer has said what it has, or has begun without saying it; then `open`. */
export type Phase = "opening" | "open";

interface Rule {
  /** Phases in which the message may come. */
  readonly allowed: readonly Phase[];
  /** The phase after it. */
  readonly next: (phase: Phase) => Phase;
  /** Only between ends that both speak the Fast extension (BEP 6). */
  readonly fast: boolean;
}

const stay = (phase: Phase) => phase;
const open = (): Phase => "open";
const anytime: Rule = { allowed: ["opening", "open"], next: stay, fast: false };
const working: Rule = { allowed: ["opening", "open"], next: open, fast: false };
/** BEP 6: only as the first message. */
const first: Rule = { allowed: ["opening"], next: open, fast: true };

/**
 * Choke, unchoke, port, extended and allowed-fast leave the phase alone: libtorrent, Transmission and others send some of
 * them before the bitfield.
 */
const RULES: ReadonlyMap<number, Rule> = new Map([
  [MessageId.choke, anytime],
  [MessageId.unchoke, anytime],
  [MessageId.interested, working],
  [MessageId.notInterested, working],
  [MessageId.have, working],
  // BEP 3 and 6 allow these two as the first message only, but aria2 sends them later in place of many haves.
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
]);

/**
 * One step of the state machine.
 *
 * @param phase Where the connection is.
 * @param id The message that came.
 * @param fast Whether both ends speak the Fast extension.
 * @returns Where the connection is now.
 * @throws {WireError} If the message may not come here.
 */
export function nextPhase(phase: Phase, id: number, fast: boolean): Phase {
  const rule = RULES.get(id);
  if (!rule) return phase;
  if (rule.fast && !fast) throw new WireError(`${messageName(id)} without the Fast extension`);
  if (!rule.allowed.includes(phase)) throw new WireError(`${messageName(id)} comes too late`);
  return rule.next(phase);
}
