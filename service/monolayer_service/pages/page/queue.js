// Work on many images, a few at a time: the service has a queue of its own, and others wait in it too.

const AT_ONCE = 2;

/** Runs jobs in the order they came, `AT_ONCE` of them at a time. */
export class Queue {
  #waiting = [];
  #running = 0;

  /**
   * Add a job.
   * @param {AbortSignal} signal ends the job, also before its turn
   * @param {function(): Promise<void>} run does the work, and handles what goes wrong
   */
  add(signal, run) {
    const job = { run };
    this.#waiting.push(job);
    signal.addEventListener("abort", () => {
      this.#waiting = this.#waiting.filter((other) => other !== job);
    });
    this.#next();
  }

  async #next() {
    if (this.#running >= AT_ONCE || !this.#waiting.length) return;
    this.#running++;
    const { run } = this.#waiting.shift();
    try {
      await run();
    } finally {
      this.#running--;
      this.#next();
    }
  }
}
