import type { Operator } from './operator.js';
import type { Address } from './peer.js';
import { play, type Transcript } from './player.js';
import type { Dialogue, Group } from './script.js';

/** Dialogues played side by side against one broker. */
const AT_ONCE = 16;

/** Plays every dialogue, those that must be alone at the end; the transcripts by dialogue. */
export async function playAll(
  groups: readonly Group[],
  address: Address,
  operator: Operator,
): Promise<Map<Dialogue, Transcript>> {
  const transcripts = new Map<Dialogue, Transcript>();
  const all = groups.flatMap(({ dialogues }) => dialogues);
  const playThese = async (waiting: Dialogue[]) => {
    for (let next = waiting.shift(); next; next = waiting.shift())
      transcripts.set(next, await playOrSay(next, address, operator));
  };
  const together = all.filter(({ isAlone }) => !isAlone);
  await Promise.all(Array.from({ length: AT_ONCE }, () => playThese(together)));
  await playThese(all.filter(({ isAlone }) => isAlone));
  return transcripts;
}

/** A dialogue that cannot be played (a word that is none, say) must not hide the others. */
async function playOrSay(dialogue: Dialogue, address: Address, operator: Operator): Promise<Transcript> {
  try {
    return await play(dialogue, address, operator);
  } catch (error) {
    return [`(could not be played: ${(error as Error).message})`];
  }
}
