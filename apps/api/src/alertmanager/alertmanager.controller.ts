import { Body, Controller, Get, Header, HttpCode, Inject, Post, Query, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { type AlertProblem, alertProblems } from '#dispatch';
import { Allow, Intake } from '../access/access.js';
import { AlertIntake, isOneMessage } from '../alerts/alert-intake.js';
import { type AcceptedAlert, parsePostedAlert } from '../alerts/posted-alert.js';
import { API_PARTS, type ApiParts } from '../api-parts.js';
import { Problem } from '../problem/problem.js';
import { Fence } from '../reads/fence.js';
import { type AlertsQuery, selectAlerts } from './alert-query.js';
import { alertmanagerConfiguration } from './alertmanager-configuration.js';

/** Items of one `POST /api/v2/alerts`; Prometheus sends 256. */
const ITEMS_MAX = 10_000;
/** Alerts that one `GET /api/v2/alerts` looks through. */
const ALERTS_READ_MAX = 100_000;
/** Bad items named in one answer. */
const BAD_ITEMS_SHOWN_MAX = 100;

/** The part of Alertmanager's API v2 that Prometheus posts to and amtool reads. Errors take its forms: see the filter. */
@Controller('api/v2')
export class AlertmanagerController {
  private readonly startedAt: string;

  constructor(
    @Inject(API_PARTS) private readonly parts: ApiParts,
    @Inject(AlertIntake) private readonly intake: AlertIntake,
    @Inject(Fence) private readonly fence: Fence,
  ) {
    this.startedAt = new Date(this.now()).toISOString();
  }

  /** Valid alerts are stored even when others are not; 400 then names those, as Alertmanager does. */
  @Post('alerts')
  @HttpCode(200)
  @Header('cache-control', 'no-store')
  @Intake()
  async post(@Body() body: unknown, @Req() { rawBody }: FastifyRequest): Promise<void> {
    if (!Array.isArray(body)) throw new Problem('invalid-request', { detail: 'the body must be an array of alerts' });
    if (body.length > ITEMS_MAX) {
      throw new Problem('invalid-request', {
        detail: `an array has at most ${ITEMS_MAX} alerts, not ${body.length}; nothing was stored`,
      });
    }
    const problems = body.map(alertProblems);
    const isWhole = problems.every(({ length }) => length === 0);
    if (isWhole && body.length > 0 && isOneMessage(rawBody)) {
      return this.intake.acceptBody(rawBody, body.length, 'alertmanager-api');
    }

    const accepted = this.parse(body.filter((_, index) => problems[index]?.length === 0));
    if (accepted.length > 0) await this.intake.accept(accepted, 'alertmanager-api');
    if (!isWhole) throw new Problem('invalid-request', { detail: describeRefused(problems) });
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

  private parse(items: readonly unknown[]): AcceptedAlert[] {
    const { resolveTimeoutMs } = this.parts.settings.configuration;
    const options = { now: this.now(), resolveTimeoutMs, unknownFields: 'ignored' as const };
    return items.flatMap((item) => {
      const parsed = parsePostedAlert(item, options);
      return parsed.ok ? [parsed.alert] : [];
    });
  }

  private now(): number {
    return (this.parts.now ?? Date.now)();
  }
}

/** The problems of each alert by its place in the body. */
function describeRefused(problems: readonly AlertProblem[][]): string {
  const refused = problems.flatMap((ofOne, index) => {
    if (ofOne.length === 0) return [];
    return [`alert ${index}: ${ofOne.map(({ field, message }) => `${field} ${message}`.trim()).join(', ')}`];
  });
  const hidden = refused.length - BAD_ITEMS_SHOWN_MAX;
  return refused.slice(0, BAD_ITEMS_SHOWN_MAX).join('; ') + (hidden > 0 ? `; and ${hidden} more` : '');
}
