import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { chown, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { hasDebianFile } from './debian.js';
import { freePort } from './free-port.js';

interface User {
  uid: number;
  gid: number;
}

const VERSIONS = '/usr/lib/postgresql';
const READY = 'database system is ready to accept connections';
const START_TIMEOUT_MS = 120_000;
/** Lines of its log kept for the error message when it does not start. */
const LOG_TAIL_LINES = 20;

export interface PostgresqlServer {
  /** Of the empty database `postgres`. */
  url: string;
  /** A new empty database; answers its url. */
  createDatabase(): Promise<string>;
  /** Ends it and deletes its folder. */
  stop(): Promise<void>;
}

/**
 * Debian's PostgreSQL as a process of its own: own cluster in a temporary folder, own port on loopback, ended when this process
 * ends. `undefined` when the package is not installed (the caller then skips); throws where `TOCSIN_REQUIRE_ALL=1`.
 */
export function startPostgresql(): Promise<PostgresqlServer> | undefined {
  const programs = newestPrograms();
  return hasDebianFile(join(programs, 'initdb'), 'postgresql') ? start(programs) : undefined;
}

async function start(programs: string): Promise<PostgresqlServer> {
  // PostgreSQL refuses to run as root.
  const user = process.getuid?.() === 0 ? await idsOf('postgres') : undefined;
  const folder = await mkdtemp(join(tmpdir(), 'tocsin-postgresql-'));
  if (user !== undefined) await chown(folder, user.uid, user.gid);
  const data = join(folder, 'data');
  const run = (program: string, ...parameters: string[]) =>
    promisify(execFile)(join(programs, program), parameters, { ...user, cwd: folder });
  await run('initdb', '-D', data, '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--locale=C.UTF-8', '--no-sync');

  const port = String(await freePort());
  const server = spawnTied(join(programs, 'postgres'), ['-D', data, '-p', port, ...SETTINGS], { ...user, cwd: folder });
  const stop = async () => {
    const ended = exited(server);
    server.stdin?.end();
    await ended;
    await rm(folder, { recursive: true, force: true, maxRetries: 5 });
  };
  try {
    await started(server);
  } catch (error) {
    await stop();
    throw error;
  }

  const urlOf = (database: string) => `postgresql://postgres@127.0.0.1:${port}/${database}`;
  let databases = 0;
  const createDatabase = async () => {
    databases += 1;
    const database = `tocsin_${databases}`;
    await run('createdb', '-h', '127.0.0.1', '-p', port, '-U', 'postgres', database);
    return urlOf(database);
  };
  return { url: urlOf('postgres'), createDatabase, stop };
}

/** Durability is PostgreSQL's own business; without fsync the tests leave the disk to the others. */
const SETTINGS = ['listen_addresses=127.0.0.1', 'unix_socket_directories=', 'fsync=off', 'shared_buffers=32MB'].flatMap(
  (setting) => ['-c', setting],
);

/** Ends with this process, however that ends: the shell waits for the end of its standard input, then stops the program. */
function spawnTied(program: string, parameters: string[], options: Partial<User> & { cwd: string }) {
  const script = '"$@" & child=$!; read -r _; kill -INT $child; wait $child';
  return spawn('sh', ['-c', script, 'sh', program, ...parameters], { ...options, stdio: ['pipe', 'pipe', 'pipe'] });
}

function started(server: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    const tail: string[] = [];
    const fail = (why: string) => reject(new Error(`postgres ${why}:\n${tail.join('\n')}`));
    const timer = setTimeout(() => fail(`did not start in ${START_TIMEOUT_MS / 1_000} s`), START_TIMEOUT_MS);
    server.once('exit', (code, signal) => fail(`ended (${signal ?? code})`));
    server.stdout?.resume();
    // Read to the end, so that its log never blocks it.
    createInterface({ input: server.stderr! }).on('line', (line) => {
      tail.push(line);
      if (tail.length > LOG_TAIL_LINES) tail.shift();
      if (!line.includes(READY)) return;
      clearTimeout(timer);
      resolve();
    });
  });
}

function exited(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return Promise.resolve();
  return new Promise((resolve) => child.once('exit', () => resolve()));
}

async function idsOf(name: string): Promise<User> {
  const idOf = async (which: string) => Number((await promisify(execFile)('id', [which, name])).stdout);
  return { uid: await idOf('-u'), gid: await idOf('-g') };
}

function newestPrograms(): string {
  const versions = existsSync(VERSIONS) ? readdirSync(VERSIONS).map(Number).filter(Number.isFinite) : [];
  return join(VERSIONS, versions.length === 0 ? '<version>' : String(Math.max(...versions)), 'bin');
}
