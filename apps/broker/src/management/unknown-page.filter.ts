import { type ArgumentsHost, Catch, type ExceptionFilter, NotFoundException } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import { notFound } from './answers.js';

/** A path that no page has is answered as a thing that does not exist. */
@Catch(NotFoundException)
export class UnknownPageFilter implements ExceptionFilter {
  catch(_error: NotFoundException, host: ArgumentsHost): void {
    host.switchToHttp().getResponse<FastifyReply>().status(404).send(notFound().getResponse());
  }
}
