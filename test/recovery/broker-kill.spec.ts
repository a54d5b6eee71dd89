import { setTimeout as delay } from 'node:timers/promises';
import { expect, it } from '@jest/globals';
import { newFolder, removeFolder, type Service, startService } from '#testing';
import { BrokerLoad } from './broker-load.js';
import { Ledger } from './ledger.js';
import { killRounds, Random } from './random.js';

const ROUNDS = killRounds(6);
/** A round's share of the time limit. */
const ROUND_MS_MAX = 20_000;

it(
  'keeps every promise of the broker when it is killed at random moments under load',
  async () => {
    const random = new Random();
    const ledger = new Ledger();
    const load = new BrokerLoad(ledger, random);
    const folder = await newFolder();
    const said: string[] = [];
    console.log(`TOCSIN_SEED=${random.seed}`);

    for (let round = 0; round < ROUNDS; round++) {
      if (random.chance(0.3)) await killWhileStarting(folder, random);
      const broker = await start(folder);
      const working = load.runUntilLost(broker.amqp);
      await Promise.race([working, delay(random.between(50, 2_500))]);
      await broker.kill();
      await working;
      said.push(...complaints(broker));
    }
    const last = await start(folder);
    await load.drain(last.amqp);
    // Killed once more, so that the last acknowledgements too are on disk and nowhere else.
    await last.kill();
    said.push(...complaints(last));
    const empty = await start(folder);
    const depths = await load.depths(empty.amqp);
    await empty.stop();

    console.log(`${ROUNDS} kills: ${JSON.stringify({ ...ledger.figures(), outOfOrder: load.outOfOrder })}`);
    expect(load.faults).toEqual([]);
    expect(ledger.lost()).toEqual([]);
    expect(ledger.resurrected()).toEqual([]);
    expect(ledger.damaged()).toEqual([]);
    expect(load.outOfOrder).toBe(0);
    expect(Object.values(depths).every((depth) => depth === 0)).toBe(true);
    // A kill damages nothing: what the log reports as lost would be a loss of its own making.
    expect(said).toEqual([]);
    await removeFolder(folder);
  },
  30_000 + ROUNDS * ROUND_MS_MAX,
);

function start(folder: string): Promise<Service> {
  return startService({ app: 'broker', folder });
}

/** Before it is ready, or just then. */
async function killWhileStarting(folder: string, random: Random): Promise<void> {
  let kill: Promise<void> | undefined;
  const onSpawned = (pid: number) => {
    kill = delay(random.between(100, 900)).then(() => {
      process.kill(-pid, 'SIGKILL');
    });
  };
  const started = await startService({ app: 'broker', folder, onSpawned }).catch(() => undefined);
  await kill;
  await started?.ended;
}

/** Its warnings, those apart that a kill explains: bytes cut from the end that nobody was promised. */
function complaints(broker: Service): string[] {
  const lines = broker.output().split('\n');
  return lines.filter((line) => /damaged|lost|not restored|given up/i.test(line) && !/torn tail|zero tail/.test(line));
}
