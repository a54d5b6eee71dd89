import { Body, Controller, Get, HttpCode, Inject, Param, Post, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { type Envelope, type NotificationIdOrigin, type NotificationView, originOfNotificationId } from '#dispatch';
import { EXCHANGES, HEADERS, type OutgoingMessage } from '#messaging';
import { Allow, Intake as IntakeRoute } from '../access/access.js';
import { itemsOf } from '../alerts/items.js';
import { API_PARTS, type ApiParts } from '../api-parts.js';
import { Intake } from '../intake/intake.js';
import { invalidRequest, Problem } from '../problem/problem.js';
import { Fence } from '../reads/fence.js';
import { parseNotifications } from './posted-notification.js';

/** Notifications posted directly, past the routes. */
@Controller('api/v1/notifications')
export class NotificationsController {
  constructor(
    @Inject(API_PARTS) private readonly parts: ApiParts,
    @Inject(Intake) private readonly intake: Intake,
    @Inject(Fence) private readonly fence: Fence,
  ) {}

  @Post()
  @HttpCode(202)
  @IntakeRoute()
  async post(@Body() body: unknown, @Req() request: FastifyRequest) {
    const { settings, now = Date.now, metrics } = this.parts;
    const token = request.principal === 'admin' ? 'admin' : settings.ingestToken;
    const { envelopes, errors } = parseNotifications(itemsOf(body), { token, now: now() }, this.parts);
    if (errors.length > 0) throw invalidRequest(errors);

    const publications = await this.intake.publishEach(envelopes.map(toMessage));
    const stored = envelopes.filter((_, index) => publications[index]!.stored);
    for (const { channel } of stored) metrics.add('ingest_notifications_total', { channel });
    const failed = publications.find((publication) => !publication.stored);
    if (failed && !failed.stored) throw partlyStored(failed.problem, stored, envelopes.length);
    return { notifications: envelopes.map(({ id }) => ({ id })) };
  }

  @Get(':id')
  @Allow('ingest')
  async find(@Param('id') id: string, @Res({ passthrough: true }) reply: FastifyReply) {
    const origin = originOfNotificationId(this.parts.settings.secretKey, id);
    if (!origin) throw new Problem('not-found', { detail: `no notification has the id '${id}'` });

    await this.fence.pass(reply);
    const view = await this.parts.review.findNotification(id);
    if (view) return toAnswer(view);
    if (this.isForgotten(origin)) {
      throw new Problem('not-found', { detail: `notification '${id}' is older than the retention and forgotten` });
    }
    // The id is ours, so it was given out with a confirmed publish: its worker has not come to it yet.
    return { id, status: 'queued', attempts: [] };
  }

  /** Without a row, an id too old for the queue was dropped by the retention. The age of an idempotency key's id is not known: it answers queued for ever. */
  private isForgotten(origin: NotificationIdOrigin): boolean {
    const { settings, now = Date.now } = this.parts;
    switch (origin.madeBy) {
      case 'time':
        return origin.at <= now() - settings.configuration.retentionMs;
      case 'key':
        return false;
      case 'dispatch':
        return true;
    }
  }
}

function toMessage(envelope: Envelope): OutgoingMessage {
  return {
    exchange: EXCHANGES.notifications.name,
    routingKey: envelope.channel,
    messageId: envelope.id,
    headers: { [HEADERS.attempt]: 1 },
    body: JSON.stringify(envelope),
  };
}

/** Whoever posts the rest again needs to know what is on disk already. */
function partlyStored(problem: Problem, stored: readonly Envelope[], total: number): Problem {
  if (stored.length === 0) return problem;
  return new Problem(problem.kind, {
    ...problem.details,
    detail: `${total - stored.length} of ${total} notifications are not confirmed, the first because: ${problem.details.detail}`,
    members: { stored: stored.map(({ id }) => ({ id })) },
  });
}

function toAnswer(view: NotificationView) {
  return {
    id: view.id,
    channel: view.channel,
    status: view.status,
    ...(view.reason !== undefined && { reason: view.reason }),
    ...(view.via !== undefined && { via: view.via }),
    ...(view.receiver !== undefined && { receiver: view.receiver }),
    ...(view.groupKey !== undefined && { groupKey: view.groupKey }),
    createdAt: new Date(view.createdAt).toISOString(),
    attempts: view.attempts.map((attempt) => ({
      number: attempt.number,
      at: new Date(attempt.at).toISOString(),
      outcome: attempt.outcome,
      reason: attempt.reason,
      providerCode: attempt.providerCode,
      providerMessage: attempt.providerMessage,
      durationMs: attempt.durationMs,
      mayRepeat: attempt.mayRepeat,
    })),
  };
}
