import type { FastifyReply } from 'fastify';
import { ALERT_KEY, EXCHANGES, MESSAGE_TYPES } from '#messaging';
import type { ApiParts } from '../api-parts.js';
import type { Intake } from '../intake/intake.js';

const FENCE_MS = 1_000;
/** What was accepted longer ago than this has been dispatched, or the lag shows elsewhere. */
const RECENT_MS = 30_000;
const BEHIND_HEADER = 'tocsin-behind';

/**
 * Makes a read see what this process accepted before: a fence travels down `dispatch` behind it, and its answer says that all before it is in
 * the database. Not needed when nothing was accepted lately, or since a fence that was answered.
 */
export class Fence {
  private passed = 0;

  constructor(
    private readonly intake: Intake,
    private readonly parts: Pick<ApiParts, 'messaging' | 'now'>,
  ) {}

  /** Waits at most a second; without an answer the reply gets header `Tocsin-Behind`, and the read tells what is there. */
  async pass(reply: FastifyReply): Promise<void> {
    const { published, publishedAt } = this.intake.progress;
    const isRecent = (this.parts.now ?? Date.now)() - publishedAt <= RECENT_MS;
    if (published <= this.passed || !isRecent) return;

    const { result } = await this.parts.messaging.request({
      exchange: EXCHANGES.alerts.name,
      routingKey: ALERT_KEY,
      type: MESSAGE_TYPES.fence,
      timeoutMs: FENCE_MS,
    });
    if (result === 'answered') this.passed = Math.max(this.passed, published);
    else reply.header(BEHIND_HEADER, result);
  }
}
