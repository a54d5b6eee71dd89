import { createHmac } from 'node:crypto';
import { Arrivals } from '../arrivals.js';
import { type HttpAnswer, type HttpFault, type HttpRequest, HttpSimulator } from './http-simulator.js';

export interface WebhookReceiverOptions {
  /** 0 or unset: a free port. */
  port?: number;
  /** `whsec_...`: unsigned or wrongly signed requests are answered 401. */
  secret?: string;
}

export interface WebhookRequest extends HttpRequest {
  /** Header webhook-id, or ''. */
  id: string;
  json: unknown;
  signature: 'valid' | 'invalid' | 'not-checked';
}

/** A webhook endpoint on 127.0.0.1 that collects requests and answers as told (204 otherwise). The caller stops it. */
export interface WebhookReceiver {
  readonly port: number;
  /** `http://127.0.0.1:<port>` */
  readonly url: string;
  readonly requests: WebhookRequest[];
  answerNext(status: number, headers?: Record<string, string>, body?: string): void;
  answerAll(status: number, headers?: Record<string, string>, body?: string): void;
  accept(): void;
  faultNext(...faults: HttpFault[]): void;
  waitForRequests(count: number, timeoutMs: number): Promise<WebhookRequest[]>;
  stop(): Promise<void>;
  start(): Promise<void>;
}

export async function startWebhookReceiver(options: WebhookReceiverOptions = {}): Promise<WebhookReceiver> {
  const receiver = new CollectingReceiver(options);
  await receiver.start();
  return receiver;
}

class CollectingReceiver implements WebhookReceiver {
  readonly #http: HttpSimulator;
  readonly #arrivals = new Arrivals<WebhookRequest>('webhook requests');
  #next: HttpAnswer[] = [];
  #all: HttpAnswer | undefined;

  constructor(private readonly options: WebhookReceiverOptions) {
    this.#http = new HttpSimulator(options.port ?? 0, (request) => this.#answer(request));
  }

  get port(): number {
    return this.#http.port;
  }

  get url(): string {
    return this.#http.url;
  }

  get requests(): WebhookRequest[] {
    return this.#arrivals.items;
  }

  answerNext(status: number, headers: Record<string, string> = {}, body = ''): void {
    this.#next.push({ status, headers, body });
  }

  answerAll(status: number, headers: Record<string, string> = {}, body = ''): void {
    this.#all = { status, headers, body };
  }

  accept(): void {
    this.#next = [];
    this.#all = undefined;
  }

  faultNext(...faults: HttpFault[]): void {
    this.#http.faultNext(...faults);
  }

  waitForRequests(count: number, timeoutMs: number): Promise<WebhookRequest[]> {
    return this.#arrivals.waitForCount(count, timeoutMs);
  }

  start(): Promise<void> {
    return this.#http.start();
  }

  stop(): Promise<void> {
    return this.#http.stop();
  }

  #answer(request: HttpRequest): HttpAnswer {
    const signature = this.#check(request);
    this.#arrivals.add({ ...request, id: headerOf(request, 'webhook-id'), json: parseJson(request.body), signature });
    if (signature === 'invalid') return { status: 401, body: 'signature does not match' };

    return this.#next.shift() ?? this.#all ?? { status: 204 };
  }

  /** Standard Webhooks: `v1,<base64 HMAC-SHA256 of "id.timestamp.body">`, timestamps older than five minutes refused. */
  #check(request: HttpRequest): WebhookRequest['signature'] {
    if (this.options.secret === undefined) return 'not-checked';

    const timestamp = headerOf(request, 'webhook-timestamp');
    if (!(Math.abs(Date.now() / 1_000 - Number(timestamp)) <= SIGNATURE_AGE_S_MAX)) return 'invalid';

    const key = Buffer.from(this.options.secret.replace(/^whsec_/, ''), 'base64');
    const signed = `${headerOf(request, 'webhook-id')}.${timestamp}.${request.body}`;
    const expected = `v1,${createHmac('sha256', key).update(signed).digest('base64')}`;
    return headerOf(request, 'webhook-signature').split(' ').includes(expected) ? 'valid' : 'invalid';
  }
}

const SIGNATURE_AGE_S_MAX = 300;

function headerOf(request: HttpRequest, name: string): string {
  const value = request.headers[name];
  return typeof value === 'string' ? value : '';
}

function parseJson(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    return undefined;
  }
}
