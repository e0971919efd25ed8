/**
 * So many connections for all torrents of a session, shared out among those that want some. Decides only; the sockets are
 * elsewhere.
 *
 * A torrent has a {@linkcode ConnectionSlot} for each connection and each dial, and gives it back when that is over. Whoever finds none
 * waits, and is given the next that is free. Shares are fair as they are for bandwidth (max-min): a torrent that needs few
 * connections has them, and what it doesn't need the others have in equal parts, of which a seed counts for less. When all
 * are taken, a torrent that has much less than another gets some of the other's, those of the least use first.
 *
 * @module
 */

import { HALF_OPEN_MS, MAX_HALF_OPEN_IN_ALL } from "../../base/defences.ts";

/** How many connections a download has for each of a seed, when there aren't enough: most peers of a seed wait for their turn. */
const DOWNLOAD_WEIGHT = 3;
/** So much more than the other a torrent has to have to give up a connection that is of some use, so that none go to and fro. */
const UNFAIR = 5 / 4;
/** Milliseconds between two times that connections are taken from torrents that have more than others. */
const SHARE_OUT_MS = 1000;
/** How many connections change hands in that time, at most. */
const MAX_SHARED_OUT = 10;
/** Milliseconds between two connections of any use that are given up for torrents that have none. */
const STARVED_MS = 10_000;
/** Milliseconds after the system had no room for more until one connection more a second is tried; doubled each time. */
const SHORTAGE_MS = 60_000;
const MAX_SHORTAGE_MS = 30 * 60_000;
/** So many connections are kept however little room the system has. */
const FEWEST_CONNECTIONS = 20;

/**
 * How badly a connection is needed elsewhere: `spare`, one may go that is of no use; `fair`, one may go that is of no use just
 * now, since another torrent has far fewer; `forced`, one has to go.
 */
export type Pressure = "spare" | "fair" | "forced";

/** What the quota asks of a torrent. */
export interface ConnectionBorrower {
  /** Whether the torrent has all that it wants. */
  readonly seeding: boolean;
  /** Whether there is somebody whom it would dial if it had a place. Asked often. */
  isWaiting(now: number): boolean;
  /**
   * Dials somebody.
   *
   * @param place For that; to be given back when the dial, or the connection that it leads to, is over.
   * @param now Milliseconds.
   * @returns `false` when there is nobody to dial: the place is not taken, and the torrent waits no more.
   */
  dial(place: ConnectionSlot, now: number): boolean;
  /** Whether {@linkcode ConnectionBorrower.giveUp} would end a connection. */
  canGiveUp(now: number, pressure: Pressure): boolean;
  /**
   * Ends the connection, or the dial, that is of the least use, and gives its place back.
   *
   * @returns Whether there was one that may go.
   */
  giveUp(now: number, pressure: Pressure): boolean;
}

/** What a {@linkcode ConnectionSlot} is used for. */
type Use = "dial" | "connection" | "nothing";

/** The right to one connection. */
export class ConnectionSlot {
  readonly #share: ConnectionShare;
  readonly #changed: PlaceChanged;
  #use: Use = "nothing";

  /** Places are made by their {@linkcode ConnectionQuota}, which hears of all that becomes of them. */
  constructor(share: ConnectionShare, use: "dial" | "connection", changed: PlaceChanged) {
    this.#share = share;
    this.#changed = changed;
    this.#becomes(use, 0);
  }

  /** The dial has led to a connection. */
  opened(now: number): void {
    if (this.#use === "dial") this.#becomes("connection", now);
  }

  /** The dial or the connection is over; harmless when said again. */
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

/** What one torrent has of the connections. */
export class ConnectionShare {
  /** The torrent. */
  readonly borrower: ConnectionBorrower;
  /** Places that it has, those for dials included. */
  used = 0;
  /** Places that it has for dials. */
  dialling = 0;
  /** When it was its turn to dial, in turns. */
  lastTurn = 0;
  /** When it may be asked again to give up a connection that is of no use: it had none. */
  askAgain = -Infinity;
  readonly #quota: ConnectionQuota;

  /** Shares are made by {@linkcode ConnectionQuota.join}. */
  constructor(quota: ConnectionQuota, borrower: ConnectionBorrower) {
    this.#quota = quota;
    this.borrower = borrower;
  }

  /** What it counts for. */
  get weight(): number {
    return this.borrower.seeding ? 1 : DOWNLOAD_WEIGHT;
  }

  /** There may be somebody to dial: does so as soon as it is its turn, at once if there is room. */
  wants(now: number): void {
    this.#quota.wants(this, now);
  }

  /** It wants to dial nobody any more. */
  wantsNone(): void {
    this.#quota.wantsNone(this);
  }

  /**
   * A place for a connection that somebody made to us. When all are taken, another torrent or this one has to give one up.
   *
   * @param now Milliseconds.
   * @param first Done before; what it gives back is for this connection.
   * @returns `null` when none does.
   */
  accept(now: number, first: () => void = () => {}): ConnectionSlot | null {
    return this.#quota.accept(this, now, first);
  }

  /** Whether {@linkcode ConnectionShare.accept} would give a place. */
  mayAccept(now: number): boolean {
    return this.#quota.mayAccept(this, now);
  }

  /** A dial has failed since the system had no room for it; see {@linkcode ConnectionQuota.shortage}. */
  shortage(now: number): void {
    this.#quota.shortage(now, { dial: true });
  }

  /** Whether all places of all torrents are taken. */
  isFull(now: number): boolean {
    return this.#quota.isFull(now);
  }

  /** Time has passed: somebody who waits may have to be given something. */
  tick(now: number): void {
    this.#quota.tick(now);
  }
}

/** When the system had no room for more connections. */
interface Shortage {
  /** How many there were. */
  had: number;
  /** How many there may be. */
  most: number;
  /** When that was. */
  readonly at: number;
  /** For how many milliseconds that holds. */
  readonly lasts: number;
}

/** The connections of a session. */
export class ConnectionQuota {
  #limit: number;
  /** Since the system had no room for more. */
  #shortage: Shortage | null = null;
  #used = 0;
  #dialling = 0;
  #turns = 0;
  /** When the latest dials began, the last {@linkcode MAX_HALF_OPEN_IN_ALL} of them. */
  readonly #lastDials: number[] = [];
  /** Who has places or waits for one. */
  readonly #active = new Set<ConnectionShare>();
  readonly #waiting = new Set<ConnectionShare>();
  /** Above 0 while what is given back is meant for somebody, or somebody is being served. */
  #held = 0;
  #lastSharedOut = -Infinity;
  #lastForced = -Infinity;

  /**
   * @param limit Connections of all torrents together.
   * @throws {RangeError} If that isn't a number of 1 or more.
   */
  constructor(limit: number) {
    this.#limit = checkedLimit(limit);
  }

  /** Connections that all torrents together may have, as was wished. */
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

  /** How many torrents wait for their turn to dial. */
  get waiting(): number {
    return this.#waiting.size;
  }

  /** A torrent that may want connections; nothing is kept of it while it has none and wants none. */
  join(borrower: ConnectionBorrower): ConnectionShare {
    return new ConnectionShare(this, borrower);
  }

  /**
   * Another limit from now on. What is too many ends, those of the least use first.
   *
   * @param limit Connections of all torrents together.
   * @param now Milliseconds.
   * @throws {RangeError} If that isn't a number of 1 or more.
   */
  setLimit(limit: number, now: number): void {
    this.#limit = checkedLimit(limit);
    this.#shrink(now);
    this.#serve(now);
  }

  /**
   * The system has no room for more: files, trackers and the listener need some, so connections make do with fewer for a while.
   * Nobody is dialled for a moment, until those that are closed now have given their descriptors back.
   *
   * @param now Milliseconds.
   * @param options `dial`: it is a dial that has failed for that, and so had no descriptor itself.
   */
  shortage(now: number, options: { readonly dial?: boolean } = {}): void {
    let shortage = this.#shortage;
    // Everything that was under way fails at the same moment.
    if (shortage === null || now - shortage.at >= SHARE_OUT_MS) {
      const lasts = Math.min(MAX_SHORTAGE_MS, shortage === null ? SHORTAGE_MS : 2 * shortage.lasts);
      shortage = this.#shortage = { had: this.#used, most: Infinity, at: now, lasts };
    }
    if (options.dial) shortage.had--;
    shortage.most = Math.min(shortage.most, Math.max(FEWEST_CONNECTIONS, Math.floor(shortage.had * 7 / 8)));
    this.#shrink(now);
  }

  /** Whether all places are taken. */
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
      // Who comes next has the least; when there is nothing for it, there is nothing for anybody.
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

  /** Lets those that wait dial, each in its turn, as long as there is room. */
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

  /** Does something with what is given back meanwhile, before others may have it. */
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
   * Whose turn it is. Those that have less than an equal part of all places come first, those with the fewest dials before the
   * others, so that nobody's long list of dead addresses holds them up; then who has the fewest places.
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

  /** Has somebody give up a connection for another torrent, or with `forItself` for another of its own. */
  #makeRoom(taker: ConnectionShare, now: number, options: { readonly forItself?: boolean } = {}): boolean {
    for (const [giver, pressure] of this.#givers(taker, now, options)) {
      if (giver.borrower.giveUp(now, pressure)) {
        if (pressure === "forced") this.#lastForced = now;
        return true;
      }
      if (giver !== taker) giver.askAgain = now + SHARE_OUT_MS;
    }
    return false;
  }

  /** Who has to give up a connection for another torrent, in order, and how badly that needs it. */
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
    // Nobody starves for the sake of somebody who has plenty.
    const [richest] = byLevel;
    if (taker.used > 0 || richest === undefined || (richest.used - 1) / richest.weight < UNFAIR * after) return;
    if (now - this.#lastForced >= STARVED_MS) yield [richest, "forced"];
  }

  /** Ends what is too many. */
  #shrink(now: number): void {
    const limit = this.#limitAt(now);
    if (this.#used <= limit) return;
    this.#held++;
    try {
      const left = new Set(this.#active);
      while (this.#used > limit && left.size > 0) {
        const richest = [...left].reduce((a, b) => levelOf(b) > levelOf(a) ? b : a);
        if (!richest.borrower.giveUp(now, "forced")) left.delete(richest);
      }
    } finally {
      this.#held--;
    }
  }
}

/** How much a torrent has for what it counts. */
function levelOf({ used, weight }: ConnectionShare): number {
  return used / weight;
}

function checkedLimit(limit: number): number {
  if (limit >= 1) return limit;
  throw new RangeError(`The most connections is a number of 1 or more, and not ${limit}`);
}
