import type { Address } from './peer.js';
import { play, type Transcript } from './player.js';
import type { Dialogue, Group } from './script.js';

/** Dialogues played side by side against one broker. */
const AT_ONCE = 16;

/** Plays every dialogue; the transcripts by dialogue. */
export async function playAll(groups: readonly Group[], address: Address): Promise<Map<Dialogue, Transcript>> {
  const transcripts = new Map<Dialogue, Transcript>();
  const waiting = groups.flatMap(({ dialogues }) => dialogues);
  const playNext = async () => {
    for (let next = waiting.shift(); next; next = waiting.shift())
      transcripts.set(next, await playOrSay(next, address));
  };
  await Promise.all(Array.from({ length: AT_ONCE }, playNext));
  return transcripts;
}

/** A dialogue that cannot be played (a word that is none, say) must not hide the others. */
async function playOrSay(dialogue: Dialogue, address: Address): Promise<Transcript> {
  try {
    return await play(dialogue, address);
  } catch (error) {
    return [`(could not be played: ${(error as Error).message})`];
  }
}
