import type { IncomingMessage, RequestListener, Server, ServerResponse } from 'node:http';
import type { Logger, Metrics } from '#telemetry';
import type { Credentials } from '../access/credentials.js';
import { BODY_BYTES_MAX } from '../body/json-body.js';
import { answerTo, internalError, type ProblemAnswer } from '../problem/problem.filter.js';
import { Problem } from '../problem/problem.js';
import type { Load } from './load.js';

/** By path: what a POST of JSON does with its body; resolves when it is on disk. Answered 200 without content. @throws Problem */
export type ExpressRoutes = Readonly<Record<string, (body: Buffer) => Promise<void>>>;

export interface ExpressLaneParts {
  credentials: Credentials;
  load: Load;
  metrics: Metrics;
  logger: Logger;
}

const ACCEPTED_HEADERS = { 'cache-control': 'no-store', 'content-length': '0' };

/**
 * Takes the posts that come by the thousand past the web framework, whose hooks and pipeline cost several times what such a post does. Only a plain
 * request that may be taken in goes this way: its path is in the table, its credentials are good, its body is JSON of a known length that there is room
 * for. Everything else, every refusal before the body included, is left to the framework's route of the same path, which must do the same.
 */
export class ExpressLane {
  private isOpen = true;

  constructor(
    private readonly routes: ExpressRoutes,
    private readonly parts: ExpressLaneParts,
  ) {}

  /** Goes ahead of the listener that the server has. */
  join(server: Server): void {
    const [framework] = server.listeners('request') as [RequestListener];
    server.removeListener('request', framework);
    server.on('request', (request, response) => {
      if (!this.take(request, response)) framework.call(server, request, response);
    });
  }

  /** From now on the framework says that it is closing; what is under way here is answered. */
  close(): void {
    this.isOpen = false;
  }

  private take(request: IncomingMessage, response: ServerResponse): boolean {
    const path = request.url as string;
    const isKnown = this.isOpen && request.method === 'POST' && Object.hasOwn(this.routes, path);
    const bytes = isKnown ? plainJsonBytes(request) : undefined;
    if (bytes === undefined) return false;

    const { credentials, load } = this.parts;
    if (credentials.identify(request.headers.authorization) === undefined) return false;
    if (load.admit(bytes) !== undefined) return false;

    const startedAt = performance.now();
    response.once('close', () => {
      load.release(bytes);
      if (response.writableFinished) this.measure(path, response.statusCode, startedAt);
    });
    readBody(request, (body) => void this.answer(path, body, response));
    return true;
  }

  private async answer(path: string, body: Buffer, response: ServerResponse): Promise<void> {
    const refused = await this.accept(path, body);
    if (!this.isOpen) response.setHeader('connection', 'close');
    if (refused === undefined) {
      response.writeHead(200, ACCEPTED_HEADERS).end();
      return;
    }
    const { status, headers, body: text } = refused;
    response.writeHead(status, { ...headers, 'content-length': String(Buffer.byteLength(text)) }).end(text);
  }

  private async accept(path: string, body: Buffer): Promise<ProblemAnswer | undefined> {
    try {
      await this.routes[path]?.(body);
      return undefined;
    } catch (error) {
      if (error instanceof Problem) return answerTo(error, path);
      this.parts.logger.error({ err: error, path }, 'request failed');
      return answerTo(internalError(error), path);
    }
  }

  private measure(route: string, status: number, startedAt: number): void {
    const { metrics } = this.parts;
    metrics.add('http_requests_total', { method: 'POST', route, status: String(status) });
    metrics.observe('http_request_seconds', { method: 'POST', route }, (performance.now() - startedAt) / 1_000);
  }
}

/** Of a body that says it is JSON and how long it is. */
function plainJsonBytes({ headers }: IncomingMessage): number | undefined {
  if (headers['content-type'] !== 'application/json') return undefined;
  // Node's parser refuses a length that is no number, and one beside a transfer encoding.
  const bytes = Number(headers['content-length']);
  return bytes > 0 && bytes <= BODY_BYTES_MAX ? bytes : undefined;
}

/** A request that ends before its body is forgotten; its response's `close` says so. */
function readBody(request: IncomingMessage, onBody: (body: Buffer) => void): void {
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.once('end', () => onBody(chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks)));
}
