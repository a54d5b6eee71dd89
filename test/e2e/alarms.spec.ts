import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { connect } from 'amqplib';
import { hasDebianFile, removeFolder, type Service, startService } from '#testing';

const itWithPika = hasDebianFile('/usr/lib/python3/dist-packages/pika/__init__.py', 'python3-pika') ? it : it.skip;

/** A start waits its turn when other tests run beside. */
const START_MS_MAX = 60_000;

/** No process runs without memory: the alarm is raised at the start. */
const ALARM = 'broker: { vmMemoryHighWatermark: 0 }\n';
const NO_ALARM = 'broker: { vmMemoryHighWatermark: 1 }\n';

describe('the alarms of a running broker', () => {
  let broker: Service;
  beforeAll(async () => {
    broker = await startService({ app: 'broker', configuration: ALARM });
  }, START_MS_MAX);
  afterAll(async () => {
    await broker.kill();
    await removeFolder(broker.folder);
  });

  const configure = (text: string) => writeFile(join(broker.folder, 'tocsin.yaml'), text);

  itWithPika('block pika at its next publish and let consumers go on, until they clear', async () => {
    await configure(ALARM);
    const python = spawn('/usr/bin/python3', [join(import.meta.dirname, 'blocked.py'), new URL(broker.amqp).port]);
    let errors = '';
    python.stderr.on('data', (text) => {
      errors += text;
    });
    const lines: string[] = [];
    for await (const line of createInterface({ input: python.stdout })) {
      lines.push(line);
      if (line === 'published behind the alarm') await configure(NO_ALARM);
    }
    expect([errors, ...lines]).toEqual([
      '',
      'declared, heard []',
      'blocked: low on memory',
      'consumed first',
      'published behind the alarm',
      'unblocked',
      'consumed second',
      'closed',
    ]);
  });

  it('block amqplib at its publish, tell it why, and confirm what came behind once they clear', async () => {
    await configure('broker: { vmMemoryHighWatermark: 0, diskFreeLimit: 1000TB }\n');
    const connection = await connect(broker.amqp);
    const blocked = once(connection, 'blocked');
    const unblocked = once(connection, 'unblocked');
    const channel = await connection.createConfirmChannel();
    await channel.assertQueue('confirmed', { durable: true });
    // The file is looked at every two seconds: publishes go through until the alarm is there.
    let reason: string | undefined;
    void blocked.then(([told]) => {
      reason = told as string;
    });
    while (reason === undefined) {
      channel.sendToQueue('confirmed', Buffer.from('x'), { persistent: true });
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(reason).toBe('low on memory & low on disk');
    let isConfirmed = false;
    channel.sendToQueue('confirmed', Buffer.from('behind'), { persistent: true }, () => {
      isConfirmed = true;
    });
    await configure(NO_ALARM);
    await unblocked;
    await channel.waitForConfirms();
    expect(isConfirmed).toBe(true);
    await connection.close();
  });

  it('stay as they are when the file has a mistake, which the log names', async () => {
    await configure('broker: { vmMemoryHighWatermark: 40 }\n');
    while (!broker.output().includes('the settings stay as they are'))
      await new Promise((resolve) => setImmediate(resolve));
    expect(broker.output()).toContain('broker.vmMemoryHighWatermark must be a share');
  });
});
