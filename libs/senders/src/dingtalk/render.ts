import type { AlertView, Content, DigestContent, Envelope, GroupContent } from '#dispatch';
import { cutToCharacters, cutToFit, oneLine } from '../wording/cut.js';
import { alertLine, headline, MAY_REPEAT_NOTE, summaryOf } from '../wording/headline.js';
import type { DingTalkTarget } from './target.js';

/** DingTalk refuses a request above 20,000 bytes (460101); the rest is a margin for how it may count. */
export const BODY_BYTES_MAX = 19_500;
/** Shown in the list of chats and in the phone's notification. */
const TITLE_CHARACTERS_MAX = 100;
/** How far the names of a digest are shortened until all of them fit. */
const MEMBER_CHARACTERS = [120, 60, 40, 24, 12, 6];

/** The body of `robot/send`: a markdown message within the byte limit, cut where it must be, mentions kept. */
export function renderBody(envelope: Envelope, target: DingTalkTarget, mayRepeat: boolean): string {
  const title = headline(envelope.content, envelope.severity);
  const bodyWith = (text: string) => bodyOf(envelope, target, title, withFrame(title, text, target, mayRepeat));
  const fits = (text: string) => Buffer.byteLength(bodyWith(text)) <= BODY_BYTES_MAX;
  return bodyWith(textThatFits(envelope.content, fits));
}

type Fits = (text: string) => boolean;

/** The fullest form that fits. */
function textThatFits(content: Content, fits: Fits): string {
  switch (content.kind) {
    case 'text':
      return cutToFit(content.text, fits);
    case 'group':
      return [groupInFull(content), groupInLines(content)].find(fits) ?? asManyLinesAsFit(groupLines(content), fits);
    case 'digest':
      return digestForms(content).find(fits) ?? asManyLinesAsFit(digestLines(content, 6), fits);
    default:
      return unreachable(content);
  }
}

function bodyOf(envelope: Envelope, target: DingTalkTarget, title: string, text: string): string {
  const { atMobiles = [], atUserIds = [], isAtAll = false } = target;
  return JSON.stringify({
    msgtype: 'markdown',
    markdown: { title: cutToCharacters(title, TITLE_CHARACTERS_MAX), text },
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

function groupInLines(content: GroupContent): string {
  return groupLines(content).join('\n');
}

function groupLines(content: GroupContent): string[] {
  return byStatus(content).map((alert) => `- ${mark(alert)} ${cutToCharacters(alertLine(alert), 300)}`);
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

/** Every member named: a list with severities, a plain list, one paragraph (a byte between names), then lists of ever shorter names. */
function digestForms(content: DigestContent): string[] {
  const withSeverity = content.covers.map(({ severity, title }) => `- [${severity}] ${oneLine(title)}`);
  const [whole = [], ...shorter] = MEMBER_CHARACTERS.map((max) => digestLines(content, max));
  const paragraph = content.covers.map(({ title }) => oneLine(title)).join(';');
  return [withSeverity.join('\n'), whole.join('\n'), paragraph, ...shorter.map((lines) => lines.join('\n'))];
}

function digestLines(content: DigestContent, titleCharactersMax: number): string[] {
  return content.covers.map(({ title }) => `- ${cutToCharacters(oneLine(title), titleCharactersMax)}`);
}

function asManyLinesAsFit(lines: string[], fits: Fits): string {
  let fitting = 0;
  let tooMany = lines.length;
  const shortened = (count: number) => [...lines.slice(0, count), `… and ${lines.length - count} more`].join('\n');
  while (tooMany - fitting > 1) {
    const middle = Math.floor((fitting + tooMany) / 2);
    if (fits(shortened(middle))) fitting = middle;
    else tooMany = middle;
  }
  return shortened(fitting);
}

function unreachable(content: never): never {
  throw new Error(`no DingTalk message for content ${JSON.stringify(content)}`);
}
