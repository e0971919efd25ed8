/**
 * Memory for data of unknown size that is read whole before it is parsed.
 *
 * @module
 */

/** One attempt to read something. */
export interface BudgetedRead {
  /** Aborted when other reads need the memory. The read is then attempted again later. */
  readonly signal: AbortSignal;
  /** Counts bytes before they are held. Check `signal` after each call. */
  readonly hold: (bytes: number) => void;
}

class Attempt implements BudgetedRead {
  readonly number: number;
  held = 0;
  readonly #stop = new AbortController();
  readonly hold: (bytes: number) => void;

  constructor(number: number, hold: (attempt: Attempt, bytes: number) => void) {
    this.number = number;
    this.hold = (bytes) => hold(this, bytes);
  }

  get signal(): AbortSignal {
    return this.#stop.signal;
  }

  giveUp(): void {
    this.#stop.abort();
  }
}

/**
 * Shares memory among reads of unknown size. When the memory is used up, the read that began last gives back what it
 * holds, and starts again after all earlier reads have ended. So the first read always completes, and then the others
 * one by one.
 */
export class ReadBudget {
  /** Bytes that all reads together may hold. */
  readonly limit: number;
  /** Attempts under way, in the order of the first attempt of each read. */
  readonly #attempts: Attempt[] = [];
  readonly #waiting = new Set<{ readonly number: number; readonly resolve: () => void }>();
  #used = 0;
  #count = 0;

  /** @param limit Bytes that all reads together may hold. */
  constructor(limit: number) {
    this.limit = limit;
  }

  /** Bytes that are held now. */
  get used(): number {
    return this.#used;
  }

  /**
   * Reads something, with as many attempts as it takes.
   *
   * @param read Makes one attempt. The memory is held until the promise settles. A single read must not need more than
   * the limit.
   * @param signal Aborts waiting for memory.
   * @returns The result of `read`.
   * @throws {Error} What `read` throws, or the reason of `signal`.
   */
  async run<T>(read: (reading: BudgetedRead) => Promise<T>, signal?: AbortSignal): Promise<T> {
    const number = this.#count++;
    for (;;) {
      const attempt = new Attempt(number, (attempt, bytes) => this.#hold(attempt, bytes));
      this.#attempts.push(attempt);
      this.#attempts.sort((a, b) => a.number - b.number);
      try {
        const found = await read(attempt);
        if (!attempt.signal.aborted) return found;
      } catch (error) {
        if (!attempt.signal.aborted || signal?.aborted) throw error;
      } finally {
        this.#end(attempt);
      }
      await this.#turn(number, signal);
    }
  }

  #hold(attempt: Attempt, bytes: number): void {
    while (this.#used + bytes > this.limit && this.#attempts.length > 1) {
      const last = this.#attempts.at(-1)!;
      last.giveUp();
      this.#end(last);
      if (last === attempt) return;
    }
    if (attempt.signal.aborted) return;
    attempt.held += bytes;
    this.#used += bytes;
  }

  #end(attempt: Attempt): void {
    const index = this.#attempts.indexOf(attempt);
    if (index < 0) return;
    this.#attempts.splice(index, 1);
    this.#used -= attempt.held;
    this.#wake();
  }

  #wake(): void {
    for (const { number, resolve } of this.#waiting) if (this.#isFirst(number)) resolve();
  }

  /** Returns `true` if no earlier read is under way or waiting. */
  #isFirst(number: number): boolean {
    const isBefore = (other: { readonly number: number }) => other.number < number;
    return !this.#attempts.some(isBefore) && ![...this.#waiting].some(isBefore);
  }

  async #turn(number: number, signal: AbortSignal | undefined): Promise<void> {
    signal?.throwIfAborted();
    if (this.#isFirst(number)) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const waiting = { number, resolve };
    this.#waiting.add(waiting);
    const giveUp = () => resolve();
    signal?.addEventListener("abort", giveUp, { once: true });
    await promise;
    signal?.removeEventListener("abort", giveUp);
    this.#waiting.delete(waiting);
    if (!signal?.aborted) return;
    this.#wake();
    throw signal.reason;
  }
}
