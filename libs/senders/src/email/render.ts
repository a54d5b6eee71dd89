import { createHash } from 'node:crypto';
import type { AlertView, Content, DigestMember, Envelope, GroupContent } from '#dispatch';
import { oneLine } from '../wording/cut.js';
import { headline, MAY_REPEAT_NOTE, summaryOf } from '../wording/headline.js';

export interface Mail {
  subject: string;
  text: string;
  html: string;
  /** The same for every attempt, so that repeats collapse where the reader's program does so. */
  messageId: string;
  references: string | undefined;
  headers: Record<string, string>;
}

/** @param domain right side of the ids, from the address the mails come from */
export function renderMail(envelope: Envelope, mayRepeat: boolean, domain: string): Mail {
  const { content } = envelope;
  const subject = headline(content, envelope.severity);
  const note = mayRepeat ? MAY_REPEAT_NOTE : '';
  return {
    subject,
    text: [subject, textOf(content), note].filter((part) => part !== '').join('\n\n'),
    html: htmlPage(subject, htmlOf(content), note),
    messageId: `<${idLeft(envelope.id)}@${domain}>`,
    references: content.kind === 'group' ? `<group-${hashed(content.groupKey)}@${domain}>` : undefined,
    headers: {
      // RFC 3834: keeps out-of-office answers from coming back.
      'Auto-Submitted': 'auto-generated',
      'X-Tocsin-Notification': envelope.id,
      ...(mayRepeat ? { 'X-Tocsin-May-Repeat': 'true' } : {}),
    },
  };
}

function idLeft(notificationId: string): string {
  return /^[A-Za-z0-9._-]{1,100}$/.test(notificationId) ? notificationId : hashed(notificationId);
}

function hashed(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 32);
}

/* ---- plain text ---- */

function textOf(content: Content): string {
  switch (content.kind) {
    case 'text':
      return content.text;
    case 'digest':
      return content.covers.map(memberText).join('\n');
    case 'group':
      return sections(content)
        .map(({ title, alerts }) => [title, ...alerts.map(alertText)].join('\n\n'))
        .join('\n\n');
    default:
      return unreachable(content);
  }
}

function memberText(member: DigestMember): string {
  return `- [${member.severity}] ${oneLine(member.title)}`;
}

function alertText(alert: AlertView, index: number): string {
  const rows = alertRows(alert).map(([name, value]) => `   ${name}: ${value.replaceAll('\n', '\n   ')}`);
  return [`${index + 1}. ${oneLine(alert.labels['alertname'] ?? 'alert')}`, ...rows].join('\n');
}

/** All alerts of the group, those that fire first. */
function sections(content: GroupContent): { title: string; alerts: AlertView[] }[] {
  return (['firing', 'resolved'] as const)
    .map((status) => ({ status, alerts: content.alerts.filter((alert) => alert.status === status) }))
    .filter(({ alerts }) => alerts.length > 0)
    .map(({ status, alerts }) => ({
      title: `${status === 'firing' ? 'Firing' : 'Resolved'} (${alerts.length})`,
      alerts,
    }));
}

function alertRows(alert: AlertView): [string, string][] {
  const { summary: _summary, ...annotations } = alert.annotations;
  const labels = Object.entries(alert.labels).filter(([name]) => name !== 'alertname');
  const rows: [string, string][] = [
    ['summary', summaryOf(alert)],
    ['labels', labels.map(([name, value]) => `${name}=${value}`).join(', ')],
    ...Object.entries(annotations),
    ['since', alert.startsAt],
    ['until', alert.status === 'resolved' ? (alert.endsAt ?? '') : ''],
    ['source', alert.generatorURL],
  ];
  return rows.filter(([, value]) => value !== '');
}

/* ---- HTML ---- */

function htmlOf(content: Content): string {
  switch (content.kind) {
    case 'text':
      return `<pre style="white-space:pre-wrap;font-family:inherit">${escaped(content.text)}</pre>`;
    case 'digest':
      return `<ul>${content.covers.map((member) => `<li>[${member.severity}] ${escaped(oneLine(member.title))}</li>`).join('')}</ul>`;
    case 'group':
      return sections(content)
        .map(({ title, alerts }) => `<h3>${title}</h3>${alerts.map(alertHtml).join('')}`)
        .join('');
    default:
      return unreachable(content);
  }
}

function alertHtml(alert: AlertView): string {
  const rows = alertRows(alert).map(
    ([name, value]) =>
      `<tr><td style="color:#666;vertical-align:top;padding-right:1em">${escaped(name)}</td><td>${linked(value)}</td></tr>`,
  );
  const colour = alert.status === 'firing' ? '#c0392b' : '#27ae60';
  const name = escaped(alert.labels['alertname'] ?? 'alert');
  return `<div style="border-left:4px solid ${colour};padding-left:1em;margin:1em 0"><b>${name}</b><table>${rows.join('')}</table></div>`;
}

function htmlPage(title: string, body: string, note: string): string {
  const footer = note === '' ? '' : `<p style="color:#666">${escaped(note)}</p>`;
  return `<!doctype html><html><body style="font-family:sans-serif"><h2>${escaped(title)}</h2>${body}${footer}</body></html>`;
}

/** Only http and https become links: a label cannot bring a script. */
function linked(value: string): string {
  const text = escaped(value);
  return /^https?:\/\/\S+$/.test(value) ? `<a href="${text}">${text}</a>` : text;
}

function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}

function unreachable(content: never): never {
  throw new Error(`no mail for content ${JSON.stringify(content)}`);
}
