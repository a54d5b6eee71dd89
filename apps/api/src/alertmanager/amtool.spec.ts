import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { describe, expect, it } from '@jest/globals';
import { fingerprint } from '#dispatch';
import { hasDebianFile } from '#testing';
import { FakeMessaging, PASSWORD, startTestApi } from '../api.fixture.js';

const AMTOOL = '/usr/bin/amtool';
const run = promisify(execFile);

const describeWithAmtool = hasDebianFile(AMTOOL, 'prometheus-alertmanager') ? describe : describe.skip;

describeWithAmtool('amtool', () => {
  async function withApi(
    story: (amtool: (...words: string[]) => Promise<string>, messaging: FakeMessaging) => Promise<void>,
  ) {
    const messaging = new FakeMessaging();
    const { app, review } = await startTestApi({ messaging });
    const labels = { alertname: 'HighCPU', severity: 'critical' };
    const now = Date.now();
    review.alerts = async () => [
      {
        fingerprint: fingerprint(labels),
        labels,
        annotations: { summary: 'cpu 97%' },
        startsAt: now,
        endsAt: now + 3_600_000,
        endsAtIsTimeout: false,
        generatorURL: '',
        updatedAt: now,
      },
    ];
    await app.listen(0, '127.0.0.1');
    const { port } = app.getHttpServer().address() as { port: number };
    const url = `http://admin:${PASSWORD}@127.0.0.1:${port}`;
    await story(
      async (...words) => (await run(AMTOOL, [`--alertmanager.url=${url}`, ...words])).stdout,
      messaging,
    ).finally(() => app.close());
  }

  it('adds an alert', () =>
    withApi(async (amtool, messaging) => {
      await amtool('alert', 'add', 'alertname=Disk', 'host=a', '--annotation=summary=full');
      expect(JSON.parse(String(messaging.published[0]?.body))).toMatchObject([
        { labels: { alertname: 'Disk', host: 'a' }, annotations: { summary: 'full' } },
      ]);
    }));

  it('queries alerts, with matchers', () =>
    withApi(async (amtool) => {
      expect(await amtool('alert', 'query')).toContain('HighCPU');
      expect(await amtool('alert', 'query', 'severity="warning"')).not.toContain('HighCPU');
    }));

  it('shows the configuration and tests its routes', () =>
    withApi(async (amtool) => {
      expect(await amtool('config', 'show')).toContain('receiver: ops');
      expect(await amtool('config', 'routes', 'test', 'severity=critical')).toContain('oncall');
      expect(await amtool('config', 'routes', 'test', 'severity=info')).toContain('ops');
    }));
});
