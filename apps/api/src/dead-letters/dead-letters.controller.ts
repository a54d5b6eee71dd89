import { Body, Controller, Get, HttpCode, Inject, Param, Post, Query, Req } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import { type DeadLetter, isSealed } from '#dispatch';
import { Allow } from '../access/access.js';
import { API_PARTS, type ApiParts } from '../api-parts.js';
import { invalidQuery, Problem } from '../problem/problem.js';
import { BulkReplay } from './bulk-replay.js';
import { isRaw, Replay } from './replay.js';

const LIMIT_MAX = 500;
const PER_MINUTE_MAX = 60_000;

const text = z.string().max(200).optional();

const listSchema = z.strictObject({
  channel: text,
  reason: text,
  q: text,
  status: z.enum(['open', 'replaying', 'replayed', 'discarded']).default('open'),
  cursor: text,
  limit: z.coerce.number().int().min(1).max(LIMIT_MAX).default(50),
});

const bulkSchema = z.strictObject({
  filter: z.strictObject({ channel: text, reason: text, q: text }).default({}),
  perMinute: z.number().min(1).max(PER_MINUTE_MAX).default(600),
});

/** Notifications that were given up: look, send again, discard. */
@Controller('api/v1/dead-letters')
export class DeadLettersController {
  constructor(
    @Inject(API_PARTS) private readonly parts: ApiParts,
    @Inject(Replay) private readonly replays: Replay,
    @Inject(BulkReplay) private readonly bulk: BulkReplay,
  ) {}

  @Get()
  @Allow('admin')
  async list(@Query() query: unknown) {
    const { items, nextCursor } = await this.parts.review.deadLetters(parse(listSchema, query)).catch(badCursor);
    return { items: items.map(toAnswer), nextCursor: nextCursor ?? null };
  }

  @Get('replay')
  @Allow('admin')
  progress() {
    return this.bulk.progress;
  }

  @Post('replay')
  @HttpCode(202)
  @Allow('admin')
  replayMany(@Body() body: unknown, @Req() request: FastifyRequest) {
    const { filter, perMinute } = parse(bulkSchema, body ?? {});
    return this.bulk.begin(filter, perMinute, askerOf(request));
  }

  @Get(':id')
  @Allow('admin')
  async find(@Param('id') id: string) {
    return toAnswer(await this.existing(id));
  }

  @Post(':id/replay')
  @HttpCode(202)
  @Allow('admin')
  async replay(@Param('id') id: string, @Req() request: FastifyRequest) {
    const replayed = await this.replays.replay(id, askerOf(request));
    switch (replayed.result) {
      case 'not-open':
        throw await this.notOpen(id);
      case 'unprocessable':
        throw new Problem('conflict', { detail: `it would fail again and stays open: ${replayed.detail}` });
      case 'not-published':
        throw new Problem('broker-unavailable', { detail: `it stays open: ${replayed.detail}`, retryAfter: 5 });
      case 'replayed':
      case 'replaying':
        return { id, status: replayed.result };
    }
  }

  @Post(':id/discard')
  @HttpCode(202)
  @Allow('admin')
  async discard(@Param('id') id: string, @Req() request: FastifyRequest) {
    const { review, metrics, now = Date.now } = this.parts;
    if (!(await review.discard(id, askerOf(request), now()))) throw await this.notOpen(id);
    metrics.add('dead_letters_discarded_total', {});
    return { id, status: 'discarded' };
  }

  private async existing(id: string): Promise<DeadLetter> {
    const letter = await this.parts.review.findDeadLetter(id);
    if (letter) return letter;
    throw new Problem('not-found', { detail: `no dead letter has the id '${id}'` });
  }

  private async notOpen(id: string): Promise<Problem> {
    const { status } = await this.existing(id);
    return new Problem('conflict', { detail: `dead letter '${id}' is ${status}, no longer open` });
  }
}

/** The store alone can read its cursors. */
function badCursor(error: unknown): never {
  if (error instanceof RangeError) throw invalidQuery([{ field: 'cursor', message: error.message }]);
  throw error;
}

/** Who asked, for the audit. */
function askerOf(request: FastifyRequest): string {
  return `${request.principal ?? 'nobody'}@${request.ip}`;
}

function parse<Schema extends z.ZodType>(schema: Schema, input: unknown): z.output<Schema> {
  const parsed = schema.safeParse(input);
  if (parsed.success) return parsed.data;
  throw invalidQuery(parsed.error.issues.map(({ path, message }) => ({ field: path.join('.'), message })));
}

function toAnswer(letter: DeadLetter) {
  return {
    id: letter.id,
    notificationId: letter.notificationId ?? null,
    channel: letter.channel ?? null,
    target: letter.target === undefined ? null : withoutSealed(letter.target),
    targetKey: letter.targetKey ?? null,
    reason: letter.reason,
    detail: letter.detail,
    attempts: letter.attempts,
    failedAt: new Date(letter.failedAt).toISOString(),
    status: letter.status,
    resolvedAt: letter.resolvedAt === undefined ? null : new Date(letter.resolvedAt).toISOString(),
    payload: payloadOf(letter),
  };
}

/** The envelope as an object; what could not be parsed stays base64. */
function payloadOf(letter: DeadLetter): unknown {
  if (isRaw(letter)) return letter.payload;
  return withoutSealed(JSON.parse(letter.payload));
}

/** A sealed secret is of no use to a reader. */
function withoutSealed(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value), (_key, field: unknown) => (isSealed(field) ? '***' : field));
}
