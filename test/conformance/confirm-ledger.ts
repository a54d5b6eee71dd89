/**
 * Publishes of a channel in confirm mode. A broker may confirm one by one or many at a time; a transcript has a line for
 * each, so that both read the same.
 */
export class ConfirmLedger {
  #published = 0;
  readonly #outstanding = new Set<number>();

  get settledCount(): number {
    return this.#published - this.#outstanding.size;
  }

  published(): void {
    this.#published++;
    this.#outstanding.add(this.#published);
  }

  /** Lines for what this ack or nack settles. */
  settle(name: string, tag: number, isMultiple: boolean): string[] {
    const settled = isMultiple ? [...this.#outstanding].filter((each) => each <= tag) : [tag];
    return settled.map((each) =>
      this.#outstanding.delete(each)
        ? `${name} of publish ${each}`
        : `${name} of publish ${each}, which is not outstanding`,
    );
  }
}
