import { type OutgoingMessage, PublishError } from '#messaging';
import type { ApiParts } from '../api-parts.js';
import { Problem } from '../problem/problem.js';
import { overloaded, unavailable } from './load.js';

/** Publishes of one request that wait for their confirms at once. */
const SLICE = 256;

/** `isDoubtful`: the connection went after the bytes had left, so the message may be stored without a confirm. */
export type Publication = { stored: true } | { stored: false; isDoubtful: boolean; problem: Problem };

/** Publishes what was accepted and answers after the confirm: only then is it on disk. */
export class Intake {
  private published = 0;
  private publishedAt = Number.NEGATIVE_INFINITY;

  constructor(private readonly parts: Pick<ApiParts, 'messaging' | 'metrics' | 'now'>) {}

  /** How many messages this process has published, and when the last: what a fence has to overtake. */
  get progress(): { published: number; publishedAt: number } {
    return { published: this.published, publishedAt: this.publishedAt };
  }

  /** Every message, or the problem of the first that has no confirm. Repeating a part changes nothing: alerts merge. */
  async publishAll(messages: readonly OutgoingMessage[]): Promise<void> {
    const results = await this.publishEach(messages);
    for (const result of results) if (!result.stored) throw result.problem;
  }

  /** Answers in the same order. */
  async publishEach(messages: readonly OutgoingMessage[]): Promise<Publication[]> {
    const results: Publication[] = [];
    for (let start = 0; start < messages.length; start += SLICE) {
      const slice = messages.slice(start, start + SLICE);
      results.push(...(await Promise.all(slice.map((message) => this.publish(message)))));
    }
    return results;
  }

  private async publish(message: OutgoingMessage): Promise<Publication> {
    const startedAt = performance.now();
    try {
      const result = await this.parts.messaging.publish(message);
      if (result === 'unroutable') return { stored: false, isDoubtful: false, problem: unroutable(message) };
      this.parts.metrics.observe('ingest_confirm_seconds', {}, (performance.now() - startedAt) / 1_000);
      this.published += 1;
      this.publishedAt = (this.parts.now ?? Date.now)();
      return { stored: true };
    } catch (error) {
      if (!(error instanceof PublishError)) throw error;
      return { stored: false, isDoubtful: error.maybeStored, problem: refused(error) };
    }
  }
}

function unroutable({ exchange, routingKey }: OutgoingMessage): Problem {
  return new Problem('unroutable', {
    detail: `exchange '${exchange}' has no queue for key '${routingKey}': somebody removed a binding or queue; restart the service to declare it again`,
  });
}

function refused(error: PublishError): Problem {
  const doubt = error.maybeStored ? ' (it may have been stored all the same)' : '';
  if (error.kind === 'overloaded') return overloaded(error.message);
  return unavailable(`${error.message}${doubt}`);
}
