/** Below this a loop is quicker than a call into the platform. */
const LOOP_BYTES_MAX = 64;

/** Writes `bytes` at `at`; returns the offset behind them. */
export function writeBytes(target: Buffer, at: number, bytes: Buffer): number {
  const { length } = bytes;
  if (length <= LOOP_BYTES_MAX) for (let index = 0; index < length; index++) target[at + index] = bytes[index]!;
  else target.set(bytes, at);
  return at + length;
}

export function writeUint32(target: Buffer, at: number, value: number): void {
  target[at] = value >>> 24;
  target[at + 1] = value >>> 16;
  target[at + 2] = value >>> 8;
  target[at + 3] = value;
}

export function writeUint64(target: Buffer, at: number, value: number): void {
  writeUint32(target, at, Math.floor(value / 2 ** 32));
  writeUint32(target, at + 4, value % 2 ** 32);
}
