import { type CanActivate, type ExecutionContext, HttpException, Inject, Injectable } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import { BROKER_ACCESS, type BrokerAccess } from './broker-access.js';
import { maySeePages, type VisitedRequest } from './visitor.js';

/** The broker's own accounts, as RabbitMQ's management asks for them, with one of the tags that open its pages. */
@Injectable()
export class BasicAuthGuard implements CanActivate {
  constructor(@Inject(BROKER_ACCESS) private readonly access: BrokerAccess) {}

  canActivate(context: ExecutionContext): boolean {
    const request = context.switchToHttp().getRequest<VisitedRequest>();
    const { users } = this.access;
    const [name, password] = credentialsOf(request.headers.authorization);
    if (name === undefined || !users.authenticate(name, password, request.socket.remoteAddress ?? '')) {
      context.switchToHttp().getResponse<FastifyReply>().header('www-authenticate', 'Basic realm="Tocsin broker"');
      throw new HttpException({ error: 'not_authorized', reason: 'Login failed' }, 401);
    }
    const visitor = { name, tags: users.tagsOf(name) };
    if (!maySeePages(visitor)) {
      throw new HttpException({ error: 'not_authorised', reason: 'Not management user' }, 401);
    }
    request.visitor = visitor;
    return true;
  }
}

function credentialsOf(header: string | undefined): [user: string | undefined, password: string] {
  const [scheme, encoded] = header?.split(' ') ?? [];
  if (scheme?.toLowerCase() !== 'basic' || encoded === undefined) return [undefined, ''];
  const text = Buffer.from(encoded, 'base64').toString('utf8');
  const colon = text.indexOf(':');
  return colon < 0 ? [undefined, ''] : [text.slice(0, colon), text.slice(colon + 1)];
}
