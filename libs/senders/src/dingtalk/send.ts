import type { Outcome, Sender, SendRequest } from '#dispatch';
import { post } from '../http/post.js';
import { classify } from './classify.js';
import { renderBody } from './render.js';
import { sign } from './sign.js';
import { type DingTalkTarget, readDingTalkTarget, SEND_MS_MAX } from './target.js';

export interface DingTalkSettings {
  /** `https://oapi.dingtalk.com`, or a proxy's or simulator's. */
  baseUrl: string;
  timeoutMs: number;
}

/** Sends to DingTalk's group robots. Holds no connection. */
export class DingTalkSender implements Sender {
  readonly channel = 'dingtalk';

  constructor(private readonly settings: DingTalkSettings) {}

  async send(request: SendRequest, signal: AbortSignal): Promise<Outcome> {
    const target = readDingTalkTarget(request.target);
    const exchange = await post({
      url: robotUrl(this.settings.baseUrl, target, Date.now()),
      headers: { 'content-type': 'application/json; charset=utf-8' },
      body: Buffer.from(renderBody(request.envelope, target, request.mayRepeat)),
      // The robot's budget counts on no message arriving later than this.
      timeoutMs: Math.min(this.settings.timeoutMs, SEND_MS_MAX),
      signal,
      // The operator chose the address, not whoever posts a notification.
      allowPrivateAddresses: true,
    });
    return classify(exchange, request.attempt, [target.token, target.secret]);
  }

  async close(): Promise<void> {
    // Nothing is held open: each request has a connection of its own.
  }
}

function robotUrl(baseUrl: string, target: DingTalkTarget, now: number): string {
  const query = new URLSearchParams({ access_token: target.token });
  if (target.secret !== undefined) {
    query.set('timestamp', String(now));
    query.set('sign', sign(now, target.secret));
  }
  return `${baseUrl.replace(/\/+$/, '')}/robot/send?${query}`;
}
