import { setTimeout as delay } from 'node:timers/promises';
import type { DeadLetterQuery } from '#dispatch';
import type { ApiParts } from '../api-parts.js';
import { Problem } from '../problem/problem.js';
import type { Replay } from './replay.js';

export type BulkFilter = Pick<DeadLetterQuery, 'channel' | 'reason' | 'q'>;

export interface BulkProgress {
  state: 'idle' | 'running' | 'done' | 'stopped';
  filter?: BulkFilter;
  perMinute?: number;
  startedAt?: string;
  replayed: number;
  /** Left open, to be tried again. */
  failed: number;
  /** Why it stopped before the end. */
  detail?: string;
}

const PAGE = 100;
const MINUTE_MS = 60_000;

/**
 * Replays every open dead letter that fits a filter, at a pace, in the background; one run at a time. It stops at the first publish that
 * fails and when the process ends: what it has not come to stays open.
 */
export class BulkReplay {
  private current: BulkProgress = { state: 'idle', replayed: 0, failed: 0 };
  private readonly stop = new AbortController();

  constructor(
    private readonly replay: Replay,
    private readonly parts: Pick<ApiParts, 'review' | 'logger' | 'now'>,
  ) {}

  get progress(): BulkProgress {
    return this.current;
  }

  /** @throws Problem `conflict` while one runs */
  begin(filter: BulkFilter, perMinute: number, by: string): BulkProgress {
    if (this.current.state === 'running') {
      throw new Problem('conflict', {
        detail: 'a bulk replay runs already; GET /api/v1/dead-letters/replay shows how far it is',
      });
    }
    const startedAt = new Date((this.parts.now ?? Date.now)()).toISOString();
    this.current = { state: 'running', filter, perMinute, startedAt, replayed: 0, failed: 0 };
    const progress = this.current;
    this.run(progress, filter, MINUTE_MS / perMinute, by).catch((error: unknown) => {
      this.parts.logger.error({ err: error }, 'bulk replay failed');
      Object.assign(progress, { state: 'stopped', detail: 'the database did not answer; begin again' });
    });
    return progress;
  }

  close(): void {
    this.stop.abort();
  }

  private async run(progress: BulkProgress, filter: BulkFilter, intervalMs: number, by: string): Promise<void> {
    let cursor: string | undefined;
    do {
      const page = await this.parts.review.deadLetters({ ...filter, status: 'open', limit: PAGE, cursor });
      for (const { id } of page.items) {
        if (this.stop.signal.aborted)
          return void Object.assign(progress, { state: 'stopped', detail: 'the service stopped' });
        const replayed = await this.replay.replay(id, by);
        switch (replayed.result) {
          case 'replayed':
            progress.replayed += 1;
            break;
          case 'unprocessable':
            progress.failed += 1;
            break;
          case 'not-open':
            // Somebody else took it meanwhile: not ours to count.
            break;
          case 'replaying':
            return void Object.assign(progress, { state: 'stopped', detail: 'the broker or the database was lost' });
          case 'not-published':
            progress.failed += 1;
            return void Object.assign(progress, { state: 'stopped', detail: replayed.detail });
        }
        await this.pause(intervalMs);
      }
      cursor = page.nextCursor;
    } while (cursor !== undefined);
    progress.state = 'done';
  }

  /** Ends early when the service stops. */
  private async pause(ms: number): Promise<void> {
    await delay(ms, undefined, { signal: this.stop.signal, ref: false }).catch((error: Error) => {
      if (error.name !== 'AbortError') throw error;
    });
  }
}
