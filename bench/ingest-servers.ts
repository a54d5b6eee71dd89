import { childOf, removeFolder, startService, TEST_INGEST_TOKEN, TocsinClient, waitFor } from '#testing';
import { startAlertmanager } from './alertmanager.js';
import { residentBytes } from './resident.js';

/** A server under load, with the same routes on both sides; closed by `stop`. */
export interface IngestServer {
  readonly name: string;
  readonly port: number;
  readonly authorization: string | undefined;
  /** Resolves when all that was answered 2xx is merged. */
  merged(): Promise<void>;
  /** Of all its processes (Linux: VmRSS). */
  residentBytes(): number;
  stop(): Promise<void>;
}

const MERGED_MS_MAX = 120_000;
/** Of nobody: to read its timeline, the service waits for what it accepted before. */
const NO_FINGERPRINT = '0'.repeat(16);

export async function startOurs(hook: string): Promise<IngestServer & { folder: string }> {
  const service = await startService({ configuration: ourConfiguration(hook) });
  const client = new TocsinClient(service.http);
  const pids = [service.pid, childOf(service.pid)!];
  return {
    name: 'tocsin',
    port: Number(new URL(service.http).port),
    authorization: `Bearer ${TEST_INGEST_TOKEN}`,
    folder: service.folder,
    merged: async () => {
      const isMerged = async () => {
        const { headers } = await client.get(`/api/v1/alerts/${NO_FINGERPRINT}/timeline`, 'admin');
        return !headers.has('tocsin-behind');
      };
      await waitFor(isMerged, { timeoutMs: MERGED_MS_MAX, what: 'the dispatcher to take what was accepted' });
    },
    residentBytes: () => pids.map(residentBytes).reduce((sum, bytes) => sum + bytes),
    stop: async () => {
      await service.kill();
      await removeFolder(service.folder);
    },
  };
}

/** `undefined` when Alertmanager is not installed. */
export async function startTheirs(hook: string): Promise<IngestServer | undefined> {
  const alertmanager = await startAlertmanager(theirConfiguration(hook));
  if (alertmanager === undefined) return undefined;
  return {
    name: 'alertmanager',
    port: alertmanager.port,
    authorization: undefined,
    // It merges before it answers.
    merged: async () => {},
    residentBytes: () => residentBytes(alertmanager.pid),
    stop: () => alertmanager.stop(),
  };
}

function ourConfiguration(hook: string): string {
  return `
senders: { webhook: { allowPrivateAddresses: true } }
receivers:
  - name: hook
    targets: [{ channel: webhook, url: "${hook}" }]
route:
  receiver: hook
  groupBy: [alertname]
  groupWait: 1s
  groupInterval: 5m
  routes:
    - { matchers: ['group="alone"'], receiver: hook, groupBy: [instance], groupWait: 0s }
dispatchLagMax: 10000000
`;
}

function theirConfiguration(hook: string): string {
  return `
receivers:
  - name: hook
    webhook_configs: [{ url: "${hook}" }]
route:
  receiver: hook
  group_by: [alertname]
  group_wait: 1s
  group_interval: 5m
  routes:
    - { matchers: ['group="alone"'], receiver: hook, group_by: [instance], group_wait: 0s }
`;
}
