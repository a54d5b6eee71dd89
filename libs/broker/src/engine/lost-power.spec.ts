import { rm } from 'node:fs/promises';
import { describe, expect, it, jest } from '@jest/globals';
import { codeError, ForgetfulFiles, seededRandom, stopClockOf } from '#testing';
import { EngineUnderTest, ticks } from './engine.harness.js';
import { PowerModel } from './power-model.harness.js';

const ROUNDS = 6;
const STEPS_MAX = 400;
const TIGHT_MEMORY_BYTES = 4_000;

/** More of them: TOCSIN_CRASH_SEEDS=200. */
const seedCount = Number(process.env['TOCSIN_CRASH_SEEDS'] ?? 8);
const only = process.env['TOCSIN_SEED'];
const seeds =
  only === undefined ? Array.from({ length: seedCount }, () => Math.floor(Math.random() * 2 ** 31)) : [Number(only)];

// Dozens of crashes: on a busy machine they take longer than a spec usually may.
jest.setTimeout(120_000 + seedCount * 10_000);

type Crash = (files: ForgetfulFiles, random: () => number) => ForgetfulFiles;

async function crashRounds(seed: number, crash: Crash) {
  const random = seededRandom(seed);
  const segmentBytes = 8_000 + Math.floor(random() * 12_000);
  const isTight = random() < 0.5;
  const model = new PowerModel(random, isTight);
  let files = new ForgetfulFiles();
  const options = { segmentBytes, reserveBytes: 2_000, ...(isTight ? { messageMemoryBytes: TIGHT_MEMORY_BYTES } : {}) };
  let engine = await EngineUnderTest.open({ ...options, files });
  const { directory, clock } = engine;
  model.declare(engine);
  await engine.synced();
  const seen = { ...model.counts, segmentsRemoved: 0, segmentsRewritten: 0 };
  for (let round = 0; round < ROUNDS; round++) {
    // A disk that is full now and then: what was written of a batch may be a part of it when the crash comes.
    const fullShare = random() < 0.3 ? 0.1 : 0;
    const fails = seededRandom(seed + round);
    files.failAt = (step) =>
      (step === 'write' || step === 'create') && fails() < fullShare ? codeError('ENOSPC', 'full') : undefined;
    for (let steps = Math.floor(random() * STEPS_MAX); steps > 0; steps--) await model.actAtRandom();
    await ticks(Math.floor(random() * 30));
    const tag = `TOCSIN_SEED=${seed} round ${round}`;
    if (engine.engine.failed !== undefined) throw new Error(`${tag}: ${engine.engine.failed.message}`);
    const { durable } = engine.engine.durability;
    const { segmentsRemoved, segmentsRewritten } = engine.engine.stats().log;
    seen.segmentsRemoved += segmentsRemoved;
    seen.segmentsRewritten += segmentsRewritten;
    files = crash(files, random);
    stopClockOf(engine.engine.durability);
    engine = await EngineUnderTest.open({ ...options, files, directory, clock });
    await model.check(engine, durable, tag);
    expect(model.broken).toEqual([]);
    expect(engine.reports.filter((line) => /lost|not restored|without a definition|given up/.test(line))).toEqual([]);
  }
  await engine.closeKeeping();
  await rm(directory, { recursive: true });
  return { ...seen, ...model.counts };
}

describe('an engine whose confirmed messages were durable', () => {
  it.each<[what: string, crash: Crash]>([
    ['the power goes', (files, random) => files.afterPowerCut(random)],
    ['the process is killed', (files) => files.afterKill()],
  ])(
    `loses none, revives nothing that was settled, and keeps its definitions when %s (seeds ${seeds.join(' ')})`,
    async (_what, crash) => {
      const sum = { promised: 0, checks: 0, segmentsRemoved: 0 };
      for (const seed of seeds) {
        const counts = await crashRounds(seed, crash);
        sum.promised += counts.promised;
        sum.checks += counts.checks;
        sum.segmentsRemoved += counts.segmentsRemoved;
      }
      // The test is worth little if nothing was promised, or no segment went meanwhile.
      expect(sum.checks).toBe(seeds.length * ROUNDS);
      expect(sum.promised).toBeGreaterThan(seeds.length * ROUNDS);
      expect(sum.segmentsRemoved).toBeGreaterThan(0);
    },
  );
});
