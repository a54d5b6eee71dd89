import type { Transcript } from './player.js';
import type { Dialogue } from './script.js';

const REPLY_TEXT = /^(.* replyText=)("(?:[^"\\]|\\.)*"|\S+)( .*)$/;

/** What is wrong with our transcript, given RabbitMQ's; undefined when nothing is. */
export function complaint(dialogue: Dialogue, recorded: Transcript, ours: Transcript): string | undefined {
  const isDeclared = dialogue.differs.length > 0;
  if (isDeclared && dialogue.ours.length === 0)
    return sayBoth('declares a difference but not what we say', recorded, ours);
  if (!isDeclared) return isSame(recorded, ours) ? undefined : sayBoth('differs from RabbitMQ', recorded, ours);
  if (isSame(recorded, ours)) return 'declares a difference, but there is none';
  return isSame(dialogue.ours, ours) ? undefined : sayBoth('differs from what it declares', dialogue.ours, ours);
}

/** Line by line; a reply text of ours may add help behind RabbitMQ's words. */
export function isSame(expected: Transcript, actual: Transcript): boolean {
  return expected.length === actual.length && expected.every((line, index) => isSameLine(line, actual[index]!));
}

function isSameLine(expected: string, actual: string): boolean {
  if (expected === actual) return true;
  const [theirs, ours] = [REPLY_TEXT.exec(expected), REPLY_TEXT.exec(actual)];
  if (!theirs || !ours) return false;
  const words = (quoted: string) => (quoted.startsWith('"') ? (JSON.parse(quoted) as string) : quoted);
  return theirs[1] === ours[1] && theirs[3] === ours[3] && words(ours[2]!).startsWith(words(theirs[2]!));
}

function sayBoth(what: string, expected: Transcript, actual: Transcript): string {
  return [what, 'expected:', ...expected.map((line) => `  ${line}`), 'got:', ...actual.map((line) => `= ${line}`)].join(
    '\n',
  );
}
