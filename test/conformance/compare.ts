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

/** Differences that so many dialogues meet that they are taken off our lines before comparing: [row of the docs, what]. */
export const TAKEN_OFF: readonly (readonly [row: string, text: RegExp])[] = [
  ['headers of dead letters', /(, )?x-last-death-(exchange|queue|reason): "[^"]*"/g],
];

/** Line by line; a reply text of ours may add help behind RabbitMQ's words. */
export function isSame(expected: Transcript, actual: Transcript): boolean {
  if (expected.length !== actual.length) return false;
  return expected.every((line, index) => isSameLine(withoutTakenOff(line), withoutTakenOff(actual[index]!)));
}

function withoutTakenOff(line: string): string {
  return TAKEN_OFF.reduce((rest, [, text]) => rest.replaceAll(text, ''), line);
}

function isSameLine(expected: string, actual: string): boolean {
  if (expected === actual) return true;
  const [theirs, ours] = [REPLY_TEXT.exec(expected), REPLY_TEXT.exec(actual)];
  if (!theirs || !ours) return false;
  return (
    theirs[1] === ours[1] && theirs[3] === ours[3] && wordsOf(ours[2]!).startsWith(leadingWords(wordsOf(theirs[2]!)))
  );
}

function wordsOf(quoted: string): string {
  return quoted.startsWith('"') ? (JSON.parse(quoted) as string) : quoted;
}

/** Where RabbitMQ prints its inner terms (`<<0,50>>`), nobody but the name of the error can be meant. */
function leadingWords(text: string): string {
  return text.includes('<<') ? text.slice(0, text.indexOf(' - ') + 3) : text;
}

function sayBoth(what: string, expected: Transcript, actual: Transcript): string {
  return [what, 'expected:', ...expected.map((line) => `  ${line}`), 'got:', ...actual.map((line) => `= ${line}`)].join(
    '\n',
  );
}
