import { type CanActivate, type ExecutionContext, HttpException, Inject, Injectable } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { BROKER_STATUS, type BrokerStatus } from './broker-status.js';

/** The broker's own accounts, as RabbitMQ's management asks for them. */
@Injectable()
export class BasicAuthGuard implements CanActivate {
  constructor(@Inject(BROKER_STATUS) private readonly status: BrokerStatus) {}

  async canActivate(context: ExecutionContext): Promise<boolean> {
    const request = context.switchToHttp().getRequest<FastifyRequest>();
    const [user, password] = credentialsOf(request.headers.authorization);
    if (user !== undefined && (await this.status.mayEnter(user, password, request.socket.remoteAddress ?? '')))
      return true;

    context.switchToHttp().getResponse<FastifyReply>().header('www-authenticate', 'Basic realm="Tocsin broker"');
    throw new HttpException({ error: 'not_authorised', reason: 'Login failed' }, 401);
  }
}

function credentialsOf(header: string | undefined): [user: string | undefined, password: string] {
  const [scheme, encoded] = header?.split(' ') ?? [];
  if (scheme?.toLowerCase() !== 'basic' || encoded === undefined) return [undefined, ''];
  const text = Buffer.from(encoded, 'base64').toString('utf8');
  const colon = text.indexOf(':');
  return colon < 0 ? [undefined, ''] : [text.slice(0, colon), text.slice(colon + 1)];
}
