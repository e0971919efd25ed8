/**
 * A token bucket that is shared fairly among several parties.
 *
 * @module
 */

/** Unused units are kept for this many seconds. */
const BURST_SECONDS = 0.4;
/** Shortest time between two rounds while a claim waits. */
const LEAST_WAIT_MS = 5;
/** Longest time between two rounds while a claim waits. It has to be shorter than the burst. */
const MOST_WAIT_MS = 100;
/** A claim gets its share of this many seconds at a time: an even flow, in portions worth a round. */
const PORTION_SECONDS = 0.1;
/** Decay per round of the number of contenders of earlier rounds. */
const MEMORY = 0.8;
/** Amounts below this are rounding errors. */
const EPSILON = 1e-6;

/** Token bucket: units arrive at a steady rate, and unused ones are kept for a moment. */
class Bucket {
  #rate: number;
  #at: number;
  /** Units in the bucket; below 0 after more were taken. Infinity without a limit. */
  level: number;

  constructor(rate: number, now: number) {
    this.#rate = rate;
    this.#at = now;
    this.level = rate === Infinity ? Infinity : 0;
  }

  /** Units a second. Infinity without a limit. */
  get rate(): number {
    return this.#rate;
  }

  /** Most units that the bucket holds. */
  get burst(): number {
    return this.#rate * BURST_SECONDS;
  }

  setRate(rate: number, now: number): void {
    this.refill(now);
    // A limit that is newly set starts with an empty bucket.
    this.level = rate === Infinity
      ? Infinity
      : this.#rate === Infinity
      ? 0
      : Math.min(this.level, rate * BURST_SECONDS);
    this.#rate = rate;
  }

  refill(now: number): void {
    const seconds = Math.max(0, now - this.#at) / 1000;
    this.#at = now;
    if (this.#rate < Infinity) this.give(seconds * this.#rate);
  }

  give(amount: number): void {
    this.level = Math.min(this.burst, this.level + amount);
  }

  /** Returns the milliseconds until the bucket holds an amount; 0 without a limit. */
  waitFor(amount: number): number {
    return amount <= this.level ? 0 : 1000 * (amount - this.level) / this.#rate;
  }
}

/** A group of claims, such as a torrent with its connections, that gets one share. */
export interface Party {
  /** Own limit of the party. */
  readonly own: Bucket;
  /** Claims of the party that wait. */
  readonly waiting: Set<ShareClaim>;
  /** Estimated number of claims of the party that want units. */
  contenders: number;
}

/** A member of a party, such as a connection. */
export interface ShareClaim {
  /** Party that the claim belongs to. */
  readonly party: Party;
  /** Smallest amount that is of use to the claim. 0 while it doesn't wait. */
  least: number;
  /** Units granted so far while the claim waits. */
  granted: number;
}

/** Units for a claim that waited. */
export interface Grant {
  readonly claim: ShareClaim;
  readonly amount: number;
}

/**
 * A token bucket for many users. Its units go in equal parts to the parties that wait, and in each party in equal parts
 * to its claims. What one claim doesn't need, or its party may not have, goes to the others (max-min fairness). So no
 * claim starves, and the total never exceeds the rate times the elapsed time plus {@linkcode FairShare.burst}. The
 * bucket is empty at first.
 *
 * A party may have an additional rate of its own. Its units are then taken from both buckets.
 *
 * The class has no timers: the caller passes the time, and gets back which claims may go on.
 */
export class FairShare {
  readonly #all: Bucket;
  readonly #waiting = new Set<Party>();
  /** `true` if a claim waits for the common bucket rather than for the limit of its party. */
  #scarce = false;
  /** Estimated number of parties that want more than they get. */
  #contenders = 1;
  /** Units a second of the parties whose own rate is below their fair share. */
  #reservedRate = 0;
  /** Highest own rate among the parties that `#spoken` counts. */
  #highestReservedRate = 0;

  /**
   * @param rate Units a second; Infinity for no limit.
   * @param now Monotonic time in milliseconds.
   */
  constructor(rate: number, now: number) {
    this.#all = new Bucket(rate, now);
  }

  /** Units a second; Infinity without a limit. */
  get rate(): number {
    return this.#all.rate;
  }

  /** Most unused units that are kept. */
  get burst(): number {
    return this.#all.burst;
  }

  /**
   * Makes a party.
   *
   * @param now Monotonic time in milliseconds.
   * @param rate Own limit of the party in units a second; Infinity for none.
   */
  party(now: number, rate: number = Infinity): Party {
    return { own: new Bucket(rate, now), waiting: new Set(), contenders: 1 };
  }

  /** Makes a claim of a party. */
  join(party: Party): ShareClaim {
    return { party, least: 0, granted: 0 };
  }

  /** Units a second that a claim gets if all recent contenders use their shares. Infinity without a limit. */
  shareOf({ party }: ShareClaim): number {
    // A party without a rate of its own gets no less than a party with one.
    const rest = Math.max(
      this.#highestReservedRate,
      (this.#all.rate - this.#reservedRate) / Math.max(1, this.#contenders),
    );
    const share = Math.min(party.own.rate, rest);
    return share / Math.max(1, party.contenders, party.waiting.size);
  }

  /**
   * Sets the common rate. All claims stop waiting, since the amounts that they asked for were right for the old rate.
   * They have to ask again.
   *
   * @param rate Units a second; Infinity for no limit.
   * @param now Monotonic time in milliseconds.
   */
  setRate(rate: number, now: number): void {
    this.#all.refill(now);
    for (const party of [...this.#waiting]) this.#dismiss(party);
    this.#all.setRate(rate, now);
    this.#reservedRate = this.#highestReservedRate = 0;
  }

  /**
   * Sets the own rate of a party. All claims of the party stop waiting, as in {@linkcode FairShare.setRate}.
   *
   * @param party The party.
   * @param rate Units a second; Infinity for no limit of its own.
   * @param now Monotonic time in milliseconds.
   */
  setRateOf(party: Party, rate: number, now: number): void {
    this.#dismiss(party);
    party.own.setRate(rate, now);
    this.#reservedRate = this.#highestReservedRate = 0;
  }

  /**
   * Asks for units: the share of a short time, or more if that is less than what is of use.
   *
   * @param claim A claim that doesn't wait.
   * @param least Smallest amount that is of use, above 0.
   * @param now Monotonic time in milliseconds.
   * @returns Units granted; 0 if the claim has to wait until {@linkcode FairShare.serve} returns it.
   */
  ask(claim: ShareClaim, least: number, now: number): number {
    const { party } = claim;
    const { own } = party;
    if (this.#all.rate === Infinity && own.rate === Infinity) return least;
    this.#all.refill(now);
    own.refill(now);
    claim.least = least;
    const amount = this.#needOf(claim);
    // There must be enough for all recent contenders, or the first one to ask would get all that the last round left.
    const crowd = Math.max(1, party.contenders);
    const there = Math.min(this.#all.level / Math.max(1, this.#contenders), own.level) / crowd;
    if (!this.#scarce && party.waiting.size === 0 && there >= amount) {
      this.#all.level -= amount;
      own.level -= amount;
      claim.least = 0;
      return amount;
    }
    if (this.#all.level < amount) this.#scarce = true;
    party.waiting.add(claim);
    this.#waiting.add(party);
    return 0;
  }

  /**
   * Distributes the units in the buckets.
   *
   * @param now Monotonic time in milliseconds.
   * @returns The claims that no longer wait, with what they got.
   */
  serve(now: number): Grant[] {
    const through: Grant[] = [];
    this.#all.refill(now);
    for (const { own } of this.#waiting) own.refill(now);
    this.#countContenders();
    const parties = Array.from(this.#waiting, (party) => ({ party, need: this.#needsOf(party) }));
    parties.sort((a, b) => a.need - b.need);
    this.#scarce = false;
    let left = parties.length;
    for (const { party, need } of parties) {
      const part = Math.max(0, this.#all.level / left--);
      if (need - part > EPSILON) this.#scarce = true;
      this.#shareOut(party, Math.min(need, part), through);
    }
    for (const { claim } of through) this.#forget(claim);
    return through;
  }

  /** Milliseconds until the next {@linkcode FairShare.serve} can be of use; Infinity when no claim waits. */
  get wait(): number {
    if (this.#waiting.size === 0) return Infinity;
    let first = Infinity;
    for (const { own, waiting } of this.#waiting) {
      let least = Infinity;
      for (const claim of waiting) least = Math.min(least, this.#needOf(claim) * waiting.size);
      first = Math.min(first, Math.max(own.waitFor(least), this.#all.waitFor(least * this.#waiting.size)));
    }
    return Math.min(MOST_WAIT_MS, Math.max(LEAST_WAIT_MS, first));
  }

  /**
   * Ends a claim, or stops its waiting.
   *
   * @param claim The claim.
   * @param unused Units that it gives back; below 0 for units that it used without a grant.
   */
  leave(claim: ShareClaim, unused: number): void {
    const back = unused + claim.granted;
    this.#forget(claim);
    this.#all.give(back);
    claim.party.own.give(back);
  }

  /**
   * Gives units back to the common bucket alone, when the rate of the party has changed since they were granted.
   *
   * @param unused Units; below 0 for units that were used without a grant.
   */
  settle(unused: number): void {
    this.#all.give(unused);
  }

  /** Makes all claims of a party stop waiting. */
  #dismiss({ waiting }: Party): void {
    for (const claim of [...waiting]) this.leave(claim, 0);
  }

  /** Updates the number of parties that share what parties with lower own rates leave, and how much that is. */
  #countContenders(): void {
    let [left, spoken, most] = [this.#waiting.size, 0, 0];
    if (this.#all.rate < Infinity) {
      const rates = Array.from(this.#waiting, ({ own }) => own.rate).sort((a, b) => a - b);
      for (const rate of rates) {
        if (rate >= (this.#all.rate - spoken) / left) break;
        spoken += rate;
        most = rate;
        left--;
      }
    }
    this.#reservedRate = spoken;
    this.#highestReservedRate = most;
    this.#contenders = Math.max(left, this.#contenders * MEMORY);
  }

  #shareOut(party: Party, amount: number, through: Grant[]): void {
    const claims = Array.from(party.waiting, (claim) => ({ claim, need: this.#needOf(claim) }));
    party.contenders = Math.max(party.waiting.size, party.contenders * MEMORY);
    claims.sort((a, b) => a.need - b.need);
    let left = claims.length;
    for (const { claim, need } of claims) {
      const part = Math.max(0, Math.min(need, amount / left--));
      amount -= part;
      this.#all.level -= part;
      party.own.level -= part;
      claim.granted += part;
      if (need - part <= EPSILON) through.push({ claim, amount: claim.granted });
    }
  }

  #forget(claim: ShareClaim): void {
    claim.least = claim.granted = 0;
    const { party } = claim;
    party.waiting.delete(claim);
    if (party.waiting.size === 0) this.#waiting.delete(party);
    if (this.#waiting.size === 0) this.#scarce = false;
  }

  /** Units that a claim lacks. The amount shrinks when other claims have come since it asked. */
  #needOf(claim: ShareClaim): number {
    return Math.max(0, claim.least - claim.granted, this.shareOf(claim) * PORTION_SECONDS - claim.granted);
  }

  /** Units that the claims of a party lack and that its own rate allows now. */
  #needsOf({ own, waiting }: Party): number {
    let sum = 0;
    for (const claim of waiting) sum += this.#needOf(claim);
    return Math.max(0, Math.min(sum, own.level));
  }
}
