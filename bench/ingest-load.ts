// A process of its own that posts alerts to one server and prints what it measured as JSON:
//   node ingest-load.js PORT LOAD     LOAD is an `IngestLoad` as JSON
import { HttpLightClient } from './http-light-client.js';

export interface IngestLoad {
  /** Names this run's alerts: label `instance` is `<run>-<number>`. */
  run: string;
  /** Distinct alerts. */
  alerts: number;
  perRequest: number;
  requests: number;
  sockets: number;
  /** Requests a second; undefined: as fast as answers come. */
  pace?: number;
  /** `batch`: the alerts of one request are one group. `alone`: each alert is told at once and by itself. */
  group: 'batch' | 'alone';
  /** How long ago the alerts began; undefined: they do not say, so they begin when they are posted. */
  startedAgoMs?: number;
  authorization?: string;
}

export interface IngestMeasured {
  seconds: number;
  /** With a pace: when each alert was due to leave, ms of the epoch. */
  sentAt: number[];
  /** Part of a core that this process took: near 1, the client is what was measured. */
  clientCpu: number;
}

/** As Prometheus: an alert that is still firing ends four send intervals from now. */
const ENDS_IN_MS = 4 * 60_000;

const port = Number(process.argv[2]);
const load = JSON.parse(process.argv[3]!) as IngestLoad;

const requests = Array.from({ length: load.alerts / load.perRequest }, (_, batch) => requestOf(batch));
const client = await HttpLightClient.connect(port, load.sockets);
const sentAt: number[] = [];
const cpuBefore = process.cpuUsage();
const startedAt = performance.now();
if (load.pace === undefined) await client.send(requests, load.requests);
else await client.sendPaced(requests, load.pace, () => sentAt.push(performance.timeOrigin + performance.now()));
const seconds = (performance.now() - startedAt) / 1_000;
const { user, system } = process.cpuUsage(cpuBefore);
client.close();
const clientCpu = (user + system) / 1e6 / seconds;
process.stdout.write(JSON.stringify({ seconds, sentAt, clientCpu } satisfies IngestMeasured));

/** About 600 bytes an alert, as Prometheus sends them. */
function requestOf(batch: number): Buffer {
  const { startedAgoMs } = load;
  const startsAt = startedAgoMs === undefined ? undefined : new Date(Date.now() - startedAgoMs).toISOString();
  const endsAt = new Date(Date.now() + ENDS_IN_MS).toISOString();
  const alerts = Array.from({ length: load.perRequest }, (_, index) => ({
    labels: {
      alertname: `HighRequestLatency-${load.run}-${batch}`,
      group: load.group,
      instance: `${load.run}-${batch * load.perRequest + index}`,
      job: 'checkout',
      namespace: 'production',
      severity: 'critical',
    },
    annotations: {
      summary: 'Requests to checkout take too long',
      description: 'The 99th percentile of request latency has been above 500 ms for 10 minutes (now 731 ms).',
    },
    startsAt,
    endsAt,
    generatorURL: 'http://prometheus.example.com:9090/graph?g0.expr=job%3Arequest_latency_seconds&g0.tab=1',
  }));
  const body = Buffer.from(JSON.stringify(alerts));
  const head = [
    'POST /api/v2/alerts HTTP/1.1',
    `host: 127.0.0.1:${port}`,
    'content-type: application/json',
    `content-length: ${body.length}`,
    ...(load.authorization === undefined ? [] : [`authorization: ${load.authorization}`]),
  ];
  return Buffer.concat([Buffer.from(`${head.join('\r\n')}\r\n\r\n`), body]);
}
