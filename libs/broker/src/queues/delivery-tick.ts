/** Runs what has become due once per turn of the event loop, after the turn's input was read. */
export class DeliveryTick {
  #due: { run(): void }[] = [];
  #immediate: NodeJS.Immediate | undefined;

  /** Whoever is added must not add itself again before it has run. */
  add(task: { run(): void }): void {
    this.#due.push(task);
    this.#immediate ??= setImmediate(() => this.#run());
  }

  stop(): void {
    if (this.#immediate !== undefined) clearImmediate(this.#immediate);
    this.#due = [];
  }

  #run(): void {
    this.#immediate = undefined;
    const due = this.#due;
    this.#due = [];
    for (const task of due) task.run();
  }
}
