/**
 * Shares a session's connections among its torrents. Opens no sockets.
 *
 * A torrent needs a {@linkcode ConnectionSlot} for each connection and each dial, and gives the slot back afterwards.
 * If all are taken, torrents wait for the next free one. The shares are max-min fair, as for bandwidth: a torrent that
 * needs few connections gets them, and the rest is divided equally among the others, where a seed has a lower weight.
 * When all slots are taken, a torrent with much less than its share gets slots from one with more, starting with the
 * least useful connections.
 *
 * @module
 */

import { HALF_OPEN_MS, MAX_HALF_OPEN_IN_ALL } from "../../base/defences.ts";

/** Weight of a downloading torrent, where a seed has 1: most peers of a seed are choked and wait anyway. */
const DOWNLOAD_WEIGHT = 3;
/** Factor by which another torrent's level must be higher to take a slot in use, so that slots don't oscillate. */
const UNFAIR = 5 / 4;
/** Milliseconds between redistributions of slots. */
const SHARE_OUT_MS = 1000;
/** Maximum number of slots moved in one redistribution. */
const MAX_SHARED_OUT = 10;
/** Milliseconds between useful connections that are given up for torrents without any. */
const STARVED_MS = 10_000;
/**
 * Milliseconds after a shortage of file descriptors until the limit is raised again, by one connection a second.
 * Doubled with each further shortage.
 */
const SHORTAGE_MS = 60_000;
const MAX_SHORTAGE_MS = 30 * 60_000;
/** Connections that are kept in any shortage. */
const FEWEST_CONNECTIONS = 20;

/**
 * What a torrent may be made to give up. `spare`: a useless connection. `fair`: also one that is idle just now, because
 * another torrent has far fewer. `forced`: any connection.
 */
export type Pressure = "spare" | "fair" | "forced";

/** A torrent, as the quota sees it. */
export interface ConnectionBorrower {
  /** `true` if the torrent has all wanted pieces. */
  readonly seeding: boolean;
  /** Returns `true` if there is a candidate to dial. Called often. */
  isWaiting(now: number): boolean;
  /**
   * Dials a candidate.
   *
   * @param place Slot, to be given back when the dial, or the resulting connection, is over.
   * @param now Milliseconds.
   * @returns `false` if there is no candidate: the slot is not used, and the torrent stops waiting.
   */
  dial(place: ConnectionSlot, now: number): boolean;
  /** Returns `true` if {@linkcode ConnectionBorrower.closeLeastUseful} would close a connection. */
  canGiveUp(now: number, pressure: Pressure): boolean;
  /**
   * Closes the least useful connection or dial, and gives its slot back.
   *
   * @returns `true` if one was closed.
   */
  closeLeastUseful(now: number, pressure: Pressure): boolean;
}

/** What a {@linkcode ConnectionSlot} is used for. */
type Use = "dial" | "connection" | "nothing";

/** The right to one connection. */
export class ConnectionSlot {
  readonly #share: ConnectionShare;
  readonly #changed: PlaceChanged;
  #use: Use = "nothing";

  /** Slots are made by the {@linkcode ConnectionQuota}, which is told of each change. */
  constructor(share: ConnectionShare, use: "dial" | "connection", changed: PlaceChanged) {
    this.#share = share;
    this.#changed = changed;
    this.#becomes(use, 0);
  }

  /** Called when the dial has become a connection. */
  opened(now: number): void {
    if (this.#use === "dial") this.#becomes("connection", now);
  }

  /** Called when the dial or connection is over. Calling it again has no effect. */
  giveBack(now: number): void {
    if (this.#use !== "nothing") this.#becomes("nothing", now);
  }

  #becomes(use: Use, now: number): void {
    const before = this.#use;
    this.#use = use;
    this.#changed(this.#share, { before, after: use, now });
  }
}

type PlaceChanged = (
  share: ConnectionShare,
  change: { readonly before: Use; readonly after: Use; readonly now: number },
) => void;

/** Share of one torrent in the connections. */
export class ConnectionShare {
  /** The torrent. */
  readonly borrower: ConnectionBorrower;
  /** Slots in use, including dials. */
  used = 0;
  /** Slots in use for dials. */
  dialling = 0;
  /** Number of the turn in which the torrent last dialled. */
  lastTurn = 0;
  /** Earliest time to ask for a connection again, after the torrent had none to give up. */
  askAgain = -Infinity;
  readonly #quota: ConnectionQuota;

  /** Shares are made by {@linkcode ConnectionQuota.join}. */
  constructor(quota: ConnectionQuota, borrower: ConnectionBorrower) {
    this.#quota = quota;
    this.borrower = borrower;
  }

  /** Weight of the torrent. */
  get weight(): number {
    return this.borrower.seeding ? 1 : DOWNLOAD_WEIGHT;
  }

  /** Called when there may be a candidate to dial. The torrent dials in its turn, which is at once if there is room. */
  wants(now: number): void {
    this.#quota.wants(this, now);
  }

  /** Called when there is no candidate to dial any more. */
  wantsNone(): void {
    this.#quota.wantsNone(this);
  }

  /**
   * Takes a slot for an incoming connection. If all are taken, a connection of another torrent or this one may be
   * closed.
   *
   * @param now Milliseconds.
   * @param first Called first. Slots that it gives back are reserved for this connection.
   * @returns The slot, or `null` if there is none.
   */
  accept(now: number, first: () => void = () => {}): ConnectionSlot | null {
    return this.#quota.accept(this, now, first);
  }

  /** Returns `true` if {@linkcode ConnectionShare.accept} would return a slot. */
  mayAccept(now: number): boolean {
    return this.#quota.mayAccept(this, now);
  }

  /** Called when a dial failed for lack of file descriptors; see {@linkcode ConnectionQuota.shortage}. */
  shortage(now: number): void {
    this.#quota.shortage(now, { dial: true });
  }

  /** Returns `true` if all slots of all torrents are taken. */
  isFull(now: number): boolean {
    return this.#quota.isFull(now);
  }

  /** Called regularly, to redistribute slots. */
  tick(now: number): void {
    this.#quota.tick(now);
  }
}

/** A shortage of file descriptors. */
interface Shortage {
  /** Number of connections at that time. */
  had: number;
  /** Reduced limit. */
  most: number;
  /** Time of the shortage in milliseconds. */
  readonly at: number;
  /** Milliseconds until the limit is raised again. */
  readonly lasts: number;
}

/** Options for {@linkcode ConnectionQuota.shortage}. */
export interface ShortageOptions {
  /** `true` if a dial failed, which has no descriptor itself (default `false`). */
  readonly dial?: boolean;
}

/** The connections of a session. */
export class ConnectionQuota {
  #limit: number;
  /** The current shortage; `null` if there is none. */
  #shortage: Shortage | null = null;
  #used = 0;
  #dialling = 0;
  #turns = 0;
  /** Start times of the last {@linkcode MAX_HALF_OPEN_IN_ALL} dials. */
  readonly #lastDials: number[] = [];
  /** Torrents that have slots or wait for one. */
  readonly #active = new Set<ConnectionShare>();
  readonly #waiting = new Set<ConnectionShare>();
  /** Above 0 while freed slots are reserved, or slots are being handed out. */
  #held = 0;
  #lastSharedOut = -Infinity;
  #lastForced = -Infinity;

  /**
   * @param limit Maximum number of connections of all torrents together.
   * @throws {RangeError} If the limit isn't 1 or more.
   */
  constructor(limit: number) {
    this.#limit = checkedLimit(limit);
  }

  /** Maximum number of connections of all torrents together, as configured. */
  get limit(): number {
    return this.#limit;
  }

  /** Connections and dials of all torrents. */
  get used(): number {
    return this.#used;
  }

  /** Dials of all torrents. */
  get dialling(): number {
    return this.#dialling;
  }

  /** Number of torrents that wait to dial. */
  get waiting(): number {
    return this.#waiting.size;
  }

  /** Adds a torrent. It takes no memory in the quota while it has no slots and wants none. */
  join(borrower: ConnectionBorrower): ConnectionShare {
    return new ConnectionShare(this, borrower);
  }

  /**
   * Changes the limit, and closes connections above it, the least useful ones first.
   *
   * @param limit Maximum number of connections of all torrents together.
   * @param now Milliseconds.
   * @throws {RangeError} If the limit isn't 1 or more.
   */
  setLimit(limit: number, now: number): void {
    this.#limit = checkedLimit(limit);
    this.#shrink(now);
    this.#serve(now);
  }

  /**
   * Called when the system is out of file descriptors. Lowers the limit for a while, because files, trackers and the
   * listener need descriptors as well, and stops dials until the connections that are closed now have freed theirs.
   *
   * @param now Milliseconds.
   * @param options See {@linkcode ShortageOptions}.
   */
  shortage(now: number, options: ShortageOptions = {}): void {
    let shortage = this.#shortage;
    // Everything under way fails at the same moment, which counts as one shortage.
    if (shortage === null || now - shortage.at >= SHARE_OUT_MS) {
      const lasts = Math.min(MAX_SHORTAGE_MS, shortage === null ? SHORTAGE_MS : 2 * shortage.lasts);
      shortage = this.#shortage = { had: this.#used, most: Infinity, at: now, lasts };
    }
    if (options.dial) shortage.had--;
    shortage.most = Math.min(shortage.most, Math.max(FEWEST_CONNECTIONS, Math.floor(shortage.had * 7 / 8)));
    this.#shrink(now);
  }

  /** Returns `true` if all slots are taken. */
  isFull(now: number): boolean {
    return this.#used >= this.#limitAt(now);
  }

  /** See {@linkcode ConnectionShare.wants}. */
  wants(share: ConnectionShare, now: number): void {
    this.#waiting.add(share);
    this.#active.add(share);
    this.#serve(now);
  }

  /** See {@linkcode ConnectionShare.wantsNone}. */
  wantsNone(share: ConnectionShare): void {
    this.#waiting.delete(share);
    this.#forget(share);
  }

  /** See {@linkcode ConnectionShare.accept}. */
  accept(share: ConnectionShare, now: number, first: () => void): ConnectionSlot | null {
    return this.#holding(now, () => {
      first();
      if (this.#used === this.#limitAt(now)) this.#makeRoom(share, now, { forItself: true });
      return this.isFull(now) ? null : new ConnectionSlot(share, "connection", this.#changed);
    });
  }

  /** See {@linkcode ConnectionShare.mayAccept}. */
  mayAccept(share: ConnectionShare, now: number): boolean {
    if (!this.isFull(now)) return true;
    if (this.#used > this.#limitAt(now)) return false;
    for (const [giver, pressure] of this.#givers(share, now, { forItself: true })) {
      if (giver.borrower.canGiveUp(now, pressure)) return true;
      if (giver !== share) giver.askAgain = now + SHARE_OUT_MS;
    }
    return false;
  }

  /** See {@linkcode ConnectionShare.tick}. */
  tick(now: number): void {
    if (this.#waiting.size === 0 || now - this.#lastSharedOut < SHARE_OUT_MS) return;
    this.#lastSharedOut = now;
    this.#shrink(now);
    this.#serve(now);
    for (let moved = 0; moved < MAX_SHARED_OUT && this.#used === this.#limitAt(now) && this.#mayDial(now); moved++) {
      const taker = this.#next(now, { certain: true });
      // The next torrent has the lowest level. If no torrent gives up a slot for it, none does for the others.
      if (!taker || !this.#makeRoom(taker, now)) return;
    }
  }

  readonly #changed: PlaceChanged = (share, { before, after, now }) => {
    const places = Number(after !== "nothing") - Number(before !== "nothing");
    const dials = Number(after === "dial") - Number(before === "dial");
    share.used += places;
    share.dialling += dials;
    this.#used += places;
    this.#dialling += dials;
    if (after !== "nothing") return void this.#active.add(share);
    this.#forget(share);
    this.#serve(now);
  };

  #forget(share: ConnectionShare): void {
    if (share.used === 0 && !this.#waiting.has(share)) this.#active.delete(share);
  }

  #limitAt(now: number): number {
    if (this.#shortage === null) return this.#limit;
    const { most, at, lasts } = this.#shortage;
    const seconds = Math.max(0, now - at - lasts) / 1000;
    const limit = most + Math.floor(seconds);
    if (limit >= this.#limit) this.#shortage = null;
    return Math.min(limit, this.#limit);
  }

  #mayDial(now: number): boolean {
    if (this.#shortage !== null && now - this.#shortage.at < SHARE_OUT_MS) return false;
    return this.#dialling < MAX_HALF_OPEN_IN_ALL || now - this.#lastDials[0]! >= HALF_OPEN_MS;
  }

  /** Lets waiting torrents dial in their turn, as long as there is room. */
  #serve(now: number): void {
    if (this.#held > 0) return;
    this.#held++;
    try {
      while (this.#waiting.size > 0 && !this.isFull(now) && this.#mayDial(now)) this.#letDial(this.#next(now)!, now);
    } finally {
      this.#held--;
    }
  }

  #letDial(share: ConnectionShare, now: number): void {
    const place = new ConnectionSlot(share, "dial", this.#changed);
    let dials = false;
    try {
      dials = share.borrower.dial(place, now);
    } finally {
      if (dials) {
        share.lastTurn = ++this.#turns;
        this.#lastDials.push(now);
        if (this.#lastDials.length > MAX_HALF_OPEN_IN_ALL) this.#lastDials.shift();
      } else {
        this.#waiting.delete(share);
        place.giveBack(now);
      }
    }
  }

  /** Runs `work` while slots that are given back are reserved for it. */
  #holding<Result>(now: number, work: () => Result): Result {
    this.#held++;
    try {
      return work();
    } finally {
      this.#held--;
      this.#serve(now);
    }
  }

  /**
   * Returns the torrent whose turn it is to dial. Torrents below their fair share come first, ordered by dials under
   * way, so that a torrent's long list of dead addresses doesn't hold up the others; then those with the lowest level.
   */
  #next(now: number, { certain = false } = {}): ConnectionShare | null {
    let weights = 0;
    for (const share of this.#active) weights += share.weight;
    const part = this.#limitAt(now) / weights;
    const isPoor = ({ used, weight }: ConnectionShare) => used < part * weight;
    let first: ConnectionShare | null = null;
    for (const share of this.#waiting) {
      if (first !== null) {
        const [poor, firstIsPoor] = [isPoor(share), isPoor(first)];
        const order = poor !== firstIsPoor
          ? Number(firstIsPoor) - Number(poor)
          : poor
          ? share.dialling / share.weight - first.dialling / first.weight
          : levelOf(share) - levelOf(first);
        if (order > 0 || (order === 0 && share.lastTurn >= first.lastTurn)) continue;
      }
      if (certain && !share.borrower.isWaiting(now)) this.wantsNone(share);
      else first = share;
    }
    return first;
  }

  /** Makes a torrent give up a connection for another, or with `forItself` for another one of its own. */
  #makeRoom(taker: ConnectionShare, now: number, options: { readonly forItself?: boolean } = {}): boolean {
    for (const [giver, pressure] of this.#givers(taker, now, options)) {
      if (giver.borrower.closeLeastUseful(now, pressure)) {
        if (pressure === "forced") this.#lastForced = now;
        return true;
      }
      if (giver !== taker) giver.askAgain = now + SHARE_OUT_MS;
    }
    return false;
  }

  /** Yields the torrents that may have to give up a connection for another, in order, with the pressure on each. */
  *#givers(
    taker: ConnectionShare,
    now: number,
    { forItself = false },
  ): Generator<readonly [ConnectionShare, Pressure]> {
    const byLevel = [...this.#active].filter(({ used }) => used > 0).sort((a, b) => levelOf(b) - levelOf(a));
    const after = (taker.used + 1) / taker.weight;
    for (const giver of byLevel) {
      if (giver === taker) {
        if (forItself) yield [giver, "spare"];
      } else if (giver.askAgain <= now && (giver.used - 1) / giver.weight >= after) {
        yield [giver, levelOf(giver) >= UNFAIR * after ? "fair" : "spare"];
      }
    }
    // A torrent without any connection gets a useful one from the torrent with the most.
    const [richest] = byLevel;
    if (taker.used > 0 || richest === undefined || (richest.used - 1) / richest.weight < UNFAIR * after) return;
    if (now - this.#lastForced >= STARVED_MS) yield [richest, "forced"];
  }

  /** Closes connections above the limit. */
  #shrink(now: number): void {
    const limit = this.#limitAt(now);
    if (this.#used <= limit) return;
    this.#held++;
    try {
      const left = new Set(this.#active);
      while (this.#used > limit && left.size > 0) {
        const richest = [...left].reduce((a, b) => levelOf(b) > levelOf(a) ? b : a);
        if (!richest.borrower.closeLeastUseful(now, "forced")) left.delete(richest);
      }
    } finally {
      this.#held--;
    }
  }
}

/** Returns the slots of a torrent in relation to its weight. */
function levelOf({ used, weight }: ConnectionShare): number {
  return used / weight;
}

function checkedLimit(limit: number): number {
  if (limit >= 1) return limit;
  throw new RangeError(`The most connections is a number of 1 or more, and not ${limit}`);
}
