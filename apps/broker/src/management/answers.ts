import { HttpException } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import { PatternError } from '#broker';

// The answers of RabbitMQ's management API: PUT 201 or 204, DELETE 204 or 404, errors as {error, reason}.

export function notFound(): HttpException {
  return new HttpException({ error: 'Object Not Found', reason: 'Not Found' }, 404);
}

export function badRequest(reason: unknown): HttpException {
  return new HttpException({ error: 'bad_request', reason }, 400);
}

/** What cannot be is the client's mistake, and it is told which. */
export function answerPut(reply: FastifyReply, put: () => 'created' | 'changed'): void {
  try {
    reply.status(put() === 'created' ? 201 : 204);
  } catch (error) {
    if (error instanceof PatternError) throw badRequest(['invalid_regexp', error.message]);
    throw error instanceof RangeError ? badRequest(error.message) : error;
  }
}

export function answerDelete(reply: FastifyReply, wasThere: boolean): void {
  if (!wasThere) throw notFound();
  reply.status(204);
}
