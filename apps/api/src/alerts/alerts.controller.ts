import { Body, Controller, Get, HttpCode, Inject, Param, Post, Res } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import { Allow, Intake } from '../access/access.js';
import { API_PARTS, type ApiParts } from '../api-parts.js';
import { type FieldProblem, invalidRequest, Problem } from '../problem/problem.js';
import { Fence } from '../reads/fence.js';
import { AlertIntake } from './alert-intake.js';
import { itemsOf } from './items.js';
import { type AcceptedAlert, parsePostedAlert } from './posted-alert.js';

const TIMELINE_ENTRIES_MAX = 1_000;

/** `POST /api/v1/alerts`: all or nothing. */
@Controller('api/v1/alerts')
export class AlertsController {
  constructor(
    @Inject(API_PARTS) private readonly parts: ApiParts,
    @Inject(AlertIntake) private readonly intake: AlertIntake,
    @Inject(Fence) private readonly fence: Fence,
  ) {}

  @Post()
  @HttpCode(202)
  @Intake()
  async post(@Body() body: unknown) {
    const alerts = this.parse(itemsOf(body));
    await this.intake.accept(alerts, 'api');
    return { accepted: alerts.length, alerts: alerts.map(({ fingerprint }) => ({ fingerprint })) };
  }

  @Get(':fingerprint/timeline')
  @Allow('admin')
  async timeline(@Param('fingerprint') fingerprint: string, @Res({ passthrough: true }) reply: FastifyReply) {
    if (!/^[0-9a-f]{16}$/.test(fingerprint)) {
      throw new Problem('not-found', {
        detail: `'${fingerprint}' is no fingerprint: 16 hex digits, as POST /api/v1/alerts answers`,
      });
    }
    await this.fence.pass(reply);
    const entries = await this.parts.review.alertTimeline(fingerprint, TIMELINE_ENTRIES_MAX);
    if (entries.length === 0) throw new Problem('not-found', { detail: `nothing is known of alert ${fingerprint}` });
    return {
      fingerprint,
      timeline: entries.map(({ at, kind, notificationId, detail }) => ({
        at: new Date(at).toISOString(),
        kind,
        ...(notificationId !== undefined && { notificationId }),
        detail,
      })),
    };
  }

  private parse(items: readonly unknown[]): AcceptedAlert[] {
    const { settings, now = Date.now } = this.parts;
    const { resolveTimeoutMs } = settings.configuration;
    const parsed = items.map((item) =>
      parsePostedAlert(item, { now: now(), resolveTimeoutMs, unknownFields: 'refused' }),
    );
    const errors: FieldProblem[] = parsed.flatMap((result, index) =>
      result.ok ? [] : result.problems.map((problem) => ({ index, ...problem })),
    );
    if (errors.length > 0) throw invalidRequest(errors);
    return parsed.flatMap((result) => (result.ok ? [result.alert] : []));
  }
}
