import type { BrokerConnection } from './connection.js';
import { KeptChannel } from './kept-channel.js';
import type { MessagingLogger } from './logger.js';

/** A blocked connection answers nothing: the broker does not read from it. */
const ANSWER_TIMEOUT_MS = 2_000;

export interface QueueCounts {
  /** Messages ready for delivery; those handed out and not acked are not among them. */
  ready: number;
  consumers: number;
}

/** Asks how many messages wait, on a channel of its own: a passive declare of a missing queue closes the channel. */
export class QueueDepths {
  private readonly channel: KeptChannel;
  /** One question per queue at a time; who asks meanwhile shares the answer. Bounded by the queues of the topology. */
  private readonly asking = new Map<string, Promise<QueueCounts | undefined>>();

  constructor(connection: BrokerConnection, logger: MessagingLogger) {
    this.channel = new KeptChannel(connection, { logger, purpose: 'queue depth', opened: async () => {}, lost() {} });
  }

  /** `undefined` when the broker or the queue is not there. */
  counts(queue: string): Promise<QueueCounts | undefined> {
    const asked = this.asking.get(queue);
    if (asked) return asked;

    const answer = inTime(this.ask(queue)).finally(() => this.asking.delete(queue));
    this.asking.set(queue, answer);
    return answer;
  }

  close(): Promise<void> {
    return this.channel.close();
  }

  private async ask(queue: string): Promise<QueueCounts | undefined> {
    try {
      const declared = await this.channel.current?.checkQueue(queue);
      return declared && { ready: declared.messageCount, consumers: declared.consumerCount };
    } catch {
      // Lost connection or missing queue: unknown is the honest answer, and the channel is opened again by itself.
      return undefined;
    }
  }
}

function inTime<T>(answer: Promise<T>): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), ANSWER_TIMEOUT_MS);
  });
  return Promise.race([answer, late]).finally(() => clearTimeout(timer));
}
