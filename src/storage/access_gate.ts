/**
 * Two small locks for the files of a torrent: a gate that operations close to have the files to themselves, and a queue
 * that runs operations one at a time.
 *
 * @module
 */

/** Lets any number of jobs run at once while the gate is lowered. While the gate is raised, new jobs wait, in order. */
export class AccessGate {
  #passing = 0;
  #raised = false;
  #waiting: (() => void)[] = [];
  #whenQuiet: (() => void)[] = [];

  /** Whether new jobs have to wait. */
  get isClosed(): boolean {
    return this.#raised;
  }

  /**
   * Runs a job as soon as the gate is down.
   *
   * @returns Result of `work`.
   */
  run<T>(work: () => Promise<T>): Promise<T> {
    if (!this.#raised) return this.#pass(work);
    return new Promise((resolve, reject) => {
      this.#waiting.push(() => this.#pass(work).then(resolve, reject));
    });
  }

  /** Raises the gate: new jobs wait from now on. Resolves when the running jobs are over. */
  async close(): Promise<void> {
    this.#raised = true;
    while (this.#passing > 0) await new Promise<void>((resolve) => this.#whenQuiet.push(resolve));
  }

  /** Lowers the gate and starts all jobs that were waiting. */
  open(): void {
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

/** Runs jobs one at a time, in the order in which they were added. */
export class SerialQueue {
  /** Settles with the last job, and never rejects; `null` when no job is queued or running. */
  #last: Promise<void> | null = null;

  /**
   * Runs a job after all jobs that were added before.
   *
   * @returns Result of `work`.
   */
  run<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#last === null ? work() : this.#last.then(work);
    const done = (): void => {
      if (this.#last === last) this.#last = null;
    };
    const last = this.#last = result.then(done, done);
    return result;
  }

  /** Waits until no job is queued or running. Never rejects. */
  async idle(): Promise<void> {
    while (this.#last !== null) await this.#last;
  }
}
