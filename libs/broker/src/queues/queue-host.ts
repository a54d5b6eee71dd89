import type { Behaviour } from '../compat.js';
import type { ConsumerBias } from '../consumer-bias.js';
import type { Message } from '../message.js';
import type { MessageLog } from '../store/message-log.js';
import type { Clock } from './clock.js';
import type { DeathReason } from './dead-letter.js';
import type { DeliveryTick } from './delivery-tick.js';
import type { MessageMemory } from './message-memory.js';
import type { Queue } from './queue.js';

/** What became of a dead letter. `refused`: a target is full (or none exists) and the source queue must keep the message. */
export type BurialResult = 'moved' | 'dropped' | 'refused';

/** What a queue asks of the engine around it. */
export interface QueueHost {
  /** Name of the virtual host, for error texts. */
  readonly virtualHost: string;
  /** How RabbitMQ's versions differ. */
  readonly behaviour: Behaviour;
  /** How long deliveries may stay unsettled, where nothing else is said; 0 is for ever. */
  readonly consumerTimeoutMs: number | undefined;
  readonly clock: Clock;
  readonly log: MessageLog;
  readonly memory: MessageMemory;
  readonly tick: DeliveryTick;
  readonly consumerBias: ConsumerBias;
  /** Routes and stores the dead letter of `message`; when it returns `moved` the copy is in the log before any later record. */
  deadLetter(queue: Queue, message: Message, reason: DeathReason): BurialResult;
  /** x-expires has run out: delete the queue. */
  queueExpired(queue: Queue): void;
  /** Something a person should know, in one sentence. */
  report(text: string): void;
}
