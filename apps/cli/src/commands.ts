import type { ApiClient } from './api-client.js';
import { table } from './table.js';

// One function a command: asks the API, returns what is printed.

interface Attempt {
  at: string;
  outcome: string;
  reason?: string;
  providerCode?: string;
  providerMessage?: string;
  durationMs?: number;
}

interface NotificationAnswer {
  id: string;
  channel: string;
  status: string;
  via?: string;
  attempts: Attempt[];
}

interface DeadLetter {
  id: string;
  channel: string;
  reason: string;
  attempts: number;
  failedAt: string;
}

export interface DeadLetterFilter {
  channel?: string;
  reason?: string;
  q?: string;
}

export async function showNotification(api: ApiClient, id: string): Promise<string> {
  const { channel, status, via, attempts } = await api.get<NotificationAnswer>(`/api/v1/notifications/${id}`);
  const rows = attempts.map((attempt, index) => [
    index + 1,
    attempt.at,
    attempt.outcome,
    attempt.reason,
    attempt.providerCode,
    attempt.providerMessage,
    attempt.durationMs,
  ]);
  const head = `${id}  ${channel}  ${status}${via === undefined ? '' : `  told in ${via}`}`;
  return `${head}\n${table(['#', 'at', 'outcome', 'reason', 'code', 'message', 'ms'], rows)}`;
}

export async function listDeadLetters(api: ApiClient, filter: DeadLetterFilter & { cursor?: string }): Promise<string> {
  const { items, nextCursor } = await api.get<{ items: DeadLetter[]; nextCursor?: string }>(
    '/api/v1/dead-letters',
    filter,
  );
  if (items.length === 0) return 'no dead letters';
  const rows = items.map(({ id, channel, reason, attempts, failedAt }) => [id, channel, reason, attempts, failedAt]);
  const more = nextCursor ? `\nmore: --cursor ${nextCursor}` : '';
  return `${table(['id', 'channel', 'reason', 'attempts', 'failed at'], rows)}${more}`;
}

export async function replayDeadLetter(api: ApiClient, id: string): Promise<string> {
  await api.post(`/api/v1/dead-letters/${encodeURIComponent(id)}/replay`, {});
  return `${id} is sent again`;
}

export async function discardDeadLetter(api: ApiClient, id: string): Promise<string> {
  await api.post(`/api/v1/dead-letters/${encodeURIComponent(id)}/discard`, {});
  return `${id} is discarded`;
}

export async function showTimeline(api: ApiClient, fingerprint: string): Promise<string> {
  return JSON.stringify(await api.get(`/api/v1/alerts/${fingerprint}/timeline`), undefined, 2);
}
