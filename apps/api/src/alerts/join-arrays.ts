const COMMA = Buffer.from(',');
const OPENING = '[';
const CLOSING = ']';

/** One JSON array of the items of several, in their order. Each must be an array in JSON (UTF-8) that is not empty; they are not read again. */
export function joinArrays(arrays: readonly Buffer[]): Buffer {
  const [first] = arrays;
  if (first && arrays.length === 1) return first;

  const parts: Buffer[] = [Buffer.from(OPENING)];
  for (const [index, array] of arrays.entries()) {
    if (index > 0) parts.push(COMMA);
    parts.push(array.subarray(array.indexOf(OPENING) + 1, array.lastIndexOf(CLOSING)));
  }
  parts.push(Buffer.from(CLOSING));
  return Buffer.concat(parts);
}
