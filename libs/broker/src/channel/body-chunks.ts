/** Shorter body frames are copied together: a slice for each would cost many times its bytes. */
const SLICE_BYTES_MIN = 1024;
const BLOCK_BYTES = 64 * 1024;

/** The parts of a body that comes in several frames. Long ones stay where they lie, short ones are gathered in blocks. */
export class BodyChunks {
  readonly #chunks: Buffer[] = [];
  readonly #bodyBytes: number;
  #block = Buffer.alloc(0);
  /** What is gathered in the block and not among the chunks yet. */
  #from = 0;
  #to = 0;

  constructor(bodyBytes: number) {
    this.#bodyBytes = bodyBytes;
  }

  /** How many pieces of memory hold it. */
  get count(): number {
    return this.#chunks.length + (this.#to > this.#from ? 1 : 0);
  }

  add(chunk: Buffer): void {
    if (chunk.length >= SLICE_BYTES_MIN) {
      this.#closeGathered();
      this.#chunks.push(chunk);
      return;
    }
    if (this.#to + chunk.length > this.#block.length) {
      this.#closeGathered();
      this.#block = Buffer.allocUnsafeSlow(Math.min(BLOCK_BYTES, this.#bodyBytes));
      this.#from = 0;
      this.#to = 0;
    }
    this.#to += chunk.copy(this.#block, this.#to);
  }

  join(): Buffer {
    this.#closeGathered();
    return Buffer.concat(this.#chunks, this.#bodyBytes);
  }

  #closeGathered(): void {
    if (this.#to > this.#from) this.#chunks.push(this.#block.subarray(this.#from, this.#to));
    this.#from = this.#to;
  }
}
