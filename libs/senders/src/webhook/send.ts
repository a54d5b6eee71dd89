import type { Outcome, Sender, SendRequest } from '#dispatch';
import { post } from '../http/post.js';
import { classify } from './classify.js';
import { renderPayload } from './render.js';
import { sign } from './sign.js';
import { readWebhookTarget, type WebhookTarget } from './target.js';

export interface WebhookSettings {
  timeoutMs: number;
  /** False: a target that resolves to a private, local or otherwise special address is refused. */
  allowPrivateAddresses: boolean;
}

/** Posts JSON to any URL, signed as Standard Webhooks says. */
export class WebhookSender implements Sender {
  readonly channel = 'webhook';

  constructor(private readonly settings: WebhookSettings) {}

  async send(request: SendRequest, signal: AbortSignal): Promise<Outcome> {
    const target = readWebhookTarget(request.target);
    const payload = renderPayload(request.envelope, request.attempt, request.mayRepeat);
    const body = Buffer.from(JSON.stringify(payload));
    const { url, headers } = withoutUserInfo(target.url);
    const exchange = await post({
      url,
      headers: { ...headers, ...target.headers, ...ownHeaders(request.envelope.id, target.secret, body) },
      body,
      timeoutMs: this.settings.timeoutMs,
      signal,
      allowPrivateAddresses: this.settings.allowPrivateAddresses,
      keepsConnection: true,
    });
    return classify(exchange, secretsOf(target), Date.now());
  }

  async close(): Promise<void> {
    // A kept connection closes by itself.
  }
}

/** webhook-id stays the same at every attempt: the receiver's key to tell a repeat. The time is that of this attempt. */
function ownHeaders(id: string, secret: string | undefined, body: Buffer): Record<string, string> {
  const timestampS = Math.floor(Date.now() / 1_000);
  return {
    'content-type': 'application/json; charset=utf-8',
    'webhook-id': id,
    'webhook-timestamp': String(timestampS),
    ...(secret === undefined ? {} : { 'webhook-signature': sign(secret, id, timestampS, body) }),
  };
}

/** `https://user:password@host/` means Basic authentication. */
function withoutUserInfo(text: string): { url: string; headers: Record<string, string> } {
  const url = new URL(text);
  const { username, password } = url;
  url.username = '';
  url.password = '';
  if (username === '' && password === '') return { url: url.href, headers: {} };

  const login = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  return { url: url.href, headers: { authorization: `Basic ${Buffer.from(login).toString('base64')}` } };
}

function secretsOf({ url, secret, headers }: WebhookTarget): string[] {
  const { username, password, pathname, search, href } = new URL(url);
  const parts = [url, href, secret ?? '', password, username, search, ...Object.values(headers ?? {})];
  // A short path such as / or /hook is no secret, and would blank out half of every answer.
  return [...parts, pathname].filter((part) => part.length >= SECRET_CHARACTERS_MIN);
}

const SECRET_CHARACTERS_MIN = 6;
