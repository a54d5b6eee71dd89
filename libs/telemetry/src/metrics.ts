import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';

interface Definition {
  type: 'counter' | 'gauge' | 'histogram';
  help: string;
  labels: readonly string[];
  /** Upper bounds in seconds; histograms only. */
  buckets?: readonly number[];
}

const FAST_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
const SLOW_SECONDS = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];
const LATENCY_SECONDS = [0.1, 0.5, 1, 5, 15, 30, 60, 300, 900, 3600];

/** Every metric of the service; each is exported as `tocsin_<name>`. Labels have few values: never a fingerprint, id or target. */
const DEFINITIONS = {
  http_requests_total: { type: 'counter', help: 'HTTP requests answered', labels: ['method', 'route', 'status'] },
  http_request_seconds: {
    type: 'histogram',
    help: 'Time to answer an HTTP request',
    labels: ['method', 'route'],
    buckets: FAST_SECONDS,
  },
  ingest_alerts_total: { type: 'counter', help: 'Alerts accepted: on disk at the broker', labels: ['source'] },
  ingest_notifications_total: {
    type: 'counter',
    help: 'Direct notifications accepted: on disk at the broker',
    labels: ['channel'],
  },
  ingest_refused_total: { type: 'counter', help: 'Ingest requests refused', labels: ['reason'] },
  ingest_confirm_seconds: {
    type: 'histogram',
    help: 'Time from publish to confirm',
    labels: [],
    buckets: FAST_SECONDS,
  },
  ingest_in_flight: { type: 'gauge', help: 'Ingest requests that wait for a confirm', labels: [] },
  dispatch_queue_depth: { type: 'gauge', help: 'Messages ready in queue dispatch', labels: [] },
  dispatcher_active: { type: 'gauge', help: '1 while this process is the active dispatcher', labels: [] },
  dispatcher_epoch: { type: 'gauge', help: 'Epoch this process holds or held last', labels: [] },
  dispatcher_batches_total: { type: 'counter', help: 'Batches committed', labels: [] },
  dispatcher_batch_seconds: {
    type: 'histogram',
    help: 'Time from taking a batch to acking it',
    labels: [],
    buckets: FAST_SECONDS,
  },
  dispatcher_alerts_total: { type: 'counter', help: 'Alerts merged', labels: ['status'] },
  dispatcher_alerts: { type: 'gauge', help: 'Alerts in memory', labels: ['status'] },
  dispatcher_groups: { type: 'gauge', help: 'Groups in memory', labels: [] },
  dispatcher_flushes_total: { type: 'counter', help: 'Group flushes by result', labels: ['result'] },
  dispatcher_suppressed_total: {
    type: 'counter',
    help: 'Alert notifications not sent, by recorded reason',
    labels: ['reason'],
  },
  dispatcher_outbox: { type: 'gauge', help: 'Outbox rows not yet published', labels: [] },
  notifications_published_total: { type: 'counter', help: 'Notifications handed to the workers', labels: ['channel'] },
  notifications_released_total: {
    type: 'counter',
    help: 'Notifications let go by the waiting room',
    labels: ['channel'],
  },
  notifications_digested_total: { type: 'counter', help: 'Notifications told in a digest', labels: ['channel'] },
  notifications_waiting: { type: 'gauge', help: 'Notifications in the waiting room', labels: ['channel'] },
  attempts_total: { type: 'counter', help: 'Attempts at sending, by outcome', labels: ['channel', 'outcome'] },
  attempt_seconds: { type: 'histogram', help: 'Time one attempt took', labels: ['channel'], buckets: SLOW_SECONDS },
  notification_seconds: {
    type: 'histogram',
    help: 'Time from creation to sent',
    labels: ['channel'],
    buckets: LATENCY_SECONDS,
  },
  attempts_waiting_total: {
    type: 'counter',
    help: 'Attempts sent to the waiting room instead of the provider',
    labels: ['channel'],
  },
  attempts_repeated_total: { type: 'counter', help: 'Attempts marked as possible repeats', labels: ['channel'] },
  copies_dropped_total: {
    type: 'counter',
    help: 'Deliveries acked unsent: their attempt was settled',
    labels: ['channel'],
  },
  retries_total: { type: 'counter', help: 'Notifications put on the retry ladder', labels: ['channel', 'level'] },
  dead_letters_total: { type: 'counter', help: 'Notifications given up', labels: ['channel', 'reason'] },
  dead_letters_replayed_total: { type: 'counter', help: 'Dead letters sent again', labels: ['channel'] },
  dead_letters_discarded_total: { type: 'counter', help: 'Dead letters discarded by an operator', labels: [] },
  broker_connected: { type: 'gauge', help: '1 while the connection to the broker is up', labels: ['connection'] },
  broker_blocked: { type: 'gauge', help: '1 while the broker asks publishers to stop', labels: ['connection'] },
} as const satisfies Record<string, Definition>;

type Definitions = typeof DEFINITIONS;
type NamesOf<Type extends Definition['type']> = {
  [Name in keyof Definitions]: Definitions[Name]['type'] extends Type ? Name : never;
}[keyof Definitions];
type Labels<Name extends keyof Definitions> = Record<Definitions[Name]['labels'][number], string>;

/** The process's metrics: its own registry, so that several services in one process (or test) do not mix. */
export class Metrics {
  readonly registry = new Registry();
  private readonly metrics = new Map<string, Counter | Gauge | Histogram>();

  constructor({ withProcess = true }: { withProcess?: boolean } = {}) {
    for (const [name, definition] of Object.entries<Definition>(DEFINITIONS)) {
      this.metrics.set(name, createMetric(`tocsin_${name}`, definition, this.registry));
    }
    if (withProcess) collectDefaultMetrics({ register: this.registry });
  }

  add<Name extends NamesOf<'counter'>>(name: Name, labels: Labels<Name>, by = 1): void {
    (this.metrics.get(name) as Counter).inc(labels, by);
  }

  set<Name extends NamesOf<'gauge'>>(name: Name, labels: Labels<Name>, value: number): void {
    (this.metrics.get(name) as Gauge).set(labels, value);
  }

  /** Reads a gauge when it is scraped, for values that others keep. One reader per gauge without labels. */
  read<Name extends NamesOf<'gauge'>>(name: Name, value: () => number): void {
    const gauge = this.metrics.get(name) as Gauge & { collect?: () => void };
    gauge.collect = () => gauge.set(value());
  }

  observe<Name extends NamesOf<'histogram'>>(name: Name, labels: Labels<Name>, seconds: number): void {
    (this.metrics.get(name) as Histogram).observe(labels, seconds);
  }

  /** Prometheus' text format. */
  text(): Promise<string> {
    return this.registry.metrics();
  }

  get contentType(): string {
    return this.registry.contentType;
  }
}

function createMetric(name: string, definition: Definition, registry: Registry): Counter | Gauge | Histogram {
  const common = { name, help: definition.help, labelNames: [...definition.labels], registers: [registry] };
  switch (definition.type) {
    case 'counter':
      return new Counter(common);
    case 'gauge':
      return new Gauge(common);
    case 'histogram':
      return new Histogram({ ...common, buckets: [...(definition.buckets ?? FAST_SECONDS)] });
  }
}
