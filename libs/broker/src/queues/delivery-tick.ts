/** Runs what has become due once per turn of the event loop, after the turn's input was read. */
export class DeliveryTick {
  #due: { run(): void }[] = [];
  #last: { run(): void } | undefined;
  #immediate: NodeJS.Immediate | undefined;

  /** Whoever is added must not add itself again before it has run. */
  add(task: { run(): void }): void {
    this.#due.push(task);
    this.#immediate ??= setImmediate(() => this.#run());
  }

  /** Runs once, after all others of a tick. There is one such task. */
  addLast(task: { run(): void }): void {
    this.#last = task;
    this.#immediate ??= setImmediate(() => this.#run());
  }

  stop(): void {
    if (this.#immediate !== undefined) clearImmediate(this.#immediate);
    this.#due = [];
    this.#last = undefined;
  }

  #run(): void {
    this.#immediate = undefined;
    const due = this.#due;
    const last = this.#last;
    this.#due = [];
    this.#last = undefined;
    for (const task of due) task.run();
    last?.run();
  }
}
