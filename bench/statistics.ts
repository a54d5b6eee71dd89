export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

/** The value at `part` (0 to 1) of the sorted values. */
export function quantile(values: readonly number[], part: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))] ?? Number.NaN;
}
