import { Controller, Get, Header, Inject, Res } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import type { HealthReport } from '#telemetry';
import { Allow } from '../access/access.js';
import { API_PARTS, type ApiParts } from '../api-parts.js';
import { HOME_PAGE } from './home-page.js';

/** For whoever runs the service: is it alive, is it ready, what does it do. */
@Controller()
export class OperationsController {
  constructor(@Inject(API_PARTS) private readonly parts: ApiParts) {}

  @Get()
  @Header('content-type', 'text/html; charset=utf-8')
  @Allow('open')
  home(): string {
    return HOME_PAGE;
  }

  @Get('healthz')
  @Allow('loopback')
  async alive(@Res({ passthrough: true }) reply: FastifyReply) {
    return answer(await this.parts.health.checkAlive(), reply);
  }

  @Get('readyz')
  @Allow('loopback')
  async ready(@Res({ passthrough: true }) reply: FastifyReply) {
    return answer(await this.parts.health.checkReady(), reply);
  }

  @Get('metrics')
  @Allow('loopback')
  metrics(@Res({ passthrough: true }) reply: FastifyReply): Promise<string> {
    reply.header('content-type', this.parts.metrics.contentType);
    return this.parts.metrics.text();
  }
}

function answer({ isHealthy, checks }: HealthReport, reply: FastifyReply) {
  reply.status(isHealthy ? 200 : 503).header('cache-control', 'no-store');
  return {
    status: isHealthy ? 'ok' : 'failing',
    checks: checks.map(({ name, isHealthy: isOk, detail, durationMs }) => ({
      name,
      status: isOk ? 'ok' : 'failing',
      ...(detail !== undefined && { detail }),
      durationMs,
    })),
  };
}
