import { type Operator, operate } from './operator.js';
import { type Address, Peer, peerOptions, Silence } from './peer.js';
import type { Dialogue, Step } from './script.js';

/** A transcript: what the broker said, connection by connection and channel by channel, a line each. */
export type Transcript = readonly string[];

let played = 0;

/** Plays one dialogue against a broker. Its names (`~q`) are its own, so that dialogues do not meet. */
export async function play(dialogue: Dialogue, address: Address, operator: Operator): Promise<Transcript> {
  const prefix = `zk${(played++).toString(36).padStart(5, '0')}-`;
  const heard = { replyTo: '', queue: '' };
  const peers = new Map<string, Peer>();
  const named = (text: string) => text.replaceAll('~', prefix);
  const peerOf = async (name: string) => {
    const known = peers.get(name);
    if (known) return known;
    const peer = new Peer(name, peerOptions(dialogue.options.get(name)?.map(named)), heard);
    peers.set(name, peer);
    await peer.connect(address);
    return peer;
  };
  const textOf = (step: Step) =>
    named(step.text).replaceAll('$replyTo', heard.replyTo).replaceAll('$queue', heard.queue);

  try {
    for (const step of dialogue.steps) {
      if (step.kind === 'operate') await operate(operator, named(step.text));
      else await playStep(step, await peerOf(step.connection), () => textOf(step));
    }
    for (const peer of peers.values()) await peer.finish();
  } catch (error) {
    if (!(error instanceof Silence)) throw error;
    // Those that follow must not hear of it.
    if (dialogue.isAlone) await operator.clearMemoryAlarm();
  } finally {
    for (const peer of peers.values()) peer.destroy();
  }
  return transcriptOf([...peers.values()], dialogue.isUnordered, prefix);
}

async function playStep(step: Step, peer: Peer, textOf: () => string): Promise<void> {
  if (step.kind !== 'wait') {
    await peer.send(textOf(), step.channel, step.kind === 'send');
    return;
  }
  const [name, count = '*1'] = step.text.split(' ') as [string, string?];
  const times = Number(count.replace('*', ''));
  if (name === 'confirms') await peer.waitForConfirms(step.channel, times);
  else await peer.waitFor([name], step.channel, times);
}

function transcriptOf(peers: readonly Peer[], isUnordered: boolean, prefix: string): Transcript {
  const lines = [...peers]
    .sort((a, b) => a.name.localeCompare(b.name))
    .flatMap((peer) => {
      const channels = [...new Set(peer.said.map(({ channel }) => channel))].sort((a, b) => a - b);
      return channels.flatMap((channel) => {
        const said = peer.said.filter((each) => each.channel === channel).map((each) => each.text);
        if (isUnordered) said.sort();
        return withConfirmsInOrder(said).map((text) => `${peer.name}${channel} ${text}`);
      });
    });
  return normalised(lines, prefix);
}

const CONFIRM = /^basic\.n?ack of publish (\d+)$/;

/** Confirms may overtake each other on their way from different queues: neighbours are put in the order of publishing. */
function withConfirmsInOrder(said: readonly string[]): string[] {
  const numberOf = (text: string) => Number(CONFIRM.exec(text)?.[1] ?? Number.NaN);
  const ordered: string[] = [];
  for (const text of said) {
    let at = ordered.length;
    while (at > 0 && numberOf(ordered[at - 1]!) > numberOf(text)) at--;
    ordered.splice(at, 0, text);
  }
  return ordered;
}

/** Names that the broker made up, numbered as they appear. */
const GENERATED = /(amq\.gen-|amq\.ctag-|amq\.rabbitmq\.reply-to\.|amq_[0-9.]+\.)[\w=+/.-]+/g;

function normalised(lines: readonly string[], prefix: string): string[] {
  const numbers = new Map<string, string>();
  return lines.map((line) =>
    line
      .replaceAll(prefix, '~')
      .replace(GENERATED, (name, kind: string) => {
        if (!numbers.has(name)) numbers.set(name, `${kind}#${numbers.size + 1}`);
        return numbers.get(name)!;
      })
      .replace(/<\d+\.\d+\.\d+>/g, '<pid>'),
  );
}
