import { it } from '@jest/globals';
import { newFolder, removeFolder } from '#testing';
import { killUnderLoad } from './broker-kill.js';
import { killRounds, Random } from './random.js';

const ROUNDS = killRounds(20);
/** A round's share of the time limit. */
const ROUND_MS_MAX = 20_000;

it(
  'keeps every promise of the broker when it is killed at random moments under load',
  async () => {
    const folder = await newFolder();
    await killUnderLoad({ scenario: 'broker killed', rounds: ROUNDS, random: new Random(), folder });
    await removeFolder(folder);
  },
  30_000 + ROUNDS * ROUND_MS_MAX,
);
