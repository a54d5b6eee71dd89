import { type ChildProcess, fork } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from '@jest/globals';
import { transformFile } from '@swc/core';
import { SegmentLog } from './segment-log.js';
import type { LogOwner } from './types.js';

const owner: LogOwner = { isLive: () => true, moved: () => undefined };
const ROUNDS = 5;
/** Thousands of syncs, one after the other: some seconds, or a minute on a slow disk that others use too. */
const MS_MAX = 300_000;

it(
  'loses nothing that was durable when the process is killed, again and again',
  async () => {
    const directory = await mkdtemp(join(tmpdir(), 'segment-log-kill-'));
    try {
      const program = await compile(directory);
      let durable = 0;
      for (let round = 0; round < ROUNDS; round++) {
        durable = Math.max(durable, await appendUntilKilled(program, join(directory, 'log'), 300 * (round + 1)));
        const log = await SegmentLog.open({ directory: join(directory, 'log'), owner, segmentBytes: 256 * 1024 });
        const [queue] = log.recoveredQueues();
        // The child acknowledges all but each tenth, in the batch of the message.
        const expected = Array.from({ length: Math.floor(durable / 10) }, (_, index) => (index + 1) * 10);
        const found = new Set(queue!.sequences);
        expect(expected.filter((sequence) => !found.has(sequence))).toEqual([]);
        const settled = [...found].filter((sequence) => sequence <= durable && sequence % 10 !== 0);
        expect(settled).toEqual([]);
        const payloads = await log.read(queue!.positions, queue!.sizes);
        expect(payloads.every((payload, index) => payload?.readDoubleLE(0) === queue!.sequences[index])).toBe(true);
        await log.close();
      }
    } finally {
      await rm(directory, { recursive: true });
    }
  },
  MS_MAX,
);

/** Resolves with the last sequence the child called durable. */
function appendUntilKilled(program: string, directory: string, syncs: number): Promise<number> {
  const child: ChildProcess = fork(program, [directory], { execArgv: [] });
  return new Promise((resolve, reject) => {
    let durable = 0;
    let heard = 0;
    child.on('message', (sequence: number) => {
      durable = sequence;
      if (++heard === syncs) child.kill('SIGKILL');
    });
    child.on('error', reject);
    child.on('exit', (code, signal) => (signal === 'SIGKILL' ? resolve(durable) : reject(new Error(`exit ${code}`))));
  });
}

/** The library as plain JavaScript beside a program that appends for ever and tells what is durable. */
async function compile(directory: string): Promise<string> {
  const sources = fileURLToPath(new URL('.', import.meta.url));
  const { readdir } = await import('node:fs/promises');
  await writeFile(join(directory, 'package.json'), '{"type":"module"}');
  for (const name of await readdir(sources)) {
    if (!name.endsWith('.ts') || /\.(spec|harness)\.ts$/.test(name)) continue;
    const { code } = await transformFile(join(sources, name), {
      jsc: { target: 'es2022', parser: { syntax: 'typescript' } },
      module: { type: 'es6' },
    });
    await writeFile(join(directory, name.replace(/ts$/, 'js')), code);
  }
  const program = join(directory, 'child.js');
  await writeFile(program, CHILD);
  return program;
}

const CHILD = `
import { SegmentLog } from './segment-log.js';
const live = new Map();
const owner = { isLive: (_, sequence) => live.has(sequence), moved: (_, sequence, position) => live.set(sequence, position) };
const log = await SegmentLog.open({ directory: process.argv[2], owner, segmentBytes: 256 * 1024 });
for (const { count, sequences, positions } of log.recoveredQueues()) {
  for (let row = 0; row < count; row++) {
    // The kill may have come between a message and its acknowledgement.
    if (sequences[row] % 10 === 0) live.set(sequences[row], positions[row]);
    else log.appendAcks(1, [sequences[row]], [positions[row]]);
  }
}
const batches = [];
function append() {
  for (let each = 0; each < 20; each++) {
    const sequence = log.lastSequence + 1;
    const payload = Buffer.alloc(100 + (sequence % 900));
    payload.writeDoubleLE(sequence);
    const position = log.appendMessage(sequence, [{ queue: 1, expiresAt: 0, flags: 0 }], [payload]);
    if (sequence % 10 === 0) live.set(sequence, position);
    else log.appendAcks(1, [sequence], [position]);
  }
  batches.push({ end: log.appended, sequence: log.lastSequence });
  log.requestSync();
}
log.onDurable(() => {
  let sequence = 0;
  while (batches.length > 0 && batches[0].end <= log.durable) sequence = batches.shift().sequence;
  if (sequence > 0) process.send(sequence);
  append();
});
append();
append();
`;
