/** What fast-check's `assert` takes. */
export interface FuzzParameters {
  seed: number;
  numRuns: number;
}

/**
 * Seed and length of a random test. The seed is printed; `TOCSIN_SEED` sets it, `TOCSIN_FUZZ_FACTOR` makes every random
 * test longer by that factor.
 */
export function fuzzing(what: string, usualRuns: number): FuzzParameters {
  const seed = Number(process.env['TOCSIN_SEED'] ?? Math.floor(Math.random() * 2 ** 31));
  const numRuns = Math.ceil(usualRuns * Number(process.env['TOCSIN_FUZZ_FACTOR'] ?? 1));
  process.stderr.write(`fuzz: ${what}: ${numRuns} runs, TOCSIN_SEED=${seed}\n`);
  return { seed, numRuns };
}
