import type { FastifyInstance, FastifyRequest } from 'fastify';
import { sendProblem } from '../problem/problem.filter.js';
import { Problem } from '../problem/problem.js';
import type { Access, RouteMarks } from './access.js';
import type { Credentials, Principal } from './credentials.js';

declare module 'fastify' {
  interface FastifyRequest {
    /** Who sent it; `undefined` on routes that anyone may call. */
    principal: Principal | undefined;
  }
}

const CHALLENGE = { 'www-authenticate': 'Bearer realm="tocsin", Basic realm="tocsin", charset="UTF-8"' };

/** Refuses before a byte of the body is read: who may not post cannot make us hold 8 MiB. Unknown paths are left to the 404. */
export function authenticate(server: FastifyInstance, credentials: Credentials): void {
  server.decorateRequest('principal', undefined);
  server.addHook('onRequest', async (request, reply) => {
    if (request.is404) return;
    request.principal = credentials.identify(request.headers.authorization);
    const problem = refusal(request);
    if (!problem) return;
    sendProblem(problem, request, reply);
    return reply;
  });
}

function refusal(request: FastifyRequest): Problem | undefined {
  const { access = 'admin' } = request.routeOptions.config as RouteMarks;
  if (isAllowed(access, request)) return undefined;
  if (request.principal !== undefined) {
    return new Problem('forbidden', { detail: 'the ingest token does not allow this; use Basic admin:<password>' });
  }
  const detail =
    request.headers.authorization === undefined
      ? 'send Authorization: Bearer <ingest token>, or Basic admin:<password>'
      : 'the token, or the user and password, are wrong';
  return new Problem('unauthorized', { detail, headers: CHALLENGE });
}

function isAllowed(access: Access, request: FastifyRequest): boolean {
  switch (access) {
    case 'open':
      return true;
    case 'loopback':
      return isFromThisMachine(request) || request.principal !== undefined;
    case 'ingest':
      return request.principal !== undefined;
    case 'admin':
      return request.principal === 'admin';
  }
}

/** A proxy on this machine passes on others' requests, and says so. */
function isFromThisMachine(request: FastifyRequest): boolean {
  const address = request.socket.remoteAddress ?? '';
  const isLoopback = address === '::1' || /^(::ffff:)?127\./.test(address);
  return isLoopback && request.headers['x-forwarded-for'] === undefined && request.headers['forwarded'] === undefined;
}
