/**
 * So much a second, shared out among those who want some of it.
 *
 * @module
 */

/** Seconds for which what nobody takes is kept. */
const BURST_SECONDS = 0.4;
/** Fewest and most milliseconds between two turns while somebody waits; the most has to be less than the burst. */
const LEAST_WAIT_MS = 5;
const MOST_WAIT_MS = 100;
/** Seconds for which one gets its share at a time: few, so that the flow is even, and enough to be worth its while. */
const PORTION_SECONDS = 0.1;
/** How fast it is forgotten how many wanted some: this part of them counts at the next turn. */
const MEMORY = 0.8;
/** What is less than this is nothing but the rounding of fractions. */
const NOTHING = 1e-6;

/** Units that come at a steady rate, and are kept for a moment when nobody takes them. */
class Bucket {
  #rate: number;
  #at: number;
  /** What there is; below 0 after more was taken. Infinity without a limit. */
  level: number;

  constructor(rate: number, now: number) {
    this.#rate = rate;
    this.#at = now;
    this.level = rate === Infinity ? Infinity : 0;
  }

  /** Units a second; Infinity for no limit. */
  get rate(): number {
    return this.#rate;
  }

  /** Most that is kept. */
  get burst(): number {
    return this.#rate * BURST_SECONDS;
  }

  setRate(rate: number, now: number): void {
    this.refill(now);
    // What comes after a time without a limit begins empty.
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

  /** Milliseconds until there is so much; 0 without a limit. */
  waitFor(amount: number): number {
    return amount <= this.level ? 0 : 1000 * (amount - this.level) / this.#rate;
  }
}

/** Several who count as one where others are concerned. */
export interface Party {
  /** What they may have together, whatever others leave. */
  readonly own: Bucket;
  /** Those of them that wait. */
  readonly waiting: Set<ShareClaim>;
  /** About how many of them want some. */
  contenders: number;
}

/** One who wants some. */
export interface ShareClaim {
  /** Whom it belongs to. */
  readonly party: Party;
  /** What it can do something with; 0 when it doesn't wait. */
  least: number;
  /** What it has got while it waits for more. */
  got: number;
}

/** What somebody has who waited. */
export interface Grant {
  readonly claim: ShareClaim;
  readonly amount: number;
}

/**
 * A token bucket with many who drink from it. What there is goes in equal parts to the parties that wait, and in each in
 * equal parts to its members; what one doesn't need, or may not have, goes to the others (max-min fairness). So none starves, and
 * never is more given than the rate times the time that has passed and {@linkcode FairShare.burst}. It begins empty.
 *
 * A party may have a rate of its own, which then holds besides: what it gets is taken from both.
 *
 * Plain calculation: times go in, and who may go on comes out.
 */
export class FairShare {
  readonly #all: Bucket;
  readonly #waiting = new Set<Party>();
  /** Whether somebody waits for what all share, rather than for what its party may have. */
  #scarce = false;
  /** About how many parties want more than they get. */
  #contenders = 1;
  /** Units a second that go to parties which may have no more than that. */
  #spoken = 0;
  /** The most of those units that goes to one party. */
  #mostSpoken = 0;

  /**
   * @param rate Units a second; Infinity for no limit.
   * @param now Milliseconds.
   */
  constructor(rate: number, now: number) {
    this.#all = new Bucket(rate, now);
  }

  /** Units a second; Infinity when there is no limit. */
  get rate(): number {
    return this.#all.rate;
  }

  /** Most that is kept of what nobody took. */
  get burst(): number {
    return this.#all.burst;
  }

  /**
   * A new party.
   *
   * @param now Milliseconds.
   * @param rate Units a second that it may have at most; Infinity for what the others leave it.
   */
  party(now: number, rate: number = Infinity): Party {
    return { own: new Bucket(rate, now), waiting: new Set(), contenders: 1 };
  }

  /** A new member of a party. */
  join(party: Party): ShareClaim {
    return { party, least: 0, got: 0 };
  }

  /**
   * What one could have a second if all that wanted some lately go on doing so and need all that they get.
   *
   * @param claim Whose.
   * @returns Units a second; Infinity without a limit.
   */
  shareOf({ party }: ShareClaim): number {
    // Who has no rate of its own gets no less than one that has.
    const rest = Math.max(this.#mostSpoken, (this.#all.rate - this.#spoken) / Math.max(1, this.#contenders));
    const share = Math.min(party.own.rate, rest);
    return share / Math.max(1, party.contenders, party.waiting.size);
  }

  /**
   * Another rate from now on. What was asked for was right for the old one, so nobody waits any more; what is to be had at
   * the new one is to be asked for again.
   *
   * @param rate Units a second; Infinity for no limit.
   * @param now Milliseconds.
   */
  setRate(rate: number, now: number): void {
    this.#all.refill(now);
    for (const party of [...this.#waiting]) this.#dismiss(party);
    this.#all.setRate(rate, now);
    this.#spoken = this.#mostSpoken = 0;
  }

  /**
   * Another rate of one party from now on, as {@linkcode FairShare.setRate} is for all.
   *
   * @param party Whose.
   * @param rate Units a second; Infinity for what the others leave it.
   * @param now Milliseconds.
   */
  setRateOf(party: Party, rate: number, now: number): void {
    this.#dismiss(party);
    party.own.setRate(rate, now);
    this.#spoken = this.#mostSpoken = 0;
  }

  /**
   * Asks for some: the share of a moment, or more if that is too little to do something with.
   *
   * @param claim Who; doesn't wait.
   * @param least What it can do something with, above 0.
   * @param now Milliseconds.
   * @returns What it has; 0 when it has to wait until {@linkcode FairShare.serve} names it.
   */
  ask(claim: ShareClaim, least: number, now: number): number {
    const { party } = claim;
    const { own } = party;
    if (this.#all.rate === Infinity && own.rate === Infinity) return least;
    this.#all.refill(now);
    own.refill(now);
    claim.least = least;
    const amount = this.#needOf(claim);
    // Enough for all who wanted some lately: else whoever asks first would have what the last turn left.
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
   * Shares out what there is.
   *
   * @param now Milliseconds.
   * @returns Those who wait no more, and what they have.
   */
  serve(now: number): Grant[] {
    const through: Grant[] = [];
    this.#all.refill(now);
    for (const { own } of this.#waiting) own.refill(now);
    this.#weigh();
    const parties = Array.from(this.#waiting, (party) => ({ party, need: this.#needsOf(party) }));
    parties.sort((a, b) => a.need - b.need);
    this.#scarce = false;
    let left = parties.length;
    for (const { party, need } of parties) {
      const part = Math.max(0, this.#all.level / left--);
      if (need - part > NOTHING) this.#scarce = true;
      this.#shareOut(party, Math.min(need, part), through);
    }
    for (const { claim } of through) this.#forget(claim);
    return through;
  }

  /**
   * @returns Milliseconds until the next {@linkcode FairShare.serve} is worth its while; Infinity when nobody waits.
   */
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
   * One goes, or wants nothing any more.
   *
   * @param claim Who.
   * @param unused What it got some time and gives back; below 0 what it took and hadn't got.
   */
  leave(claim: ShareClaim, unused: number): void {
    const back = unused + claim.got;
    this.#forget(claim);
    this.#all.give(back);
    claim.party.own.give(back);
  }

  /**
   * What a member of a party got before that had another rate, and can't keep, is for all.
   *
   * @param unused How much; below 0 what it took and hadn't got.
   */
  settle(unused: number): void {
    this.#all.give(unused);
  }

  /** Nobody of a party waits any more. */
  #dismiss({ waiting }: Party): void {
    for (const claim of [...waiting]) this.leave(claim, 0);
  }

  /** How much there is for those who may have what the others leave, and how many they are. */
  #weigh(): void {
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
    this.#spoken = spoken;
    this.#mostSpoken = most;
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
      claim.got += part;
      if (need - part <= NOTHING) through.push({ claim, amount: claim.got });
    }
  }

  #forget(claim: ShareClaim): void {
    claim.least = claim.got = 0;
    const { party } = claim;
    party.waiting.delete(claim);
    if (party.waiting.size === 0) this.#waiting.delete(party);
    if (this.#waiting.size === 0) this.#scarce = false;
  }

  /** What one lacks; less when others have come since it asked. */
  #needOf(claim: ShareClaim): number {
    return Math.max(0, claim.least - claim.got, this.shareOf(claim) * PORTION_SECONDS - claim.got);
  }

  /** What the members of a party lack and it may have now. */
  #needsOf({ own, waiting }: Party): number {
    let sum = 0;
    for (const claim of waiting) sum += this.#needOf(claim);
    return Math.max(0, Math.min(sum, own.level));
  }
}
