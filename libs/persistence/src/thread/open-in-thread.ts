import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import type { Persistence } from '../open-persistence.js';
import { type Answer, arrived, CALLS, type Call, CLOSE, type DatabaseCall, type Opened, type Owner } from './calls.js';
import { gathered } from './gathered.js';

/** Calls that wait for their answer; the workers' prefetch and the open HTTP requests keep them far below. */
const CALLS_MAX = 50_000;
const SCRIPT = new URL('./database-thread.js', import.meta.url);

export interface ThreadOptions {
  dataDirectory: string;
  /** The thread ended by itself: nothing can be stored any more. */
  onFailed(error: Error): void;
  /** For specs, which run from the sources. */
  script?: URL;
}

/**
 * As `openPersistence` on SQLite, on a thread of its own: the driver is synchronous, so each of its syncs would hold up everything else on the thread it
 * runs on. @throws Error with the sentence of `openPersistence`
 */
export async function openPersistenceInThread(options: ThreadOptions): Promise<Persistence> {
  const { dataDirectory, onFailed, script = SCRIPT } = options;
  const thread = new Worker(script, { workerData: { dataDirectory } });
  const opened = await Promise.race([firstMessage(thread), endOf(thread)]);
  if (!opened.opened) {
    await thread.terminate();
    throw arrived(opened.error);
  }
  return new DatabaseThread(thread, onFailed).persistence();
}

async function firstMessage(thread: Worker): Promise<Opened> {
  const [opened] = await once(thread, 'message');
  return opened;
}

async function endOf(thread: Worker): Promise<never> {
  const [code] = await once(thread, 'exit');
  throw new Error(`the database thread ended with ${code} before it was ready`);
}

interface Waiting {
  resolve(value: unknown): void;
  reject(error: Error): void;
}

type State = { is: 'open' } | { is: 'closing' } | { is: 'ended'; error: Error };

/** This side of the thread. Owns it; ended by `close`. */
class DatabaseThread {
  private readonly waiting = new Map<number, Waiting>();
  private readonly send: (call: Call) => void;
  private readonly hasEnded: Promise<unknown>;
  private state: State = { is: 'open' };
  private lastNumber = 0;

  constructor(
    private readonly thread: Worker,
    private readonly onFailed: (error: Error) => void,
  ) {
    this.send = gathered((calls) => thread.postMessage(calls));
    this.hasEnded = new Promise((resolve) => thread.once('exit', resolve));
    thread.on('message', (answers: Answer[]) => this.settle(answers));
    thread.once('error', (error) => this.end(error));
    thread.once('exit', () => this.end(new Error('the database thread has ended')));
  }

  persistence(): Persistence {
    return {
      dispatcher: this.port('dispatcher'),
      worker: this.port('worker'),
      review: this.port('review'),
      ...this.port('database'),
      close: () => this.close(),
    };
  }

  /** One function for each call of the table, which names them all. */
  private port<Name extends Owner>(owner: Name): PortOf<Name> {
    const callOf =
      (name: string) =>
      (...parameters: unknown[]) =>
        this.call(owner, name, parameters);
    const calls = Object.keys(CALLS[owner]).map((name) => [name, callOf(name)]);
    return Object.fromEntries(calls);
  }

  private call(owner: Owner, name: string, parameters: unknown[]): Promise<unknown> {
    if (this.state.is === 'ended') return Promise.reject(this.state.error);
    if (this.state.is === 'closing') return Promise.reject(new Error('the database is closed'));
    if (this.waiting.size >= CALLS_MAX) {
      return Promise.reject(new Error(`${CALLS_MAX} calls wait for the database; try again later`));
    }
    this.lastNumber += 1;
    const number = this.lastNumber;
    return new Promise((resolve, reject) => {
      this.waiting.set(number, { resolve, reject });
      this.send({ number, owner, name, parameters });
    });
  }

  private settle(answers: readonly Answer[]): void {
    for (const answer of answers) {
      const waiting = this.waiting.get(answer.number);
      this.waiting.delete(answer.number);
      if ('error' in answer) waiting?.reject(arrived(answer.error));
      else waiting?.resolve(answer.value);
    }
  }

  private async close(): Promise<void> {
    if (this.state.is === 'open') {
      this.state = { is: 'closing' };
      // After the calls that are still gathered.
      setImmediate(() => this.thread.postMessage(CLOSE));
    }
    await this.hasEnded;
  }

  private end(error: Error): void {
    if (this.state.is === 'ended') return;
    const isUnexpected = this.state.is === 'open';
    this.state = { is: 'ended', error };
    for (const { reject } of this.waiting.values()) reject(error);
    this.waiting.clear();
    if (isUnexpected) this.onFailed(error);
  }
}

type PortOf<Name extends Owner> = Name extends 'database'
  ? Pick<Persistence, DatabaseCall>
  : Persistence[Exclude<Name, 'database'>];
