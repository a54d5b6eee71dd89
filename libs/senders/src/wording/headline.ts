import type { AlertView, Content, DigestContent, GroupContent, Severity, TextContent } from '#dispatch';
import { cutToCharacters, oneLine } from './cut.js';

/** One line that tells what a notification is about: a mail's subject, a robot message's title. */
export function headline(content: Content, severity: Severity): string {
  return cutToCharacters(oneLine(headlineOf(content, severity)), HEADLINE_CHARACTERS_MAX);
}

const HEADLINE_CHARACTERS_MAX = 200;

function headlineOf(content: Content, severity: Severity): string {
  switch (content.kind) {
    case 'group':
      return groupHeadline(content);
    case 'text':
      return textHeadline(content, severity);
    case 'digest':
      return digestHeadline(content);
    default:
      return unreachable(content);
  }
}

/** `[FIRING:3] HighCPU (severity=critical)`, `[RESOLVED] HighCPU (cluster=eu, severity=critical)` */
function groupHeadline(content: GroupContent): string {
  const firing = content.alerts.filter((alert) => alert.status === 'firing').length;
  const status = content.status === 'firing' ? `[FIRING:${firing}]` : '[RESOLVED]';
  const name = content.groupLabels['alertname'] ?? content.commonLabels['alertname'] ?? 'alerts';
  const { severity } = content.commonLabels;
  const details: Record<string, string> = { ...content.groupLabels, ...(severity === undefined ? {} : { severity }) };
  return `${status} ${name}${inParentheses(details)}`;
}

function textHeadline(content: TextContent, severity: Severity): string {
  const firstLine = content.text.trimStart().split('\n', 1)[0] ?? '';
  return content.subject || firstLine || `${severity} notification`;
}

function digestHeadline({ covers }: DigestContent): string {
  const critical = covers.filter((member) => member.severity === 'critical').length;
  return `[DIGEST:${covers.length}] ${covers.length} notifications${critical > 0 ? `, ${critical} critical` : ''}`;
}

/** One line that names an alert: `HighCPU (instance=web-1:9100, severity=critical): cpu 97%`. */
export function alertLine(alert: AlertView): string {
  const { alertname = 'alert' } = alert.labels;
  const summary = summaryOf(alert);
  return oneLine(`${alertname}${inParentheses(alert.labels)}${summary === '' ? '' : `: ${summary}`}`);
}

export function summaryOf(alert: AlertView): string {
  const { summary, description, message } = alert.annotations;
  return summary ?? description ?? message ?? '';
}

/** Told in every channel's words when an earlier attempt may have arrived. */
export const MAY_REPEAT_NOTE = 'This may repeat a message you already received.';

function inParentheses(labels: Record<string, string>): string {
  const pairs = Object.entries(labels).filter(([name]) => name !== 'alertname');
  return pairs.length === 0 ? '' : ` (${pairs.map(([name, value]) => `${name}=${value}`).join(', ')})`;
}

function unreachable(content: never): never {
  throw new Error(`no headline for content ${JSON.stringify(content)}`);
}
