import type { LogStats, Position, RecoveredQueue } from '#segment-log';
import type { Behaviour } from '../compat.js';
import { ConsumerBias } from '../consumer-bias.js';
import type { Clock } from '../queues/clock.js';
import { DeliveryTick } from '../queues/delivery-tick.js';
import { MemoryRelief } from '../queues/memory-relief.js';
import { MessageMemory } from '../queues/message-memory.js';
import type { QueueStats } from '../queues/queue.js';
import { loadDefinitions, QueueNumbers } from '../store/definitions.js';
import type { DefinitionLog, MessageLog } from '../store/message-log.js';
import type { Durability } from '../virtual-host.js';
import { Sequences } from './publisher.js';
import { restoreDefinitions, restoreMessages } from './recovery.js';
import { DEFAULT_VIRTUAL_HOST, type VirtualHostStats, VirtualHosts } from './virtual-hosts.js';

/** Everything the engine needs of the log; `SegmentLog` is one. */
export interface EngineLog extends MessageLog, DefinitionLog, Durability {
  /** The highest sequence number ever given to a message. */
  readonly lastSequence: number;
  recoveredQueues(): RecoveredQueue[];
  stats(): LogStats;
}

export interface EngineStats {
  virtualHosts: VirtualHostStats[];
  queues: (QueueStats & { virtualHost: string })[];
  /** Over all virtual hosts, as `bindings`. */
  exchanges: number;
  bindings: number;
  /** What messages in queues take of memory, with the chunks that they pin. */
  messageMemoryBytes: number;
  log: LogStats;
}

interface AssembledEngine {
  virtualHosts: VirtualHosts;
  consumerBias: ConsumerBias;
  /** The log's definitions, each on disk soon after it is made. */
  definitionLog: DefinitionLog;
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
  behaviour: Behaviour;
  consumerTimeoutMs: number | undefined;
}): Promise<AssembledEngine> {
  const { log, clock, report, behaviour, consumerTimeoutMs } = parts;
  const tick = new DeliveryTick();
  const memory = new MessageMemory(parts.messageMemoryBytes, () => tick.addLast(relief));
  const consumerBias = new ConsumerBias(clock);
  const definitionLog = syncedSoon(log);
  const queueNumbers = new QueueNumbers(definitionLog);
  const sequences = new Sequences(log.lastSequence);
  const virtualHosts = new VirtualHosts({
    behaviour,
    consumerTimeoutMs,
    clock,
    log,
    memory,
    tick,
    consumerBias,
    report,
    definitionLog,
    sequences,
    queueNumbers,
  });
  const relief = new MemoryRelief(memory, tick, () => virtualHosts.queues());
  restoreVirtualHosts(definitionLog, virtualHosts, report);
  const { queuesByNumber } = virtualHosts;
  await restoreMessages(log.recoveredQueues(), queuesByNumber, () => virtualHosts.rescuePlace(), { log, report });

  return {
    virtualHosts,
    consumerBias,
    definitionLog,
    stats: () => ({
      virtualHosts: virtualHosts.stats(),
      queues: virtualHosts.all.flatMap(({ topology, properties }) =>
        [...topology.queues.values()].map((queue) => ({ ...queue.stats, virtualHost: properties.name })),
      ),
      exchanges: virtualHosts.all.reduce((sum, { topology }) => sum + topology.exchanges.size, 0),
      bindings: virtualHosts.all.reduce((sum, { topology }) => sum + topology.bindingCount, 0),
      messageMemoryBytes: memory.usedBytes,
      log: log.stats(),
    }),
    isLive: (queue, sequence) => queuesByNumber.get(queue)?.isLive(sequence) ?? false,
    moved: (queue, sequence, position) => queuesByNumber.get(queue)?.moved(sequence, position),
    stop() {
      tick.stop();
      consumerBias.stop();
      for (const queue of virtualHosts.queues()) queue.stop();
    },
  };
}

/** A new log gets the virtual host '/'; so does one whose last was deleted, or nobody could connect. */
function restoreVirtualHosts(log: DefinitionLog, virtualHosts: VirtualHosts, report: (text: string) => void): void {
  for (const [name, stored] of loadDefinitions(log)) {
    if (stored.properties === undefined && name !== DEFAULT_VIRTUAL_HOST) {
      report(`virtual host '${name}' has lost its definition; it goes on with what it holds`);
    }
    const { topology, host } = virtualHosts.restore(
      stored.properties ?? { name, description: '', tags: [], limits: {} },
    );
    restoreDefinitions(stored, topology, host);
  }
  if (virtualHosts.all.length === 0) {
    virtualHosts.put({ name: DEFAULT_VIRTUAL_HOST, description: 'Default virtual host', tags: [] });
  }
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
