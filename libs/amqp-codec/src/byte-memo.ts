/** Places: for ten thousand keys used in turn nearly all find one, as each may lie in any of `WAYS`. */
const PLACES = 32_768;
const WAYS = 4;
/** Longer ones are not remembered. */
const BYTES_MAX = 256;
/** The bytes lie side by side in pieces of this size: a buffer for each would cost more, and as often as not miss the cache. */
const SLAB_BYTES = 16 * 1024;
/** When so many were filled everything is forgotten: a value that stays among many that went must not pin its piece for ever. */
const SLABS_MAX = 512;

/**
 * Remembers what was made of short stretches of bytes that come again and again: ten thousand routing keys, say. What was seen once
 * leaves its hash and nothing else, so that keys which never come again cost no memory and hardly any time. Bounded: a new one takes
 * the place of another.
 */
export class ByteMemo<Value extends { readonly bytes: Buffer }> {
  readonly #make: (bytes: Buffer) => Value;
  // Made when first needed: most brokers see one key, or few.
  #hashes = new Int32Array(0);
  #values: (Value | undefined)[] = [];
  #turn = 0;
  #slab = Buffer.alloc(0);
  #slabUsed = 0;
  #slabs = 0;

  /** `make` gets bytes of its own, which it keeps as `Value.bytes`. */
  constructor(make: (bytes: Buffer) => Value) {
    this.#make = make;
  }

  /** The value of these bytes; undefined when they are seen for the first time, or too long. */
  find(bytes: Buffer, start: number, end: number): Value | undefined {
    if (end - start > BYTES_MAX) return undefined;
    if (this.#hashes.length === 0) this.#makePlaces();
    const hashes = this.#hashes;
    const hash = hashOf(bytes, start, end);
    const first = (hash & (PLACES / WAYS - 1)) * WAYS;
    let free = -1;
    for (let place = first; place < first + WAYS; place++) {
      if (hashes[place] !== hash) {
        if (hashes[place] === 0) free = place;
        continue;
      }
      const value = this.#values[place];
      if (value === undefined) return this.#keep(place, bytes, start, end);
      if (holdsAt(value.bytes, bytes, start, end)) return value;
    }
    if (free === -1) {
      this.#turn = (this.#turn + 1) % WAYS;
      free = first + this.#turn;
      this.#values[free] = undefined;
    }
    hashes[free] = hash;
    return undefined;
  }

  #keep(place: number, bytes: Buffer, start: number, end: number): Value {
    const size = end - start;
    if (this.#slabUsed + size > this.#slab.length) this.#addSlab();
    const own = this.#slab.subarray(this.#slabUsed, this.#slabUsed + size);
    this.#slabUsed += size;
    bytes.copy(own, 0, start, end);
    const value = this.#make(own);
    this.#values[place] = value;
    return value;
  }

  #addSlab(): void {
    if (this.#slabs === SLABS_MAX) {
      this.#values.fill(undefined);
      this.#slabs = 0;
    }
    this.#slab = Buffer.allocUnsafeSlow(SLAB_BYTES);
    this.#slabUsed = 0;
    this.#slabs++;
  }

  #makePlaces(): void {
    this.#hashes = new Int32Array(PLACES);
    this.#values = new Array(PLACES).fill(undefined);
  }
}

/** Whether `bytes` from `start` to `end` are those of `known`. */
export function holdsAt(known: Buffer, bytes: Buffer, start: number, end: number): boolean {
  const { length } = known;
  if (length !== end - start) return false;
  for (let index = 0; index < length; index++) if (known[index] !== bytes[start + index]) return false;
  return true;
}

/** FNV-1a, with all bits mixed at the end: keys differ in a digit or two, and the low bits choose the place. */
function hashOf(bytes: Buffer, start: number, end: number): number {
  let hash = 0x811c9dc5;
  for (let index = start; index < end; index++) hash = Math.imul(hash ^ bytes[index]!, 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return hash ^ (hash >>> 16);
}
