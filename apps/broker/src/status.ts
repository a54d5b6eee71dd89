import type { Broker, Engine } from '#broker';
import type { BrokerStatus } from './management/broker-status.js';

/** Engine and wire as the management pages see them. */
export function statusOf(engine: Engine, broker: Broker): BrokerStatus {
  return {
    queues: () => engine.stats().queues,
    connections: () => broker.stats().connections,
    totals() {
      const { exchanges, bindings, queues } = engine.stats();
      const { connectionCount, connections } = broker.stats();
      return {
        connections: connectionCount,
        channels: connections.reduce((sum, { channels }) => sum + channels.length, 0),
        consumers: queues.reduce((sum, queue) => sum + queue.consumers, 0),
        exchanges,
        bindings,
      };
    },
    counters() {
      const { counters } = broker.stats();
      return {
        messages_received_total: counters.published,
        messages_routed_total: counters.routed,
        messages_unroutable_dropped_total: counters.unroutableDropped,
        messages_unroutable_returned_total: counters.unroutableReturned,
        messages_confirmed_total: counters.confirmed,
        messages_delivered_total: counters.delivered + counters.deliveredNoAck,
        messages_redelivered_total: counters.redelivered,
        messages_acknowledged_total: counters.acknowledged,
        messages_get_empty_total: counters.gotEmpty,
      };
    },
    recovery: () => engine.recovery(),
    isLowOnDisk: () => engine.isLowOnDisk,
    log: () => engine.stats().log,
    failure: () => engine.failed?.message,
  };
}
