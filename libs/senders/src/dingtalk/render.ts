import type { AlertView, Content, DigestContent, Envelope, GroupContent } from '#dispatch';
import { cutToCharacters, cutToFit, oneLine } from '../wording/cut.js';
import { alertLine, headline, MAY_REPEAT_NOTE, summaryOf } from '../wording/headline.js';
import type { DingTalkTarget } from './target.js';

/** DingTalk refuses a request above 20,000 bytes (460101); the rest is a margin for how it may count. */
export const BODY_BYTES_MAX = 19_500;
/** Shown in the list of chats and in the phone's notification. */
const TITLE_CHARACTERS_MAX = 100;
/** How far the names of a digest are shortened until all of them fit. */
const MEMBER_CHARACTERS = [60, 40, 24, 12];
const MEMBER_CHARACTERS_MIN = 6;
const ALERT_LINE_CHARACTERS_MAX = 300;

/** The body of `robot/send`: a markdown message within the byte limit, in the fullest form that fits. */
export function renderBody(envelope: Envelope, target: DingTalkTarget, mayRepeat: boolean): string {
  const { content } = envelope;
  // Names come before mentions: a digest that cannot hold both mentions nobody.
  const addressees = content.kind === 'digest' ? [target, withoutMentions(target)] : [target];
  for (const addressee of addressees) {
    const fitting = wholeForms(content)
      .map((text) => bodyOf(envelope, addressee, text, mayRepeat))
      .find(fits);
    if (fitting !== undefined) return fitting;
  }
  const last = addressees.at(-1) ?? target;
  const bodyWith = (text: string) => bodyOf(envelope, last, text, mayRepeat);
  return bodyWith(cutForm(content, (text) => fits(bodyWith(text))));
}

type Fits = (text: string) => boolean;

function fits(body: string): boolean {
  return Buffer.byteLength(body) <= BODY_BYTES_MAX;
}

/** Forms that tell everything there is to name, the fullest first. */
function wholeForms(content: Content): string[] {
  switch (content.kind) {
    case 'text':
      return [content.text];
    case 'group':
      return [groupInFull(content), groupLines(content).join('\n')];
    case 'digest':
      return digestForms(content);
    default:
      return unreachable(content);
  }
}

/** What to tell when none of the whole forms fits. */
function cutForm(content: Content, textFits: Fits): string {
  switch (content.kind) {
    case 'text':
      return cutToFit(content.text, textFits);
    case 'group':
      return asManyLinesAsFit(groupLines(content), textFits);
    case 'digest':
      return (
        MEMBER_CHARACTERS.map((max) => digestLines(content, max).join('\n')).find(textFits) ??
        asManyLinesAsFit(digestLines(content, MEMBER_CHARACTERS_MIN), textFits)
      );
    default:
      return unreachable(content);
  }
}

function bodyOf(envelope: Envelope, target: DingTalkTarget, text: string, mayRepeat: boolean): string {
  const title = headline(envelope.content, envelope.severity);
  const { atMobiles = [], atUserIds = [], isAtAll = false } = target;
  return JSON.stringify({
    msgtype: 'markdown',
    markdown: { title: cutToCharacters(title, TITLE_CHARACTERS_MAX), text: withFrame(title, text, target, mayRepeat) },
    at: { atMobiles, atUserIds, isAtAll },
    // The provider's idempotency key: a repeat of the same notification is answered ok and shown once.
    msgUuid: envelope.id,
  });
}

function withFrame(title: string, text: string, target: DingTalkTarget, mayRepeat: boolean): string {
  // A name is shown as a mention only where the text has it.
  const mentions = [...(target.atMobiles ?? []), ...(target.atUserIds ?? [])].map((name) => `@${name}`).join(' ');
  const parts = [`### ${title}`, text, mayRepeat ? `> ${MAY_REPEAT_NOTE}` : '', mentions];
  return parts.filter((part) => part !== '').join('\n\n');
}

function withoutMentions({ token, secret }: DingTalkTarget): DingTalkTarget {
  return { token, secret };
}

/* ---- a group ---- */

function groupInFull(content: GroupContent): string {
  return byStatus(content).map(alertInFull).join('\n\n');
}

function alertInFull(alert: AlertView): string {
  const labels = Object.entries(alert.labels).filter(([name]) => name !== 'alertname');
  const source = /^https?:\/\/[^\s()]+$/.test(alert.generatorURL) ? `[source](${alert.generatorURL})` : '';
  const rows = [
    `**${mark(alert)} ${oneLine(alert.labels['alertname'] ?? 'alert')}**`,
    oneLine(summaryOf(alert)),
    oneLine(labels.map(([name, value]) => `${name}=${value}`).join(', ')),
    [alert.status === 'resolved' ? `until ${alert.endsAt ?? ''}` : `since ${alert.startsAt}`, source].join(' ').trim(),
  ];
  return rows.filter((row) => row !== '').join('  \n');
}

function groupLines(content: GroupContent): string[] {
  return byStatus(content).map(
    (alert) => `- ${mark(alert)} ${cutToCharacters(alertLine(alert), ALERT_LINE_CHARACTERS_MAX)}`,
  );
}

function byStatus({ alerts }: GroupContent): AlertView[] {
  return [
    ...alerts.filter(({ status }) => status === 'firing'),
    ...alerts.filter(({ status }) => status === 'resolved'),
  ];
}

function mark(alert: AlertView): string {
  return alert.status === 'firing' ? '🔴' : '🟢';
}

/* ---- a digest ---- */

/** Every member named: a list with severities, a plain list, one paragraph with a single byte between names. */
function digestForms({ covers }: DigestContent): string[] {
  const names = covers.map(({ title }) => oneLine(title));
  return [
    covers.map(({ severity }, index) => `- [${severity}] ${names[index]}`).join('\n'),
    names.map((name) => `- ${name}`).join('\n'),
    names.join(';'),
  ];
}

function digestLines(content: DigestContent, titleCharactersMax: number): string[] {
  return content.covers.map(({ title }) => `- ${cutToCharacters(oneLine(title), titleCharactersMax)}`);
}

function asManyLinesAsFit(lines: string[], textFits: Fits): string {
  let fitting = 0;
  let tooMany = lines.length;
  const shortened = (count: number) => [...lines.slice(0, count), `… and ${lines.length - count} more`].join('\n');
  while (tooMany - fitting > 1) {
    const middle = Math.floor((fitting + tooMany) / 2);
    if (textFits(shortened(middle))) fitting = middle;
    else tooMany = middle;
  }
  return shortened(fitting);
}

function unreachable(content: never): never {
  throw new Error(`no DingTalk message for content ${JSON.stringify(content)}`);
}
