/**
 * Who may use the files when: a fence between everyday work and what must have them alone, and turns for the latter.
 *
 * @module
 */

/** Lets work pass, much of it at a time, until it is raised; what comes then waits, in order, until it is lowered. */
export class AccessGate {
  #passing = 0;
  #raised = false;
  #waiting: (() => void)[] = [];
  #whenQuiet: (() => void)[] = [];

  /** Whether work has to wait. */
  get isRaised(): boolean {
    return this.#raised;
  }

  /**
   * Does something once the fence is down; at once if it is.
   *
   * @param work What to do.
   * @returns What `work` returns.
   */
  run<T>(work: () => Promise<T>): Promise<T> {
    if (!this.#raised) return this.#pass(work);
    return new Promise((resolve, reject) => {
      this.#waiting.push(() => this.#pass(work).then(resolve, reject));
    });
  }

  /** Holds back what comes, and waits for what is under way. */
  async raise(): Promise<void> {
    this.#raised = true;
    while (this.#passing > 0) await new Promise<void>((resolve) => this.#whenQuiet.push(resolve));
  }

  /** Begins at once all that was held back. */
  lower(): void {
    this.#raised = false;
    for (const go of this.#waiting.splice(0)) go();
  }

  async #pass<T>(work: () => Promise<T>): Promise<T> {
    this.#passing++;
    try {
      return await work();
    } finally {
      if (--this.#passing === 0) { for (const go of this.#whenQuiet.splice(0)) go(); }
    }
  }
}

/** Does one thing after the other. */
export class SerialQueue {
  /** Settles with the last of them, and never fails; `null` when there is none. */
  #last: Promise<void> | null = null;

  /**
   * Does something after all that was asked for before; at once if there is nothing.
   *
   * @param work What to do.
   * @returns What `work` returns.
   */
  take<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#last === null ? work() : this.#last.then(work);
    const done = (): void => {
      if (this.#last === last) this.#last = null;
    };
    const last = this.#last = result.then(done, done);
    return result;
  }

  /** Waits until nothing is under way. Never fails. */
  async idle(): Promise<void> {
    while (this.#last !== null) await this.#last;
  }
}
