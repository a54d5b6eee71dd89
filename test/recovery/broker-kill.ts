import { setTimeout as delay } from 'node:timers/promises';
import { expect } from '@jest/globals';
import { type Service, startService } from '#testing';
import { AccessLoad } from './access-load.js';
import { BrokerLoad } from './broker-load.js';
import { Ledger } from './ledger.js';
import type { Random } from './random.js';
import { reportFigures } from './report.js';

export interface KillOptions {
  scenario: string;
  rounds: number;
  random: Random;
  /** Where the broker runs; the caller removes it. */
  folder: string;
  /** For the start of a round. */
  environment?: (round: number) => Record<string, string>;
  /** What a start may say of the files besides a torn end. */
  expectedFindings?: RegExp;
}

/**
 * Kills the broker again and again under load, also while it starts, then drains it and looks at every promise it made. What stands at
 * the end of the log and was promised to nobody may be cut; anything else that a start reports would be a loss of its own making.
 */
export async function killUnderLoad(options: KillOptions): Promise<void> {
  const { scenario, rounds, random, folder, environment = () => ({}) } = options;
  const ledger = new Ledger();
  const load = new BrokerLoad(ledger, random);
  const access = new AccessLoad(random);
  const said: string[] = [];
  const start = (round: number) => startService({ app: 'broker', folder, environment: environment(round) });
  const listen = (broker: Service) => said.push(...complaints(broker, options.expectedFindings));

  for (let round = 0; round < rounds; round++) {
    if (random.chance(0.3)) await killWhileStarting(options, round);
    const broker = await start(round);
    await access.check(broker);
    let working: Promise<unknown> = Promise.resolve();
    const begun = new Promise<void>((resolve) => {
      working = Promise.all([load.runUntilLost(broker.amqp, resolve), access.runUntilLost(broker)]);
    });
    // Now and then while it is being declared what the load needs.
    if (random.chance(0.9)) await Promise.race([working, begun]);
    await Promise.race([working, delay(random.between(50, 2_500))]);
    await broker.kill();
    await working;
    listen(broker);
  }
  const last = await start(rounds);
  await access.check(last);
  await load.drain(last.amqp);
  // Killed once more, so that the last acknowledgements too are on disk and nowhere else.
  await last.kill();
  listen(last);
  const empty = await start(rounds + 1);
  await access.check(empty);
  const depths = await load.depths(empty.amqp);
  await empty.stop();

  const figures = ledger.figures();
  reportFigures({
    scenario,
    seed: random.seed,
    rounds,
    confirmed: figures.promised,
    delivered: figures.deliveries,
    lost: figures.lost,
    duplicated: figures.duplicates,
    resurrected: figures.resurrected,
  });
  reportFigures({
    scenario: `${scenario}: users and virtual hosts`,
    seed: random.seed,
    rounds,
    confirmed: access.answered,
    delivered: 0,
    lost: access.lost.length,
    duplicated: 0,
    resurrected: access.resurrected.length,
  });
  expect(load.faults).toEqual([]);
  expect(access.lost).toEqual([]);
  expect(access.resurrected).toEqual([]);
  expect(ledger.lost()).toEqual([]);
  expect(ledger.resurrected()).toEqual([]);
  expect(ledger.damaged()).toEqual([]);
  expect(load.outOfOrder).toBe(0);
  expect(Object.values(depths).every((depth) => depth === 0)).toBe(true);
  expect(said).toEqual([]);
}

/** Before it is ready, or just then. */
async function killWhileStarting({ folder, random, environment }: KillOptions, round: number): Promise<void> {
  let kill: Promise<void> | undefined;
  const onSpawned = (pid: number) => {
    kill = delay(random.between(100, 900)).then(() => {
      process.kill(-pid, 'SIGKILL');
    });
  };
  const options = { app: 'broker', folder, environment: environment?.(round), onSpawned } as const;
  const started = await startService(options).catch(() => undefined);
  await kill;
  await started?.ended;
}

function complaints(broker: Service, expected = /torn tail|zero tail/): string[] {
  const lines = broker.output().split('\n');
  return lines.filter((line) => /damaged|lost|not restored|given up/i.test(line) && !expected.test(line));
}
