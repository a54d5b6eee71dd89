import { type ArgumentsHost, Catch, type ExceptionFilter, NotFoundException } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { notFound } from './answers.js';
import type { PageMethods } from './page-methods.js';

/** A path that no page has is answered as a thing that does not exist; a method that a page does not have with those it has. */
@Catch(NotFoundException)
export class UnknownPageFilter implements ExceptionFilter {
  constructor(private readonly pages: PageMethods) {}

  catch(_error: NotFoundException, host: ArgumentsHost): void {
    const reply = host.switchToHttp().getResponse<FastifyReply>();
    const { method, url } = host.switchToHttp().getRequest<FastifyRequest>();
    const allowed = this.pages.allowedOn(url.split('?', 1)[0]!);
    if (allowed === undefined) reply.status(404).send(notFound().getResponse());
    else
      reply
        .status(method === 'OPTIONS' ? 200 : 405)
        .header('allow', allowed)
        .send();
  }
}
