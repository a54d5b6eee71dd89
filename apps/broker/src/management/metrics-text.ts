import type { BrokerStatus } from './broker-status.js';

/** Prometheus' text format, with the names that RabbitMQ dashboards use and our own for the log. */
export function metricsText(status: BrokerStatus): string {
  const queues = status.queues();
  const totals = status.totals();
  const log = status.log();
  const recovery = status.recovery();
  const gauges: Record<string, number> = {
    rabbitmq_connections: totals.connections,
    rabbitmq_channels: totals.channels,
    rabbitmq_consumers: totals.consumers,
    rabbitmq_queues: queues.length,
    rabbitmq_process_resident_memory_bytes: process.memoryUsage.rss(),
    tocsin_log_segments: log.segments,
    tocsin_log_bytes: log.totalBytes,
    tocsin_log_live_bytes: log.liveBytes,
    tocsin_log_low_on_disk: status.isLowOnDisk() ? 1 : 0,
    tocsin_recovery_seconds: recovery.durationMs / 1000,
    tocsin_recovery_bytes_lost: recovery.bytesLost,
    tocsin_recovery_bytes_cut: recovery.bytesCut,
  };
  const counters: Record<string, number> = { tocsin_log_syncs_total: log.syncs };
  for (const [name, value] of Object.entries(status.counters())) counters[`rabbitmq_global_${name}`] = value;

  return [
    ...Object.entries(gauges).flatMap(([name, value]) => [`# TYPE ${name} gauge`, `${name} ${value}`]),
    ...Object.entries(counters).flatMap(([name, value]) => [`# TYPE ${name} counter`, `${name} ${value}`]),
    '# TYPE tocsin_recovery_findings_total counter',
    ...recovery.counts.map(
      ({ letter, action, count }) => `tocsin_recovery_findings_total{letter="${letter}",action="${action}"} ${count}`,
    ),
    ...perQueue('rabbitmq_queue_messages_ready', queues, ({ ready }) => ready),
    ...perQueue('rabbitmq_queue_messages_unacked', queues, ({ unacked }) => unacked),
    ...perQueue('rabbitmq_queue_consumers', queues, ({ consumers }) => consumers),
    '',
  ].join('\n');
}

type Queues = ReturnType<BrokerStatus['queues']>;

function perQueue(name: string, queues: Queues, figure: (queue: Queues[number]) => number): string[] {
  const lines = queues.map(
    (queue) => `${name}{vhost="${escaped(queue.virtualHost)}",queue="${escaped(queue.name)}"} ${figure(queue)}`,
  );
  return [`# TYPE ${name} gauge`, ...lines];
}

/** Of a label's value: backslash, quote and line feed (Prometheus text format 0.0.4). */
function escaped(value: string): string {
  return value.replace(/\\/g, '\\\\').replace(/"/g, '\\"').replace(/\n/g, '\\n');
}
