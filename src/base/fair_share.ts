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

/** Several who count as one where others are concerned. */
export interface Party {
  /** Those of them that wait. */
  readonly waiting: Set<Claim>;
  /** About how many of them want some. */
  contenders: number;
}

/** One who wants some. */
export interface Claim {
  /** Whom it belongs to. */
  readonly party: Party;
  /** What it can do something with; 0 when it doesn't wait. */
  least: number;
  /** What it has got while it waits for more. */
  got: number;
}

/** What somebody has who waited. */
export interface Grant {
  readonly claim: Claim;
  readonly amount: number;
}

/**
 * A token bucket with many who drink from it. What there is goes in equal parts to the parties that wait, and in each in
 * equal parts to its members; what one doesn't need goes to the others (max-min fairness). So none starves, and never is
 * more given than the rate times the time that has passed and {@linkcode FairShare.burst}. It begins empty.
 *
 * Plain calculation: times go in, and who may go on comes out.
 */
export class FairShare {
  #rate: number;
  #level = 0;
  #at: number;
  readonly #waiting = new Set<Party>();
  /** About how many parties want some. */
  #contenders = 1;

  /**
   * @param rate Units a second; Infinity for no limit.
   * @param now Milliseconds.
   */
  constructor(rate: number, now: number) {
    this.#rate = rate;
    this.#at = now;
  }

  /** Units a second; Infinity when there is no limit. */
  get rate(): number {
    return this.#rate;
  }

  /** Most that is kept of what nobody took. */
  get burst(): number {
    return this.#rate * BURST_SECONDS;
  }

  /** A new party. */
  party(): Party {
    return { waiting: new Set(), contenders: 1 };
  }

  /** A new member of a party. */
  join(party: Party): Claim {
    return { party, least: 0, got: 0 };
  }

  /**
   * What one could have a second if all that wanted some lately go on doing so and need all that they get.
   *
   * @param claim Whose.
   * @returns Units a second; Infinity without a limit.
   */
  shareOf({ party }: Claim): number {
    if (this.#rate === Infinity) return Infinity;
    const parties = Math.max(1, this.#contenders, this.#waiting.size);
    return this.#rate / parties / Math.max(1, party.contenders, party.waiting.size);
  }

  /**
   * Another rate from now on. What was asked for was right for the old one, so nobody waits any more; what is to be had at
   * the new one is to be asked for again.
   *
   * @param rate Units a second; Infinity for no limit.
   * @param now Milliseconds.
   */
  setRate(rate: number, now: number): void {
    this.#refill(now);
    for (const { waiting } of [...this.#waiting]) for (const claim of [...waiting]) this.leave(claim, 0);
    this.#rate = rate;
    this.#level = rate === Infinity ? 0 : Math.min(this.#level, this.burst);
  }

  /**
   * Asks for some: the share of a moment, or more if that is too little to do something with.
   *
   * @param claim Who; doesn't wait.
   * @param least What it can do something with, above 0.
   * @param now Milliseconds.
   * @returns What it has; 0 when it has to wait until {@linkcode FairShare.serve} names it.
   */
  ask(claim: Claim, least: number, now: number): number {
    if (this.#rate === Infinity) return least;
    this.#refill(now);
    claim.least = least;
    const amount = this.#needOf(claim);
    if (this.#waiting.size === 0 && this.#level >= amount) {
      this.#level -= amount;
      claim.least = 0;
      return amount;
    }
    claim.party.waiting.add(claim);
    this.#waiting.add(claim.party);
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
    this.#refill(now);
    this.#contenders = Math.max(this.#waiting.size, this.#contenders * MEMORY);
    const parties = Array.from(this.#waiting, (party) => ({ party, need: this.#needsOf(party) }));
    parties.sort((a, b) => a.need - b.need);
    let left = parties.length;
    for (const { party, need } of parties) this.#shareOut(party, Math.min(need, this.#level / left--), through);
    for (const { claim } of through) this.#forget(claim);
    return through;
  }

  /**
   * @returns Milliseconds until the next {@linkcode FairShare.serve} is worth its while; Infinity when nobody waits.
   */
  get wait(): number {
    if (this.#waiting.size === 0) return Infinity;
    let least = Infinity;
    for (const { waiting } of this.#waiting) {
      for (const claim of waiting) least = Math.min(least, this.#needOf(claim) * waiting.size * this.#waiting.size);
    }
    return Math.min(MOST_WAIT_MS, Math.max(LEAST_WAIT_MS, 1000 * (least - this.#level) / this.#rate));
  }

  /**
   * One goes, or wants nothing any more.
   *
   * @param claim Who.
   * @param unused What it got some time and gives back; below 0 what it took and hadn't got.
   */
  leave(claim: Claim, unused: number): void {
    const back = unused + claim.got;
    this.#forget(claim);
    if (this.#rate < Infinity) this.#level = Math.min(this.burst, this.#level + back);
  }

  #shareOut(party: Party, amount: number, through: Grant[]): void {
    const claims = Array.from(party.waiting, (claim) => ({ claim, need: this.#needOf(claim) }));
    party.contenders = Math.max(party.waiting.size, party.contenders * MEMORY);
    claims.sort((a, b) => a.need - b.need);
    let left = claims.length;
    for (const { claim, need } of claims) {
      const part = Math.max(0, Math.min(need, amount / left--));
      amount -= part;
      this.#level -= part;
      claim.got += part;
      if (need - part <= NOTHING) through.push({ claim, amount: claim.got });
    }
  }

  #forget(claim: Claim): void {
    claim.least = claim.got = 0;
    const { party } = claim;
    party.waiting.delete(claim);
    if (party.waiting.size === 0) this.#waiting.delete(party);
  }

  /** What one lacks; less when others have come since it asked. */
  #needOf(claim: Claim): number {
    return Math.max(0, claim.least - claim.got, this.shareOf(claim) * PORTION_SECONDS - claim.got);
  }

  #needsOf({ waiting }: Party): number {
    let sum = 0;
    for (const claim of waiting) sum += this.#needOf(claim);
    return sum;
  }

  #refill(now: number): void {
    if (this.#rate === Infinity) return void (this.#at = now);
    const passed = Math.max(0, now - this.#at) / 1000;
    this.#level = Math.min(this.burst, this.#level + passed * this.#rate);
    this.#at = now;
  }
}
