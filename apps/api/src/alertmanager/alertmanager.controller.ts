import { Body, Controller, Get, Header, HttpCode, Inject, Post, Query, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Allow, Intake } from '../access/access.js';
import { API_PARTS, type ApiParts } from '../api-parts.js';
import { Fence } from '../reads/fence.js';
import { type AlertsQuery, selectAlerts } from './alert-query.js';
import { alertmanagerConfiguration } from './alertmanager-configuration.js';
import { AlertmanagerIntake } from './alertmanager-intake.js';

/** Alerts that one `GET /api/v2/alerts` looks through. */
const ALERTS_READ_MAX = 100_000;

/** The part of Alertmanager's API v2 that Prometheus posts to and amtool reads. Errors take its forms: see the filter. */
@Controller('api/v2')
export class AlertmanagerController {
  private readonly startedAt: string;

  constructor(
    @Inject(API_PARTS) private readonly parts: ApiParts,
    @Inject(AlertmanagerIntake) private readonly intake: AlertmanagerIntake,
    @Inject(Fence) private readonly fence: Fence,
  ) {
    this.startedAt = new Date(this.now()).toISOString();
  }

  @Post('alerts')
  @HttpCode(200)
  @Header('cache-control', 'no-store')
  @Intake()
  post(@Body() body: unknown, @Req() { rawBody }: FastifyRequest): Promise<void> {
    return this.intake.accept(body, rawBody);
  }

  @Get('alerts')
  @Header('cache-control', 'no-store')
  @Allow('ingest')
  async alerts(@Query() query: AlertsQuery, @Res({ passthrough: true }) reply: FastifyReply) {
    await this.fence.pass(reply);
    const alerts = await this.parts.review.alerts(ALERTS_READ_MAX);
    return selectAlerts(alerts, query, this.parts.settings.configuration, this.now());
  }

  @Get('receivers')
  @Header('cache-control', 'no-store')
  @Allow('ingest')
  receivers() {
    return this.parts.settings.configuration.receivers.map(({ name }) => ({ name }));
  }

  @Get('status')
  @Header('cache-control', 'no-store')
  @Allow('ingest')
  status() {
    return {
      cluster: { status: 'disabled', peers: [] },
      versionInfo: {
        // Of the API that is spoken: clients look at it to decide what they may ask.
        version: '0.27.0',
        revision: '',
        branch: 'tocsin',
        buildUser: '',
        buildDate: '',
        goVersion: '',
      },
      config: { original: alertmanagerConfiguration(this.parts.settings.configuration) },
      // Alertmanager calls the instant it was started its uptime.
      uptime: this.startedAt,
    };
  }

  private now(): number {
    return (this.parts.now ?? Date.now)();
  }
}
