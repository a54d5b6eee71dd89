import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { hasDebianFile } from './debian.js';
import { freePort } from './free-port.js';

const SERVER = '/usr/lib/rabbitmq/bin/rabbitmq-server';
// Not the one in PATH, which becomes another user and then finds no cookie.
const CONTROL = '/usr/lib/rabbitmq/bin/rabbitmqctl';
const STARTED = 'Server startup complete';
const START_TIMEOUT_MS = 170_000;
/** Lines of its log kept for the error message when it does not start. */
const LOG_TAIL_LINES = 20;

export interface RabbitmqServer {
  url: string;
  /** Of its HTTP API, without a slash at the end; undefined unless asked for. */
  managementUrl: string | undefined;
  /** Runs rabbitmqctl, which takes a second or two. Rejects with what it printed. */
  control(...words: string[]): Promise<void>;
  /** Kills it and deletes its folder. */
  stop(): Promise<void>;
}

/**
 * Debian's RabbitMQ as a process of its own: own folder, own ports, own epmd, no plugins but the management one where it is asked
 * for. `undefined` when the package
 * is not installed, which one line says; the caller then skips. Takes some ten seconds: start one per spec file.
 */
export async function startRabbitmq(options: { hasManagement?: boolean } = {}): Promise<RabbitmqServer | undefined> {
  const { hasManagement = false } = options;
  if (!hasDebianFile(SERVER, 'rabbitmq-server')) return undefined;

  const [port, distributionPort, epmdPort] = [await freePort(), await freePort(), await freePort()];
  const managementPort = await freePort();
  const folder = await mkdtemp(join(tmpdir(), 'tocsin-rabbitmq-'));
  await mkdir(join(folder, 'home'));
  await writeFile(join(folder, 'enabled_plugins'), hasManagement ? '[rabbitmq_management].\n' : '[].\n');
  await writeFile(
    join(folder, 'rabbitmq.conf'),
    [
      `listeners.tcp.1 = 127.0.0.1:${port}`,
      'log.console = true',
      'log.file = false',
      'disk_free_limit.absolute = 50MB',
      ...(hasManagement ? ['management.tcp.ip = 127.0.0.1', `management.tcp.port = ${managementPort}`] : []),
      '',
    ].join('\n'),
  );
  const environment = {
    PATH: process.env['PATH'],
    LANG: 'C.UTF-8',
    HOME: join(folder, 'home'),
    ERL_EPMD_PORT: String(epmdPort),
    ERL_EPMD_ADDRESS: '127.0.0.1',
    RABBITMQ_NODENAME: `tocsin-${port}@localhost`,
    RABBITMQ_DIST_PORT: String(distributionPort),
    RABBITMQ_MNESIA_BASE: join(folder, 'mnesia'),
    RABBITMQ_LOG_BASE: join(folder, 'log'),
    RABBITMQ_CONFIG_FILE: join(folder, 'rabbitmq.conf'),
    RABBITMQ_ENABLED_PLUGINS_FILE: join(folder, 'enabled_plugins'),
    // Two cores are shared with the tests; idle schedulers must not spin.
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: '+S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none',
  };
  // Started first, in the foreground: the epmd that Erlang starts by itself would outlive the test.
  const epmd = spawn('epmd', ['-port', String(epmdPort), '-address', '127.0.0.1'], {
    env: environment,
    stdio: 'ignore',
  });
  const server = spawn(SERVER, [], { env: environment, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });

  const stop = async () => {
    await Promise.all([killGroup(server), kill(epmd)]);
    await rm(folder, { recursive: true, force: true, maxRetries: 5 });
  };
  try {
    await started(server);
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    url: `amqp://guest:guest@127.0.0.1:${port}`,
    managementUrl: hasManagement ? `http://127.0.0.1:${managementPort}` : undefined,
    async control(...words) {
      await promisify(execFile)(CONTROL, words, { env: environment });
    },
    stop,
  };
}

function started(server: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    const tail: string[] = [];
    const fail = (why: string) => reject(new Error(`rabbitmq-server ${why}:\n${tail.join('\n')}`));
    const timer = setTimeout(() => fail(`did not start in ${START_TIMEOUT_MS / 1_000} s`), START_TIMEOUT_MS);
    const settle = (done: () => void) => {
      clearTimeout(timer);
      done();
    };
    server.once('exit', (code, signal) => settle(() => fail(`ended (${signal ?? code})`)));
    for (const stream of [server.stdout, server.stderr]) {
      if (!stream) continue;
      // Read to the end, so that its log never blocks it.
      createInterface({ input: stream }).on('line', (line) => {
        tail.push(line);
        if (tail.length > LOG_TAIL_LINES) tail.shift();
        if (line.includes(STARTED)) settle(resolve);
      });
    }
  });
}

/** The script and the Erlang machine below it. */
async function killGroup(server: ChildProcess): Promise<void> {
  const ended = exited(server);
  try {
    if (server.pid !== undefined) process.kill(-server.pid, 'SIGKILL');
  } catch {
    // It has ended by itself.
  }
  await ended;
}

async function kill(child: ChildProcess): Promise<void> {
  const ended = exited(child);
  child.kill('SIGKILL');
  await ended;
}

function exited(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return Promise.resolve();
  return new Promise((resolve) => child.once('exit', () => resolve()));
}
