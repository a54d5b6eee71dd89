import { type ArgumentsHost, Catch, type ExceptionFilter, HttpException } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Logger } from '#telemetry';
import { BODY_BYTES_MAX } from '../body/json-body.js';
import { Problem } from './problem.js';
import type { RouteTable } from './route-table.js';

/** Turns whatever was thrown, by us, Nest or Fastify, into one answer: a problem document, or Alertmanager's form below `/api/v2`. */
@Catch()
export class ProblemFilter implements ExceptionFilter {
  constructor(
    private readonly routes: RouteTable,
    private readonly logger: Logger,
  ) {}

  catch(error: unknown, host: ArgumentsHost): void {
    const http = host.switchToHttp();
    const request = http.getRequest<FastifyRequest>();
    const reply = http.getResponse<FastifyReply>();
    const problem = toProblem(error, request, this.routes);
    if (problem.kind === 'internal-error') this.logger.error({ err: error, path: pathOf(request) }, 'request failed');
    sendProblem(problem, request, reply);
  }
}

export function sendProblem(problem: Problem, request: FastifyRequest, reply: FastifyReply): void {
  // Fastify closes the connection under a client that still sends a body too large for it, which may then never read the answer.
  // Node discards the rest instead, within the request time limit.
  reply.removeHeader('connection');
  const { status, headers, body } = answerTo(problem, pathOf(request));
  reply.status(status).headers(headers).send(body);
}

export interface ProblemAnswer {
  status: number;
  headers: Record<string, string>;
  body: string;
}

/** The form a problem takes on `path`. */
export function answerTo(problem: Problem, path: string): ProblemAnswer {
  const { status, headers } = problem;
  if (path.startsWith('/api/v2/')) {
    // go-openapi's errors are objects; Alertmanager's own are texts.
    const body = problem.kind === 'invalid-request' ? problem.message : { code: status, message: problem.message };
    const type = { 'cache-control': 'no-store', 'content-type': 'application/json; charset=utf-8' };
    return { status, headers: { ...headers, ...type }, body: JSON.stringify(body) };
  }
  const type = { 'content-type': 'application/problem+json; charset=utf-8' };
  return { status, headers: { ...headers, ...type }, body: JSON.stringify(problem.toDocument()) };
}

/** What the client may know of a fault of our own. */
export function internalError(cause: unknown): Problem {
  return new Problem('internal-error', { detail: 'the request failed; the log has the reason' }, { cause });
}

function toProblem(error: unknown, request: FastifyRequest, routes: RouteTable): Problem {
  if (error instanceof Problem) return error;

  const status = statusOf(error);
  switch (status) {
    case 404:
      return notFound(request, routes);
    case 413:
      return new Problem('too-large', { detail: `a body has at most ${BODY_BYTES_MAX} bytes; post in smaller parts` });
    case 415:
      return new Problem('unsupported-media-type', {
        detail: `send header 'Content-Type: application/json', not '${request.headers['content-type'] ?? 'none'}'`,
      });
    default:
      break;
  }
  if (status >= 400 && status < 500) return new Problem('invalid-request', { detail: (error as Error).message });
  return internalError(error);
}

function statusOf(error: unknown): number {
  if (error instanceof HttpException) return error.getStatus();
  const status = (error as { statusCode?: unknown } | null)?.statusCode;
  return typeof status === 'number' ? status : 500;
}

function notFound(request: FastifyRequest, routes: RouteTable): Problem {
  const allowed = routes.methodsOf(pathOf(request));
  if (allowed.length === 0) return new Problem('not-found', { detail: `nothing is at ${pathOf(request)}` });
  return new Problem('method-not-allowed', {
    detail: `${pathOf(request)} takes ${allowed.join(', ')}, not ${request.method}`,
    headers: { allow: allowed.join(', ') },
  });
}

function pathOf(request: FastifyRequest): string {
  return request.url.split('?', 1)[0]!;
}
