import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startSmtpServer, waitFor } from '#testing';
import type { ClientSuite } from './client-suite.js';
import { RunningProgram, runProgram } from './programs.js';

const PYTHON = '/usr/bin/python3';
const LINES_MS_MAX = 60_000;

/** Where the scripts of the tutorials are. */
export const TUTORIALS = join(import.meta.dirname, '../../../docs/tutorials');

/** Runs a tutorial to its end; returns what it printed. */
export function runTutorial(url: string, script: string, parameters: string[] = [], input = ''): Promise<string> {
  return runProgram(PYTHON, [join(TUTORIALS, script), ...parameters], { AMQP_URL: url }, input);
}

/** One broker, and the programs of one story that go on until it ends. */
class Stage {
  readonly #url: string;
  readonly #programs: RunningProgram[] = [];

  constructor(url: string) {
    this.#url = url;
  }

  /** Starts one that goes on, and waits for its first line. */
  async starts(script: string, parameters: string[] = [], environment = {}): Promise<RunningProgram> {
    const all = { AMQP_URL: this.#url, ...environment };
    const program = new RunningProgram(PYTHON, [join(TUTORIALS, script), ...parameters], all);
    this.#programs.push(program);
    await program.says(/^(waiting|listening|collecting)/);
    return program;
  }

  runs(script: string, parameters: string[] = [], input = ''): Promise<string> {
    return runTutorial(this.#url, script, parameters, input);
  }

  async clear(): Promise<void> {
    for (const program of this.#programs.splice(0)) await program.kill();
  }
}

const STORIES: Record<string, (stage: Stage) => Promise<void>> = {
  async 'hello world'(stage) {
    assert.equal(await stage.runs('hello_send.py'), 'sent Hello World!\n');
    const receiver = await stage.starts('hello_receive.py');
    await receiver.says('received Hello World!');
    await stage.runs('hello_send.py', ['grüß', 'dich']);
    await receiver.says('received grüß dich');
    assert.equal(await receiver.interrupt(), 0);
    assert.deepEqual(receiver.lines, ['waiting for messages', 'received Hello World!', 'received grüß dich']);
  },

  async 'work queues: one task at a time, and what a killed worker had goes to another'(stage) {
    const workers = [await stage.starts('work_worker.py'), await stage.starts('work_worker.py')];
    await stage.runs('work_new_task.py', [`long${'.'.repeat(600)}`]);
    await Promise.any(workers.map((worker) => worker.says(/^started long/)));
    for (const task of ['a', 'b', 'c']) await stage.runs('work_new_task.py', [task]);
    const busy = workers.find(({ lines }) => lines.some((line) => line.startsWith('started long')))!;
    const free = workers.find((worker) => worker !== busy)!;
    await free.says('finished c');
    const finished = free.lines.filter((line) => line.startsWith('finished'));
    assert.deepEqual(finished, ['finished a', 'finished b', 'finished c']);
    await busy.kill();
    await free.says(/^started long\.+ again$/);
  },

  async 'publish and subscribe'(stage) {
    const listeners = [await stage.starts('fanout_receive.py'), await stage.starts('fanout_receive.py')];
    assert.equal(await stage.runs('fanout_emit.py', ['the', 'first']), 'announced the first\n');
    for (const listener of listeners) await listener.says('heard the first');
    const late = await stage.starts('fanout_receive.py');
    await stage.runs('fanout_emit.py', ['the', 'second']);
    await late.says('heard the second');
    assert.deepEqual(late.lines, ['listening', 'heard the second']);
  },

  async routing(stage) {
    const errors = await stage.starts('direct_receive.py', ['error']);
    const both = await stage.starts('direct_receive.py', ['error', 'warning']);
    for (const severity of ['info', 'warning', 'error']) await stage.runs('direct_emit.py', [severity, 'disk', 'full']);
    await errors.says('error: disk full');
    await both.says('error: disk full');
    assert.deepEqual(errors.lines.slice(1), ['error: disk full']);
    assert.deepEqual(both.lines.slice(1), ['warning: disk full', 'error: disk full']);
  },

  async topics(stage) {
    const paris = await stage.starts('topic_receive.py', ['paris.#']);
    const web = await stage.starts('topic_receive.py', ['*.web.error', '*.web.#']);
    const all = await stage.starts('topic_receive.py', ['#']);
    const keys = ['paris', 'paris.web.error', 'oslo.web.error', 'oslo.web', 'oslo.db.error', 'paris.web'];
    for (const key of keys) await stage.runs('topic_emit.py', [key, 'x']);
    for (const program of [paris, web, all]) await program.says('paris.web: x');
    assert.deepEqual(
      all.lines.slice(1),
      keys.map((key) => `${key}: x`),
    );
    assert.deepEqual(paris.lines.slice(1), ['paris: x', 'paris.web.error: x', 'paris.web: x']);
    assert.deepEqual(web.lines.slice(1), ['paris.web.error: x', 'oslo.web.error: x', 'oslo.web: x', 'paris.web: x']);
  },

  async 'asking and being answered'(stage) {
    await stage.starts('rpc_server.py');
    assert.equal(
      await stage.runs('rpc_client.py', ['0', '10', '90']),
      'fibonacci(0) = 0\nfibonacci(10) = 55\nfibonacci(90) = 2880067194370816120\n',
    );
  },

  async 'a dead-letter queue'(stage) {
    const worker = await stage.starts('dead_letter_worker.py');
    const orders = ['{"what": "tea", "count": 2}', 'no order at all', '{"what": "milk", "count": 1}'];
    await stage.runs('dead_letter_order.py', orders);
    await worker.says('shipped 1 x milk');
    assert.deepEqual(worker.lines.slice(1), ['shipped 2 x tea', 'rejected no order at all', 'shipped 1 x milk']);
    assert.equal(await worker.interrupt(), 0);
    const reviewed = 'no order at all: rejected in orders, 1 time(s)\nnothing left\n';
    assert.equal(await stage.runs('dead_letter_review.py'), reviewed);
  },

  async 'persistent messages'(stage) {
    assert.equal(await stage.runs('persistent_publish.py', ['3']), '3 confirmed\n');
    const read = 'read message 0\nread message 1\nread message 2\nnothing left\n';
    assert.equal(await stage.runs('persistent_read.py'), read);
  },

  async 'a log collector'(stage) {
    const folder = await mkdtemp(join(tmpdir(), 'tocsin-logs-'));
    const file = join(folder, 'collected.log');
    const lines = Array.from({ length: 120 }, (_, index) => `info line ${index}`);
    assert.equal(await stage.runs('log_ship.py', ['web-1'], lines.join('\n')), 'shipped 120 lines of web-1\n');
    await stage.runs('log_ship.py', ['web-2'], 'error disk full\n');
    const collector = await stage.starts('log_collect.py', [file]);
    // In batches of 50 at most; a queue that is silent for a moment ends one early.
    const written = () => collector.lines.slice(1).map((line) => Number(/^wrote (\d+) lines$/.exec(line)?.[1]));
    const isAllWritten = () => written().reduce((sum, count) => sum + count, 0) === lines.length + 1;
    await waitFor(isAllWritten, { timeoutMs: LINES_MS_MAX, what: () => `all lines; so far:\n${collector.output}` });
    assert.ok(written().every((count) => count > 0 && count <= 50));
    assert.equal(await collector.interrupt(), 0);
    const collected = (await readFile(file, 'utf8')).trimEnd().split('\n');
    assert.deepEqual(collected, [...lines.map((line) => `web-1 ${line}`), 'web-2 error disk full']);
    await rm(folder, { recursive: true });
  },

  async 'an e-mail task'(stage) {
    const server = await startSmtpServer();
    const address = { SMTP_HOST: '127.0.0.1', SMTP_PORT: String(server.port) };
    const worker = await stage.starts('email_worker.py', [], address);
    server.answerNext(451, 'come back later');
    const queued = await stage.runs('email_queue.py', ['ops@example.com', 'hello', 'the first one']);
    assert.equal(queued, 'queued for ops@example.com\n');
    await worker.says('sent to ops@example.com, attempt 2');
    const mails = server.mails.map(({ subject, recipients }) => [subject, recipients]);
    assert.deepEqual(mails, [['hello', ['ops@example.com']]]);
    server.answerAll(550, 'nobody of that name');
    await stage.runs('email_queue.py', ['nobody@example.com', 'hello', 'the second one']);
    await worker.says('SMTPRecipientsRefused for nobody@example.com, attempt 3: to emails.failed');
    await stage.clear();
    await server.stop();
  },
};

export const tutorials: ClientSuite = {
  name: 'docs/tutorials (python3-pika)',
  needs: { path: '/usr/lib/python3/dist-packages/pika/__init__.py', packageName: 'python3-pika' },
  checks: Object.entries(STORIES).map(([title, story]) => ({
    title,
    async run(url) {
      const stage = new Stage(url);
      try {
        await story(stage);
      } finally {
        await stage.clear();
      }
    },
  })),
};
