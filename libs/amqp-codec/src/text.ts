/**
 * AMQP strings are bytes; most are UTF-8, some are not, and all must go out as they came in. A byte that is no valid
 * UTF-8 becomes the lone surrogate U+DC00 + byte, which no valid text contains, so encoding gives back the same bytes.
 */
export function decodeText(bytes: Buffer, start: number, end: number): string {
  const text = bytes.toString('utf8', start, end);
  // U+FFFD is what the platform puts for invalid bytes; it can also stand in the text itself, the careful way handles both.
  return text.includes('\ufffd') ? decodeCarefully(bytes, start, end) : text;
}

/** Bytes that `encodeTextInto` writes. */
export function textBytes(text: string): number {
  let size = 0;
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index);
    if (code >= 0x80) return size + wideTextBytes(text, index);
    size++;
  }
  return size;
}

/** Writes at `offset`, where `textBytes(text)` bytes must be free; returns the offset behind the last byte. */
export function encodeTextInto(target: Buffer, offset: number, text: string): number {
  let at = offset;
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index);
    if (code >= 0x80) return encodeWideInto(target, at, text, index);
    target[at++] = code;
  }
  return at;
}

const LONE_SURROGATE = /[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/;
const ESCAPED_BYTES = 0xdc80;
const ESCAPED_BYTES_END = 0xdcff;

function wideTextBytes(text: string, from: number): number {
  const rest = text.slice(from);
  if (!LONE_SURROGATE.test(rest)) return Buffer.byteLength(rest);
  let size = 0;
  for (const character of rest) size += isEscapedByte(character) ? 1 : Buffer.byteLength(character);
  return size;
}

function encodeWideInto(target: Buffer, offset: number, text: string, from: number): number {
  const rest = text.slice(from);
  if (!LONE_SURROGATE.test(rest)) return offset + target.write(rest, offset);
  let at = offset;
  for (const character of rest) {
    if (isEscapedByte(character)) target[at++] = character.charCodeAt(0) & 0xff;
    else at += target.write(character, at);
  }
  return at;
}

function isEscapedByte(character: string): boolean {
  const code = character.charCodeAt(0);
  return character.length === 1 && code >= ESCAPED_BYTES && code <= ESCAPED_BYTES_END;
}

function decodeCarefully(bytes: Buffer, start: number, end: number): string {
  let text = '';
  let at = start;
  while (at < end) {
    const length = sequenceLength(bytes, at, end);
    text += length === 0 ? String.fromCharCode(0xdc00 + bytes[at]!) : bytes.toString('utf8', at, at + length);
    at += length === 0 ? 1 : length;
  }
  return text;
}

/** Length of the valid UTF-8 sequence at `at`, or 0. A sequence is valid when it survives decoding and encoding. */
function sequenceLength(bytes: Buffer, at: number, end: number): number {
  const first = bytes[at]!;
  if (first < 0x80) return 1;
  const length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4 || at + length > end) return 0;
  const sequence = bytes.subarray(at, at + length);
  return Buffer.from(sequence.toString('utf8')).equals(sequence) ? length : 0;
}
