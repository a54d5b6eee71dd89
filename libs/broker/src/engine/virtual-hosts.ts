import { textBytes } from '#amqp-codec';
import type { ConsumerBias } from '../consumer-bias.js';
import type { Queue } from '../queues/queue.js';
import type { QueueHost } from '../queues/queue-host.js';
import { Definitions, type QueueNumbers, type StoredVirtualHost } from '../store/definitions.js';
import type { DefinitionLog } from '../store/message-log.js';
import type { VirtualHost, VirtualHostDirectory, VirtualHostLimits } from '../virtual-host.js';
import { Publisher, type Sequences } from './publisher.js';
import { Topology } from './topology.js';
import { EngineVirtualHost } from './virtual-host.js';

/** The one that a new broker has. */
export const DEFAULT_VIRTUAL_HOST = '/';
export const VIRTUAL_HOSTS_MAX = 1_000;
/** A short string of the wire. */
const NAME_BYTES_MAX = 255;

/** What a person may say of a virtual host; nothing here depends on it. */
export type VirtualHostProperties = StoredVirtualHost;

/** Limits that are not given stay as they are. */
export type GivenVirtualHost = Omit<StoredVirtualHost, 'limits'> & { limits?: VirtualHostLimits };

/** What all virtual hosts of an engine share. */
export interface SharedParts extends Omit<QueueHost, 'virtualHost' | 'deadLetter' | 'queueExpired'> {
  definitionLog: DefinitionLog;
  sequences: Sequences;
  queueNumbers: QueueNumbers;
}

/** One virtual host with its parts. */
export interface Premises {
  properties: VirtualHostProperties;
  virtualHost: EngineVirtualHost;
  topology: Topology;
  host: QueueHost;
  definitions: Definitions;
}

/** Of one virtual host. */
export interface VirtualHostStats extends VirtualHostProperties {
  queues: number;
  exchanges: number;
  bindings: number;
  ready: number;
  unacked: number;
}

/**
 * The virtual hosts of an engine: one log, one memory bound, one tick and one space of queue numbers for all; names, exchanges, queues
 * and bindings each has its own.
 */
export class VirtualHosts implements VirtualHostDirectory {
  /** Of all virtual hosts, by their number in the log. */
  readonly queuesByNumber = new Map<number, Queue>();
  readonly #byName = new Map<string, Premises>();
  readonly #onDeleting: ((name: string) => void)[] = [];

  constructor(private readonly shared: SharedParts) {}

  virtualHost(name: string): VirtualHost | undefined {
    return this.#byName.get(name)?.virtualHost;
  }

  get consumerBias(): ConsumerBias {
    return this.shared.consumerBias;
  }

  onDeleting(listener: (name: string) => void): void {
    this.#onDeleting.push(listener);
  }

  get all(): readonly Premises[] {
    return [...this.#byName.values()];
  }

  *queues(): Iterable<Queue> {
    for (const { topology } of this.#byName.values()) yield* topology.queues.values();
  }

  stats(): VirtualHostStats[] {
    return this.all.map(({ properties, topology }) => {
      const stats = {
        queues: topology.queues.size,
        exchanges: topology.exchanges.size,
        bindings: topology.bindingCount,
      };
      let [ready, unacked] = [0, 0];
      for (const queue of topology.queues.values()) {
        ready += queue.stats.ready;
        unacked += queue.stats.unacked;
      }
      return { ...properties, ...stats, ready, unacked };
    });
  }

  /** Makes it, or changes what is said of it. Throws RangeError for a name that AMQP cannot carry, and when there are too many. */
  put(given: GivenVirtualHost): 'created' | 'changed' {
    const existing = this.#byName.get(given.name);
    const properties = { ...given, limits: given.limits ?? existing?.properties.limits ?? {} };
    if (existing !== undefined) {
      existing.properties = properties;
      existing.virtualHost.limits = properties.limits;
      existing.definitions.saveVirtualHost(properties);
      return 'changed';
    }
    const bytes = textBytes(properties.name);
    if (bytes === 0 || bytes > NAME_BYTES_MAX) {
      throw new RangeError(`the name of a virtual host has 1 to ${NAME_BYTES_MAX} bytes, not ${bytes}`);
    }
    if (this.#byName.size >= VIRTUAL_HOSTS_MAX) {
      throw new RangeError(`there are ${VIRTUAL_HOSTS_MAX} virtual hosts; delete one first`);
    }
    this.restore(properties).definitions.saveVirtualHost(properties);
    return 'created';
  }

  /** Puts it back as the log knows it. */
  restore(properties: VirtualHostProperties): Premises {
    const premises = this.#build(properties);
    this.#byName.set(properties.name, premises);
    return premises;
  }

  /** Its connections are told first, then everything in it goes. False when there is none of that name. */
  delete(name: string): boolean {
    const premises = this.#byName.get(name);
    if (premises === undefined) return false;
    this.#byName.delete(name);
    for (const listener of this.#onDeleting) listener(name);
    premises.topology.clear();
    // Last: whatever part of this a crash cuts off, what is left still has its virtual host.
    premises.definitions.dropVirtualHost();
    return true;
  }

  /** Where messages go whose queue nobody knows any more. */
  rescuePlace(): Premises {
    const existing = this.#byName.get(DEFAULT_VIRTUAL_HOST);
    if (existing !== undefined) return existing;
    this.put({ name: DEFAULT_VIRTUAL_HOST, description: 'holds what was damaged', tags: [] });
    return this.#byName.get(DEFAULT_VIRTUAL_HOST)!;
  }

  #build(properties: VirtualHostProperties): Premises {
    const { name } = properties;
    const { definitionLog, sequences, queueNumbers, ...common } = this.shared;
    const definitions = new Definitions(definitionLog, name, queueNumbers);
    const topology = new Topology(definitions, this.queuesByNumber);
    const publisher = new Publisher(topology.exchanges, common.log, common.clock, sequences);
    const host: QueueHost = {
      ...common,
      virtualHost: name,
      deadLetter: (queue, message, reason) => publisher.deadLetter(queue, message, reason),
      queueExpired: (queue) => virtualHost.removeQueue(queue),
    };
    const virtualHost = new EngineVirtualHost(name, topology, publisher, queueNumbers, host);
    virtualHost.limits = properties.limits ?? {};
    return { properties, virtualHost, topology, host, definitions };
  }
}
