import type { LogStats, Position, RecoveredQueue } from '#segment-log';
import type { Clock } from '../queues/clock.js';
import { DeliveryTick } from '../queues/delivery-tick.js';
import { MemoryRelief } from '../queues/memory-relief.js';
import { MessageMemory } from '../queues/message-memory.js';
import type { QueueStats } from '../queues/queue.js';
import type { QueueHost } from '../queues/queue-host.js';
import { Definitions } from '../store/definitions.js';
import type { DefinitionLog, MessageLog } from '../store/message-log.js';
import type { Durability, VirtualHost } from '../virtual-host.js';
import { Publisher, Sequences } from './publisher.js';
import { restoreDefinitions, restoreMessages } from './recovery.js';
import { Topology } from './topology.js';
import { EngineVirtualHost } from './virtual-host.js';

/** The one virtual host there is. */
const VIRTUAL_HOST = '/';

/** Everything the engine needs of the log; `SegmentLog` is one. */
export interface EngineLog extends MessageLog, DefinitionLog, Durability {
  /** The highest sequence number ever given to a message. */
  readonly lastSequence: number;
  recoveredQueues(): RecoveredQueue[];
  stats(): LogStats;
}

export interface EngineStats {
  queues: QueueStats[];
  exchanges: number;
  bindings: number;
  /** What messages in queues take of memory, with the chunks that they pin. */
  messageMemoryBytes: number;
  log: LogStats;
}

interface AssembledEngine {
  virtualHost: VirtualHost;
  stats(): EngineStats;
  isLive(queue: number, sequence: number): boolean;
  moved(queue: number, sequence: number, position: Position): void;
  /** No delivery, timer or read goes on after this. */
  stop(): void;
}

/** Builds the engine on an open log and restores what the log holds. */
export async function assembleEngine(parts: {
  log: EngineLog;
  clock: Clock;
  report: (text: string) => void;
  messageMemoryBytes: number | undefined;
}): Promise<AssembledEngine> {
  const { log, clock, report } = parts;
  const tick = new DeliveryTick();
  const memory = new MessageMemory(parts.messageMemoryBytes, () => tick.addLast(relief));
  const definitions = new Definitions(syncedSoon(log), VIRTUAL_HOST);
  const topology = new Topology(definitions);
  const relief = new MemoryRelief(memory, tick, () => topology.queues.values());
  const publisher = new Publisher(topology.exchanges, log, clock, new Sequences(log.lastSequence));
  const host: QueueHost = {
    virtualHost: VIRTUAL_HOST,
    clock,
    log,
    memory,
    tick,
    deadLetter: (queue, message, reason) => publisher.deadLetter(queue, message, reason),
    queueExpired: (queue) => virtualHost.removeQueue(queue),
    report,
  };
  const virtualHost = new EngineVirtualHost(VIRTUAL_HOST, topology, publisher, definitions, host);
  restoreDefinitions(definitions, topology, host);
  await restoreMessages(log.recoveredQueues(), topology, host);

  return {
    virtualHost,
    stats: () => ({
      queues: [...topology.queues.values()].map((queue) => queue.stats),
      exchanges: topology.exchanges.size,
      bindings: topology.bindingCount,
      messageMemoryBytes: memory.usedBytes,
      log: log.stats(),
    }),
    isLive: (queue, sequence) => topology.queuesByNumber.get(queue)?.isLive(sequence) ?? false,
    moved: (queue, sequence, position) => topology.queuesByNumber.get(queue)?.moved(sequence, position),
    stop() {
      tick.stop();
      for (const queue of topology.queues.values()) queue.stop();
    },
  };
}

/** A declaration is on disk within one sync of its answer, not only when some message is. */
function syncedSoon(log: EngineLog): DefinitionLog {
  return {
    definitions: log.definitions,
    define(key, value) {
      log.define(key, value);
      log.requestSync();
    },
  };
}
