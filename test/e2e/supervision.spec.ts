import { describe, expect, it } from '@jest/globals';
import {
  childOf,
  isRunning,
  newFolder,
  removeFolder,
  type Service,
  startService,
  startSmtpServer,
  TocsinClient,
  waitFor,
} from '#testing';

describe('supervision', () => {
  it('goes on by itself when the broker is killed', async () => {
    const smtp = await startSmtpServer();
    const configuration = `senders: { email: { url: "${smtp.url}", from: tocsin@example.com } }\n`;
    const service = await startService({ configuration });
    try {
      const client = new TocsinClient(service.http);
      process.kill(brokerOf(service), 'SIGKILL');
      const post = { channel: 'email', target: { to: 'ops@example.com' }, text: 'after the kill' };
      await waitFor(async () => (await client.post('/api/v1/notifications', post)).status === 202, {
        timeoutMs: 60_000,
        what: 'an accepted notification after the broker was killed',
      });
      await smtp.waitForMails(1, 60_000);
      expect(await service.stop()).toBe(0);
    } finally {
      await service.kill();
      await smtp.stop();
      await removeFolder(service.folder);
    }
  });

  it('leaves no orphan and no stale lock when the service alone is killed', async () => {
    const folder = await newFolder();
    const service = await startService({ folder });
    const broker = brokerOf(service);
    process.kill(service.pid, 'SIGKILL');
    await service.ended;
    await waitFor(() => !isRunning(broker), { timeoutMs: 60_000, what: 'the broker to end with its service' });

    const again = await startService({ folder });
    expect(await again.stop()).toBe(0);
    await removeFolder(folder);
  });

  it('refuses a second start on the same data folder with one sentence', async () => {
    const folder = await newFolder();
    const first = await startService({ folder });
    await expect(startService({ folder })).rejects.toThrow(/in use by process \d+/);
    expect(await first.stop()).toBe(0);
    await removeFolder(folder);
  });

  it('drains and exits 0 at SIGTERM with work in flight', async () => {
    const smtp = await startSmtpServer();
    const configuration = `senders: { email: { url: "${smtp.url}", from: tocsin@example.com } }\n`;
    const folder = await newFolder();
    const service = await startService({ folder, configuration });
    const client = new TocsinClient(service.http);
    const batch = Array.from({ length: 200 }, (_, index) => ({
      channel: 'email',
      target: { to: `person-${index}@example.com` },
      text: 'stop',
    }));
    expect((await client.post('/api/v1/notifications', batch)).status).toBe(202);
    expect(await service.stop()).toBe(0);

    const again = await startService({ folder });
    await smtp.waitForNotifications(200, 60_000);
    expect(smtp.duplicates().byNotification).toBe(0);
    expect(await again.stop()).toBe(0);
    await smtp.stop();
    await removeFolder(folder);
  });
});

function brokerOf(service: Service): number {
  const broker = childOf(service.pid);
  if (broker === undefined) throw new Error('the service has no broker process');
  return broker;
}
