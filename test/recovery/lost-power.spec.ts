import { it } from '@jest/globals';
import { newFolder, removeFolder } from '#testing';
import { killUnderLoad } from './broker-kill.js';
import { DiskShim, hasCompiler } from './disk-shim.js';
import { killRounds, Random } from './random.js';

const ROUNDS = killRounds(8);
const ROUND_MS_MAX = 30_000;
/** What lost power leaves at the end of the log: a part of what was not synced, in any order. */
const UNSYNCED_END = /torn tail|zero tail|hole in what was not synced/;

(hasCompiler() ? it : it.skip)(
  'keeps every promise of the broker when power is lost under load',
  async () => {
    const random = new Random();
    const folder = await newFolder();
    const shim = await DiskShim.make(folder);
    await killUnderLoad({
      scenario: 'lost power',
      rounds: ROUNDS,
      random,
      folder,
      environment: (round) => shim.environment(random.seed + round),
      expectedFindings: UNSYNCED_END,
    });
    await shim.close();
    await removeFolder(folder);
  },
  60_000 + ROUNDS * ROUND_MS_MAX,
);
