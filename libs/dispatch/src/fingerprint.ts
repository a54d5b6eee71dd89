// FNV-1a with 64 bits, as prometheus/common computes a label set's fingerprint.
// The prime is 2^40 + 0x1b3, so a multiplication is one shift and one small product: two 32-bit halves stay exact in a double
// and are some ten times faster than BigInt.
const OFFSET_HIGH = 0xcbf29ce4;
const OFFSET_LOW = 0x84222325;
const PRIME_LOW = 0x1b3;
const TWO_32 = 0x1_0000_0000;
const SEPARATOR = 0xff;

let high = 0;
let low = 0;

/** An alert's identity: FNV-1a 64 over the labels sorted by name (bytes), 16 lower-case hex digits, as Alertmanager prints it. */
export function fingerprint(labels: Readonly<Record<string, string>>): string {
  high = OFFSET_HIGH;
  low = OFFSET_LOW;
  for (const name of sortedByBytes(Object.keys(labels))) {
    feed(name);
    feedByte(SEPARATOR);
    feed(labels[name] as string);
    feedByte(SEPARATOR);
  }
  return hex(high) + hex(low);
}

/** Label names in the order of their UTF-8 bytes, as Go sorts strings; JavaScript's own order differs beyond the basic plane. */
export function sortedByBytes(names: string[]): string[] {
  return names.sort((left, right) =>
    hasSurrogate(left) || hasSurrogate(right) ? compareBytes(left, right) : compare(left, right),
  );
}

function feed(text: string): void {
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index);
    if (code > 0x7f) {
      feedBytes(Buffer.from(text.slice(index)));
      return;
    }
    feedByte(code);
  }
}

function feedBytes(bytes: Buffer): void {
  for (const byte of bytes) feedByte(byte);
}

function feedByte(byte: number): void {
  const xored = (low ^ byte) >>> 0;
  const product = xored * PRIME_LOW;
  low = product >>> 0;
  const carry = (product - low) / TWO_32;
  high = (high * PRIME_LOW + carry + ((xored << 8) >>> 0)) >>> 0;
}

function hex(half: number): string {
  return half.toString(16).padStart(8, '0');
}

function hasSurrogate(text: string): boolean {
  return /[\uD800-\uDFFF]/.test(text);
}

function compare(left: string, right: string): number {
  return left < right ? -1 : left > right ? 1 : 0;
}

function compareBytes(left: string, right: string): number {
  return Buffer.compare(Buffer.from(left), Buffer.from(right));
}
