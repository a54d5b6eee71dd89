import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

const READY_MS_MAX = 60_000;
const END_MS_MAX = 15_000;
/** Lines of output kept for a failing test's message. */
const LINES_MAX = 400;

export type App = 'tocsin' | 'broker' | 'api' | 'dispatcher' | 'worker';

export interface ServiceOptions {
  /** Default: `tocsin`, all in one. */
  app?: App;
  /** Start it by the npm script, as a user does; `pid` is npm's then. */
  isThroughNpm?: boolean;
  /** Text of `tocsin.yaml`. */
  configuration?: string;
  environment?: Record<string, string>;
  /** Share the folder of an earlier run to continue where it was; default: a new one. */
  folder?: string;
  /** Told the process id at once, for a test that kills the start itself. It leads a process group of its own. */
  onSpawned?: (pid: number) => void;
}

/** One run of a built app as a process group of its own, as `npm start` makes it. */
export interface Service {
  readonly folder: string;
  readonly pid: number;
  readonly readyLine: string;
  /** From the ready line, e.g. `http://127.0.0.1:41234`. */
  readonly http: string;
  readonly amqp: string;
  /** Empty when `tocsin.yaml` names no certificate. */
  readonly amqps: string;
  readonly management: string;
  output(): string;
  /** Resolves with the exit code, or the signal's name, once the process has ended. */
  ended: Promise<number | string>;
  /** SIGTERM to the process itself. */
  stop(): Promise<number | string>;
  /** SIGKILL to the whole process group. */
  kill(): Promise<void>;
}

/** A service that ended before it was ready: what it said and its exit code. */
export class NotReady extends Error {
  constructor(
    readonly exit: number | string,
    readonly output: string,
  ) {
    super(`ended with ${exit} before it was ready:\n${output}`);
  }
}

export const TEST_INGEST_TOKEN = 'test-ingest-token';
export const TEST_ADMIN_PASSWORD = 'test-admin-password';

/** A folder with nothing in it: `tocsin.yaml` and `data/` of the runs that share it. Remove it with `removeFolder`. */
export function newFolder(): Promise<string> {
  return mkdtemp(join(tmpdir(), 'tocsin-e2e-'));
}

export function removeFolder(folder: string): Promise<void> {
  return rm(folder, { recursive: true, force: true });
}

/** Starts a built app on free ports. @throws NotReady */
export async function startService(options: ServiceOptions = {}): Promise<Service> {
  const folder = options.folder ?? (await newFolder());
  if (options.configuration !== undefined) await writeFile(join(folder, 'tocsin.yaml'), options.configuration);
  const { command, parameters, cwd, environment } = howToStart(options, folder);
  const child = spawn(command, parameters, {
    cwd,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      PATH: process.env['PATH'],
      TOCSIN_HTTP_PORT: '0',
      TOCSIN_AMQP_PORT: '0',
      TOCSIN_AMQPS_PORT: '0',
      TOCSIN_MANAGEMENT_PORT: '0',
      TOCSIN_INGEST_TOKEN: TEST_INGEST_TOKEN,
      TOCSIN_ADMIN_PASSWORD: TEST_ADMIN_PASSWORD,
      ...environment,
      ...options.environment,
    },
  });
  if (child.pid !== undefined) options.onSpawned?.(child.pid);
  return readyService(child, folder);
}

/** The built app in its folder, or `npm start` in the checkout with data and configuration in that folder. */
function howToStart({ app = 'tocsin', isThroughNpm = false, configuration }: ServiceOptions, folder: string) {
  if (!isThroughNpm) {
    const script = join(repository(), 'dist/apps', app, 'src/main.js');
    return { command: process.execPath, parameters: [script], cwd: folder, environment: {} };
  }
  const environment: Record<string, string> = { TOCSIN_DATA_DIR: join(folder, 'data') };
  if (configuration !== undefined) environment['TOCSIN_CONFIG'] = join(folder, 'tocsin.yaml');
  const script = app === 'tocsin' ? 'start' : `start:${app}`;
  return { command: 'npm', parameters: ['run', script], cwd: repository(), environment };
}

/** Sources and built code lie at different depths. */
function repository(): string {
  let folder = import.meta.dirname;
  while (!existsSync(join(folder, 'package.json'))) folder = dirname(folder);
  return folder;
}

async function readyService(child: ChildProcess, folder: string): Promise<Service> {
  const lines: string[] = [];
  const ended = new Promise<number | string>((resolve) => {
    child.once('exit', (code, signal) => resolve(signal ?? code ?? -1));
  });
  const readyLine = await new Promise<string>((resolve, reject) => {
    const tooLate = () => reject(new Error(`not ready after ${READY_MS_MAX} ms:\n${lines.join('\n')}`));
    const timer = setTimeout(tooLate, READY_MS_MAX);
    const take = (line: string) => {
      lines.push(line);
      if (lines.length > LINES_MAX) lines.shift();
      if (!line.startsWith('tocsin ready')) return;
      clearTimeout(timer);
      resolve(line);
    };
    onLines(child.stdout!, take);
    onLines(child.stderr!, take);
    // 'close' comes after the last output, 'exit' may come before it.
    child.once('close', async () => {
      clearTimeout(timer);
      reject(new NotReady(await ended, lines.join('\n')));
    });
  }).catch((error) => {
    if (child.exitCode === null && child.signalCode === null) killGroup(child.pid!);
    throw error;
  });

  return {
    folder,
    pid: child.pid!,
    readyLine,
    http: urlIn(readyLine, 'http'),
    amqp: urlIn(readyLine, 'amqp'),
    amqps: urlIn(readyLine, 'amqps'),
    management: urlIn(readyLine, 'management'),
    output: () => lines.join('\n'),
    ended,
    stop: () => {
      child.kill('SIGTERM');
      return endedInTime(ended, lines);
    },
    kill: async () => {
      killGroup(child.pid!);
      await ended;
    },
  };
}

function onLines(stream: NodeJS.ReadableStream, take: (line: string) => void): void {
  let rest = '';
  stream.setEncoding('utf8');
  stream.on('data', (text: string) => {
    const parts = (rest + text).split('\n');
    rest = parts.pop() ?? '';
    for (const line of parts) take(line);
  });
}

/** `tocsin ready http=http://... amqp=amqp://... management=http://...` */
function urlIn(line: string, name: string): string {
  return new RegExp(`\\b${name}=(\\S+)`).exec(line)?.[1] ?? '';
}

/** The whole group, as a machine that loses its power would: no process of it lives on. */
function killGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch (error) {
    // ESRCH: it has ended already.
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

function endedInTime(ended: Promise<number | string>, lines: string[]): Promise<number | string> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(
      () => reject(new Error(`still running ${END_MS_MAX} ms after SIGTERM:\n${lines.join('\n')}`)),
      END_MS_MAX,
    );
    ended.then((exit) => {
      clearTimeout(timer);
      resolve(exit);
    });
  });
}
