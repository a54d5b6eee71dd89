// FNV-1a with 64 bits, as prometheus/common computes a label set's fingerprint.
// The prime is 2^40 + 0x1b3, so a multiplication is one shift and one small product. Both halves are 32-bit integers throughout and rest in a typed
// array between two texts: no number is allocated, and no BigInt.
const OFFSET_HIGH = 0xcbf29ce4;
const OFFSET_LOW = 0x84222325;
const PRIME_LOW = 0x1b3;
const SEPARATOR = 0xff;

const hash = new Int32Array(2);

/** An alert's identity: FNV-1a 64 over the labels sorted by name (bytes), 16 lower-case hex digits, as Alertmanager prints it. */
export function fingerprint(labels: Readonly<Record<string, string>>): string {
  hash[0] = OFFSET_HIGH;
  hash[1] = OFFSET_LOW;
  for (const name of sortedByBytes(Object.keys(labels))) {
    feed(name);
    feed(labels[name] as string);
  }
  return hex(hash[0]) + hex(hash[1]);
}

/** Label names in the order of their UTF-8 bytes, as Go sorts strings; JavaScript's own order differs beyond the basic plane. */
export function sortedByBytes(names: string[]): string[] {
  if (names.some((name) => SURROGATE.test(name))) return names.sort(compareBytes);
  // Prometheus writes them sorted.
  return names.every((name, index) => index === 0 || (names[index - 1] as string) < name) ? names : names.sort();
}

const SURROGATE = /[\uD800-\uDFFF]/;

/** The bytes of the text, and a separator. */
function feed(text: string): void {
  let high = hash[0] as number;
  let low = hash[1] as number;
  for (let index = 0; index <= text.length; index++) {
    const byte = index < text.length ? text.charCodeAt(index) : SEPARATOR;
    if (byte > 0x7f && index < text.length) {
      hash[0] = high;
      hash[1] = low;
      feedBytes(Buffer.from(text.slice(index)));
      return;
    }

    low ^= byte;
    const lower = (low & 0xffff) * PRIME_LOW;
    const upper = (low >>> 16) * PRIME_LOW + (lower >>> 16);
    high = (Math.imul(high, PRIME_LOW) + (upper >>> 16) + (low << 8)) | 0;
    low = (upper << 16) | (lower & 0xffff);
  }
  hash[0] = high;
  hash[1] = low;
}

/** The rest of a text that is not ASCII, and a separator. */
function feedBytes(bytes: Buffer): void {
  let high = hash[0] as number;
  let low = hash[1] as number;
  for (let index = 0; index <= bytes.length; index++) {
    low ^= bytes[index] ?? SEPARATOR;
    const lower = (low & 0xffff) * PRIME_LOW;
    const upper = (low >>> 16) * PRIME_LOW + (lower >>> 16);
    high = (Math.imul(high, PRIME_LOW) + (upper >>> 16) + (low << 8)) | 0;
    low = (upper << 16) | (lower & 0xffff);
  }
  hash[0] = high;
  hash[1] = low;
}

function hex(half: number): string {
  return (half >>> 0).toString(16).padStart(8, '0');
}

function compareBytes(left: string, right: string): number {
  return Buffer.compare(Buffer.from(left), Buffer.from(right));
}
