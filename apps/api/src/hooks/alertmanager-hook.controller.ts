import { Body, Controller, HttpCode, Inject, Post } from '@nestjs/common';
import { Intake } from '../access/access.js';
import { AlertIntake } from '../alerts/alert-intake.js';
import { API_PARTS, type ApiParts } from '../api-parts.js';
import { invalidRequest } from '../problem/problem.js';
import { parseWebhook } from './alertmanager-webhook.js';

/** Takes what an Alertmanager's webhook receiver sends (version 4). It tries again after a 5xx, and gives up after a 4xx. */
@Controller('hooks/alertmanager')
export class AlertmanagerHookController {
  constructor(
    @Inject(API_PARTS) private readonly parts: ApiParts,
    @Inject(AlertIntake) private readonly intake: AlertIntake,
  ) {}

  @Post()
  @HttpCode(202)
  @Intake()
  async post(@Body() body: unknown) {
    const { settings, now = Date.now } = this.parts;
    const { alerts, errors } = parseWebhook(body, {
      now: now(),
      resolveTimeoutMs: settings.configuration.resolveTimeoutMs,
    });
    if (errors.length > 0) throw invalidRequest(errors);
    if (alerts.length > 0) await this.intake.accept(alerts, 'alertmanager-webhook');
    return { accepted: alerts.length, alerts: alerts.map(({ fingerprint }) => ({ fingerprint })) };
  }
}
