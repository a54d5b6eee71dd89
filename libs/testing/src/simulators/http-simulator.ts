import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http';
import { freePort, listen } from '../free-port.js';

export interface HttpRequest {
  method: string;
  /** Path without the query. */
  path: string;
  query: URLSearchParams;
  headers: IncomingHttpHeaders;
  body: string;
}

export interface HttpAnswer {
  status: number;
  headers?: Record<string, string>;
  body?: string;
}

/**
 * How an answer goes wrong once the request was read.
 * reset: the connection is cut without an answer. hang: no answer at all. slow-body: headers and half the body, then nothing.
 * html: a proxy's error page with status 200. truncated: half the body, then the connection ends.
 */
export type HttpFault = 'reset' | 'hang' | 'slow-body' | 'html' | 'truncated';

/** A real HTTP server on 127.0.0.1; stopping it makes clients see a refused connection, starting it uses the same port. */
export class HttpSimulator {
  port: number;
  #server: Server | undefined;
  #faults: HttpFault[] = [];

  constructor(
    port: number,
    private readonly answer: (request: HttpRequest) => HttpAnswer | Promise<HttpAnswer>,
  ) {
    this.port = port;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** The next answers go wrong so, one each, in order. The request itself is handled, as a provider that took it would. */
  faultNext(...faults: HttpFault[]): void {
    this.#faults.push(...faults);
  }

  async start(): Promise<void> {
    const server = createServer((request, response) => {
      this.#handle(request, response).catch((error: Error) => {
        response.writeHead(500).end(`simulator: ${error.stack}`);
      });
    });
    if (this.port === 0) this.port = await freePort();
    await listen(server, this.port);
    this.#server = server;
  }

  async stop(): Promise<void> {
    const server = this.#server;
    if (!server) return;

    this.#server = undefined;
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    server.closeAllConnections();
    await closed;
  }

  async #handle(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of incoming) chunks.push(chunk as Buffer);
    const url = new URL(incoming.url ?? '/', 'http://simulator');
    const answer = await this.answer({
      method: incoming.method ?? '',
      path: url.pathname,
      query: url.searchParams,
      headers: incoming.headers,
      body: Buffer.concat(chunks).toString('utf8'),
    });
    writeAnswer(response, answer, this.#faults.shift());
  }
}

function writeAnswer(response: ServerResponse, answer: HttpAnswer, fault: HttpFault | undefined): void {
  const body = Buffer.from(answer.body ?? '');
  const half = body.subarray(0, Math.floor(body.length / 2));
  switch (fault) {
    case undefined:
      response.writeHead(answer.status, { ...answer.headers, 'content-length': body.length }).end(body);
      return;
    case 'hang':
      return;
    case 'reset':
      response.socket?.resetAndDestroy();
      return;
    case 'html':
      response.writeHead(200, { 'content-type': 'text/html' }).end('<html><body><h1>Bad gateway</h1></body></html>');
      return;
    case 'slow-body':
      response.writeHead(answer.status, { ...answer.headers, 'content-length': body.length }).write(half);
      return;
    case 'truncated':
      response.writeHead(answer.status, { ...answer.headers, 'content-length': half.length }).end(half);
      return;
  }
}
