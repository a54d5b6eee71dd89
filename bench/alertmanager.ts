import { spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort, hasDebianFile, waitFor } from '#testing';

const SERVER = '/usr/bin/prometheus-alertmanager';
const START_MS_MAX = 30_000;

export interface Alertmanager {
  readonly port: number;
  readonly pid: number;
  /** Kills it and deletes its folder. */
  stop(): Promise<void>;
}

/** Debian's Alertmanager alone, without a cluster; `undefined` when it is not installed, which one line says. */
export async function startAlertmanager(configuration: string): Promise<Alertmanager | undefined> {
  if (!hasDebianFile(SERVER, 'prometheus-alertmanager')) return undefined;

  const port = await freePort();
  const folder = await mkdtemp(join(tmpdir(), 'tocsin-alertmanager-'));
  const file = join(folder, 'alertmanager.yml');
  await writeFile(file, configuration);
  const parameters = [
    `--config.file=${file}`,
    `--storage.path=${join(folder, 'data')}`,
    `--web.listen-address=127.0.0.1:${port}`,
    '--cluster.listen-address=',
    '--log.level=error',
  ];
  const server = spawn(SERVER, parameters, { stdio: ['ignore', 'ignore', 'inherit'] });
  const ended = new Promise((resolve) => server.once('exit', resolve));
  const stop = async () => {
    server.kill('SIGKILL');
    await ended;
    await rm(folder, { recursive: true, force: true });
  };
  const isReady = () =>
    fetch(`http://127.0.0.1:${port}/-/ready`).then(
      ({ ok }) => ok,
      () => false,
    );
  try {
    await waitFor(isReady, { timeoutMs: START_MS_MAX, what: 'Alertmanager to be ready' });
  } catch (error) {
    await stop();
    throw error;
  }
  return { port, pid: server.pid!, stop };
}
