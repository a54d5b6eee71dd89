import { describe, expect, it } from '@jest/globals';
import { childOf, isRunning, removeFolder, type Service, startService, waitFor } from '#testing';

describe('npm start', () => {
  it('hands SIGTERM to the service and exits 0', async () => {
    const service = await startService({ isThroughNpm: true });
    const processes = processesOf(service);
    expect(await service.stop()).toBe(0);
    expect(processes.filter(isRunning)).toEqual([]);
    await removeFolder(service.folder);
  });

  it('takes the service along when npm itself is killed, and starts again on the same data', async () => {
    const service = await startService({ isThroughNpm: true });
    const processes = processesOf(service);
    process.kill(service.pid, 'SIGKILL');
    await waitFor(() => !processes.some(isRunning), { timeoutMs: 60_000, what: 'service and broker to end with npm' });

    const again = await startService({ isThroughNpm: true, folder: service.folder });
    expect(await again.stop()).toBe(0);
    await removeFolder(service.folder);
  });
});

/** npm, the service, its broker. */
function processesOf(npm: Service): number[] {
  const service = childOf(npm.pid);
  const broker = service === undefined ? undefined : childOf(service);
  if (service === undefined || broker === undefined) throw new Error('npm has no service, or the service no broker');
  return [npm.pid, service, broker];
}
