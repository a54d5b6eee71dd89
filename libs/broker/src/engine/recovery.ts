import { findField, peekProperty, type Table } from '#amqp-codec';
import type { RecoveredQueue } from '#segment-log';
import { restoreQueueSettings } from '../queues/arguments.js';
import { decodePayload, READ_AHEAD_BYTES, READ_AHEAD_MESSAGES } from '../queues/body-loader.js';
import { Queue } from '../queues/queue.js';
import type { QueueHost } from '../queues/queue-host.js';
import { REDELIVERED } from '../queues/queue-index.js';
import type { StoredBinding, StoredDefinitions, StoredExchange, StoredQueue } from '../store/definitions.js';
import type { Topology } from './topology.js';

/** Puts back what the log knows. A definition that cannot be used is reported and left out; it never stops a start. */
export function restoreDefinitions(stored: StoredDefinitions, topology: Topology, host: QueueHost): void {
  for (const sentence of stored.damaged) host.report(sentence);
  for (const exchange of stored.exchanges) {
    attempt(host, `exchange '${exchange.name}'`, () => restoreExchange(exchange, topology));
  }
  for (const queue of stored.queues) {
    attempt(host, `queue '${queue.name}'`, () => restoreQueue(queue, topology, host));
  }
  for (const binding of stored.bindings) {
    const name = `binding of ${binding.kind} '${binding.destination}' to '${binding.source}'`;
    attempt(host, name, () => restoreBinding(binding, topology));
  }
}

/** A virtual host where queues can be made. */
export interface RescuePlace {
  topology: Topology;
  host: QueueHost;
}

/** Fills the queues with the messages found in the log. Those of a queue whose definition was damaged are kept for a person, in `rescue`. */
export async function restoreMessages(
  recovered: readonly RecoveredQueue[],
  queuesByNumber: ReadonlyMap<number, Queue>,
  rescue: () => RescuePlace,
  host: Pick<QueueHost, 'log' | 'report'>,
): Promise<void> {
  for (const found of recovered) {
    const queue = queuesByNumber.get(found.queue) ?? addRescueQueue(found, rescue());
    // A retry queue's messages would expire here into nothing.
    if (isRescueQueue(queue)) found.expiresAt.fill(0);
    if (needsBodies(queue)) await fillFromBodies(queue, found, host);
    else fill(queue, found);
    queue.recovered();
  }
}

/** Deleting a queue drops its messages first, so messages without a queue mean that its definition is gone. */
function addRescueQueue(found: RecoveredQueue, { topology, host }: RescuePlace): Queue {
  const name = `damaged.${found.queue}`;
  host.report(
    `${found.count} messages of a queue without a definition are kept in queue '${name}'; move them where they belong, then delete it`,
  );
  const properties = { name, durable: true, autoDelete: false, arguments: RESCUED, owner: undefined };
  const queue = new Queue(
    properties,
    restoreQueueSettings(RESCUED, `queue '${name}'`, host.behaviour),
    found.queue,
    host,
  );
  topology.addQueue(queue);
  return queue;
}

/** Kept in the definition, for later starts to know it by; no argument that means anything to a queue. */
const RESCUE_ARGUMENT = 'x-tocsin-rescued';
const RESCUED: Table = [[RESCUE_ARGUMENT, { tag: 't', value: true }]];

function isRescueQueue(queue: Queue): boolean {
  return findField(queue.properties.arguments, RESCUE_ARGUMENT) !== undefined;
}

function restoreExchange(exchange: StoredExchange, topology: Topology): void {
  const { name, type, autoDelete, internal, arguments: exchangeArguments } = exchange;
  topology.restoreExchange({ name, type, durable: true, autoDelete, internal, arguments: exchangeArguments });
}

function restoreQueue(stored: StoredQueue, topology: Topology, host: QueueHost): void {
  const { name, number, autoDelete, arguments: queueArguments } = stored;
  const settings = restoreQueueSettings(queueArguments, `queue '${name}'`, host.behaviour);
  const properties = { name, durable: true, autoDelete, arguments: queueArguments, owner: undefined };
  topology.restoreQueue(new Queue(properties, settings, number, host));
}

function restoreBinding(binding: StoredBinding, topology: Topology): void {
  const source = topology.exchanges.get(binding.source);
  const ends = binding.kind === 'queue' ? topology.queues : topology.exchanges;
  const destination = ends.get(binding.destination);
  if (source === undefined || destination === undefined) throw new Error('one of its ends does not exist');
  topology.restoreBinding(source, destination, binding);
}

function attempt(host: QueueHost, what: string, restore: () => void): void {
  try {
    restore();
  } catch (error) {
    host.report(`${what} was not restored: ${(error as Error).message}`);
  }
}

function fill(queue: Queue, found: RecoveredQueue): void {
  const { sequences, positions, sizes, expiresAt, flags } = found;
  for (let row = 0; row < found.count; row++) {
    const redelivered = (flags[row]! & REDELIVERED) !== 0;
    queue.recover(sequences[row]!, positions[row]!, sizes[row]!, sizes[row]!, expiresAt[row]!, redelivered, 0);
  }
}

/** The log knows record bytes only. Limits by body bytes and priority levels need what is in the record. */
function needsBodies(queue: Queue): boolean {
  return queue.settings.maxLengthBytes !== undefined || queue.settings.maxPriority > 0;
}

async function fillFromBodies(
  queue: Queue,
  found: RecoveredQueue,
  host: Pick<QueueHost, 'log' | 'report'>,
): Promise<void> {
  let damaged = 0;
  for (let start = 0; start < found.count; ) {
    const end = endOfBatch(found, start);
    const positions = [...found.positions.subarray(start, end)];
    const messages = await host.log.readEach(positions, [...found.sizes.subarray(start, end)], decodePayload);
    for (let row = start; row < end; row++) {
      const message = messages[row - start];
      const sequence = found.sequences[row]!;
      if (message === undefined) {
        host.log.appendAcks(queue.number, [sequence], [found.positions[row]!]);
        damaged++;
        continue;
      }
      const { properties, body } = message;
      const redelivered = (found.flags[row]! & REDELIVERED) !== 0;
      const priority = peekProperty(properties, 'priority') ?? 0;
      const { positions: at, sizes, expiresAt } = found;
      queue.recover(sequence, at[row]!, sizes[row]!, body.length, expiresAt[row]!, redelivered, priority);
    }
    start = end;
  }
  if (damaged > 0) host.report(`queue '${queue.name}': ${damaged} messages are damaged on disk and were given up`);
}

function endOfBatch(found: RecoveredQueue, start: number): number {
  let end = start;
  let bytes = 0;
  while (end < found.count && end - start < READ_AHEAD_MESSAGES && bytes < READ_AHEAD_BYTES)
    bytes += found.sizes[end++]!;
  return end;
}
