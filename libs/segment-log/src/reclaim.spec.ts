import { describe, expect, it } from '@jest/globals';
import { codeError, ForgetfulFiles, logFile, turn, until } from '#testing';
import { SegmentLog } from './segment-log.js';
import type { LogOwner, Position } from './types.js';

const SIZE = 500;

/** An owner that keeps where each placement lies and settles on demand. */
class Owner implements LogOwner {
  readonly held = new Map<string, Position>();
  moves = 0;
  log!: SegmentLog;

  static async of(files: ForgetfulFiles): Promise<Owner> {
    const owner = new Owner();
    owner.log = await SegmentLog.open({ directory: '/log', owner, files, segmentBytes: 8192 });
    for (const { queue, count, sequences, positions } of owner.log.recoveredQueues()) {
      for (let row = 0; row < count; row++) owner.held.set(`${queue}/${sequences[row]}`, positions[row]!);
    }
    return owner;
  }

  isLive(queue: number, sequence: number): boolean {
    return this.held.has(`${queue}/${sequence}`);
  }

  moved(queue: number, sequence: number, position: Position): void {
    this.moves++;
    this.held.set(`${queue}/${sequence}`, position);
  }

  publish(...queues: number[]): number {
    const sequence = this.log.lastSequence + 1;
    const placements = queues.map((queue) => ({ queue, expiresAt: 0, flags: 0 }));
    const position = this.log.appendMessage(sequence, placements, [Buffer.alloc(SIZE, sequence)]);
    for (const queue of queues) this.held.set(`${queue}/${sequence}`, position);
    return sequence;
  }

  ack(queue: number, ...sequences: number[]): void {
    const positions = sequences.map((sequence) => this.held.get(`${queue}/${sequence}`)!);
    for (const sequence of sequences) this.held.delete(`${queue}/${sequence}`);
    this.log.appendAcks(queue, sequences, positions);
  }

  drop(queue: number): void {
    for (const key of this.held.keys()) if (key.startsWith(`${queue}/`)) this.held.delete(key);
    this.log.dropQueue(queue);
  }

  /** Enough traffic of another queue to fill segments, all of it done with. */
  passTraffic(count = 60): void {
    for (let each = 0; each < count; each++) this.ack(99, this.publish(99));
  }

  async synced(): Promise<void> {
    this.log.requestSync();
    await until(() => this.log.unsyncedBytes === 0);
  }

  async restart(files: ForgetfulFiles): Promise<Owner> {
    await this.log.close();
    return Owner.of(files);
  }
}

describe('space comes back', () => {
  it('when all messages of a segment are settled', async () => {
    const owner = await Owner.of(new ForgetfulFiles());
    owner.passTraffic(200);
    await owner.synced();
    await until(() => owner.log.stats().segments === 1);
    expect(owner.moves).toBe(0);
  });

  it('though one slow message stays: it is moved, with nothing of its neighbours', async () => {
    const files = new ForgetfulFiles();
    const owner = await Owner.of(files);
    const slow = owner.publish(1);
    const before = owner.held.get(`1/${slow}`)!;
    owner.passTraffic(300);
    await owner.synced();
    await until(() => owner.log.stats().segments <= 2);
    const position = owner.held.get(`1/${slow}`)!;
    expect(position).toBeGreaterThan(before);
    expect(await owner.log.read([position], [SIZE])).toEqual([Buffer.alloc(SIZE, slow)]);

    const next = await owner.restart(files);
    expect([...next.held.keys()]).toEqual([`1/${slow}`]);
  });

  it('of a segment that is dead though its acks speak of one that lives on', async () => {
    const files = new ForgetfulFiles();
    const owner = await Owner.of(files);
    const backlog = Array.from({ length: 40 }, () => owner.publish(1));
    // Too much of the first segments stays alive to rewrite them; the acks for the rest lie among later, dead traffic.
    const settled = backlog.filter((_, index) => index % 4 === 0);
    owner.ack(1, ...settled);
    owner.passTraffic(300);
    await owner.synced();
    await until(() => owner.log.stats().segments <= 5);
    const next = await owner.restart(files);
    expect([...next.held.keys()]).toEqual(
      backlog.filter((sequence) => !settled.includes(sequence)).map((sequence) => `1/${sequence}`),
    );
  });

  it('of a dropped queue, whose number may be used again', async () => {
    const files = new ForgetfulFiles();
    const owner = await Owner.of(files);
    // Queue 2 keeps the segment; queue 1 is dead in it only because of the drop.
    for (let each = 0; each < 15; each++) owner.publish(1, 2);
    owner.drop(1);
    const kept = owner.publish(1);
    owner.passTraffic(300);
    await owner.synced();
    await until(() => owner.log.stats().segments <= 4);
    const next = await owner.restart(files);
    expect([...next.held.keys()].filter((key) => key.startsWith('1/'))).toEqual([`1/${kept}`]);
    expect(next.held.size).toBe(16);
  });
});

describe('a moved message', () => {
  it('keeps its live placements only, and its redelivered mark', async () => {
    const files = new ForgetfulFiles();
    const owner = await Owner.of(files);
    const slow = owner.publish(1, 2, 3);
    owner.ack(2, slow);
    owner.log.appendMarks(3, [slow]);
    owner.passTraffic(300);
    await owner.synced();
    await until(() => owner.log.stats().segments <= 2);
    await owner.log.close();

    const log = await SegmentLog.open({ directory: '/log', owner, files, segmentBytes: 8192 });
    const queues = log.recoveredQueues();
    expect(queues.map(({ queue, sequences, flags }) => [queue, sequences[0], flags[0]])).toEqual([
      [1, slow, 0],
      [3, slow, 1],
    ]);
    await log.close();
  });

  it('is read at its old position by a read that began before, and its file stays so long', async () => {
    const files = new ForgetfulFiles();
    const owner = await Owner.of(files);
    const slow = owner.publish(1);
    await owner.synced();
    files.readsToHold = 1;
    const reading = owner.log.read([owner.held.get(`1/${slow}`)!], [SIZE]);
    owner.passTraffic(100);
    await owner.synced();
    await until(() => owner.moves > 0 && owner.log.stats().segments <= 3);
    await owner.synced();
    for (let turns = 0; turns < 100; turns++) await turn();
    expect(files.paths()).toContain(logFile(1));
    files.heldReads.shift()!();
    expect(await reading).toEqual([Buffer.alloc(SIZE, slow)]);
    await until(() => !files.paths().includes(logFile(1)));
  });

  it('is counted once when a crash leaves its old copy beside it', async () => {
    const files = new ForgetfulFiles();
    const owner = await Owner.of(files);
    // A damaged neighbour keeps the old file, and with it the old copy.
    const damaged = owner.publish(1);
    const whole = owner.publish(1);
    await owner.synced();
    damage(files, 1, Buffer.alloc(SIZE, damaged));
    owner.passTraffic();
    await owner.synced();
    await until(() => owner.moves > 0);
    await owner.synced();

    const next = await Owner.of(files.afterKill());
    expect([...next.held.keys()]).toEqual([`1/${damaged}`, `1/${whole}`]);
    next.passTraffic();
    await next.synced();
    next.ack(1, damaged, whole);
    next.passTraffic();
    await next.synced();
    await until(() => next.log.stats().segments === 1);
  });

  it('does not come back from an old file that could not be removed', async () => {
    const files = new ForgetfulFiles();
    const owner = await Owner.of(files);
    const slow = owner.publish(1);
    files.failAt = (step, path) =>
      step === 'unlink' && path === logFile(1) ? codeError('EPERM', 'not now') : undefined;
    owner.passTraffic();
    await owner.synced();
    await until(() => owner.moves > 0);
    owner.passTraffic(30);
    owner.ack(1, slow);
    owner.passTraffic(200);
    await owner.synced();
    await until(() => owner.log.stats().segments <= 4);
    for (let turns = 0; turns < 100; turns++) await turn();
    files.failAt = () => undefined;
    expect((await owner.restart(files)).held.size).toBe(0);
  });
});

describe('what older segments still need stays', () => {
  // Enough live messages to make the first segment not worth a rewrite.
  const LIVE = 12;

  it('a mark, though its own segment goes', async () => {
    const files = new ForgetfulFiles();
    const owner = await Owner.of(files);
    for (let each = 0; each < LIVE; each++) owner.publish(1);
    owner.passTraffic(20);
    await owner.synced();
    await until(() => owner.log.stats().segments === 2);
    owner.log.appendMarks(1, [2]);
    owner.passTraffic(100);
    await owner.synced();
    await until(() => owner.log.stats().segments <= 2);
    await owner.log.close();
    const log = await SegmentLog.open({ directory: '/log', owner, files, segmentBytes: 8192 });
    const [queue] = log.recoveredQueues();
    expect([...queue!.flags.subarray(0, 3)]).toEqual([0, 1, 0]);
    await log.close();
  });

  it('the drop of a queue, though its own segment goes', async () => {
    const files = new ForgetfulFiles();
    const owner = await Owner.of(files);
    for (let each = 0; each < LIVE; each++) owner.publish(1, 2);
    owner.passTraffic(20);
    owner.drop(1);
    owner.passTraffic(100);
    await owner.synced();
    await until(() => owner.log.stats().segments <= 3);
    for (let turns = 0; turns < 100; turns++) await turn();
    const next = await owner.restart(files);
    expect([...next.held.keys()].filter((key) => key.startsWith('1/'))).toEqual([]);
    expect(next.held.size).toBe(LIVE);
  });
});

describe('a segment stays', () => {
  it('after a start until the owner has filled its index', async () => {
    const files = new ForgetfulFiles();
    const first = await Owner.of(files);
    first.publish(1);
    first.passTraffic(30);
    files.failAt = (step) => (step === 'unlink' ? codeError('EPERM', 'not now') : undefined);
    await first.log.close();
    files.failAt = () => undefined;

    const owner = new Owner();
    const options = { directory: '/log', owner, files, segmentBytes: 8192, reclaim: 'when-told' } as const;
    owner.log = await SegmentLog.open(options);
    const [queue] = owner.log.recoveredQueues();
    const position = queue!.positions[0]!;
    owner.log.appendMarks(1, [1]);
    await owner.synced();
    for (let turns = 0; turns < 100; turns++) await turn();
    expect(await owner.log.read([position], [SIZE])).toEqual([Buffer.alloc(SIZE, 1)]);
    expect(owner.moves).toBe(0);

    owner.held.set('1/1', position);
    owner.log.startReclaiming();
    await until(() => owner.moves > 0 && owner.log.stats().segments === 1);
  });

  it('while a live message in it cannot be read, and goes when its owner gives that up', async () => {
    const files = new ForgetfulFiles();
    const owner = await Owner.of(files);
    const damaged = owner.publish(1);
    const whole = owner.publish(1);
    await owner.synced();
    damage(files, 1, Buffer.alloc(SIZE, damaged));
    const troubles: string[] = [];
    owner.log.onTrouble(({ letter }) => troubles.push(letter));
    owner.passTraffic(300);
    await owner.synced();
    await until(() => owner.moves > 0 && owner.log.stats().segments <= 3);
    await owner.synced();
    for (let turns = 0; turns < 100; turns++) await turn();
    expect(troubles).toContain('R');
    expect(files.paths()).toContain(logFile(1));
    expect(await owner.log.read([owner.held.get(`1/${damaged}`)!], [SIZE])).toEqual([undefined]);

    owner.ack(1, damaged);
    owner.passTraffic(60);
    await owner.synced();
    await until(() => !files.paths().includes(logFile(1)));
    expect([...owner.held.keys()]).toEqual([`1/${whole}`]);
  });

  it('when its file cannot be removed, and is told', async () => {
    const files = new ForgetfulFiles();
    const owner = await Owner.of(files);
    files.failAt = (step) => (step === 'unlink' ? codeError('EPERM', 'not now') : undefined);
    const troubles: string[] = [];
    owner.log.onTrouble(({ says }) => troubles.push(says));
    owner.passTraffic(60);
    await owner.synced();
    await until(() => troubles.length > 0);
    expect(troubles[0]).toContain('EPERM');
    expect(owner.log.failed).toBeUndefined();
  });
});

function damage(files: ForgetfulFiles, segment: number, payload: Buffer): void {
  const bytes = files.bytesOf(logFile(segment));
  const at = bytes.indexOf(payload);
  expect(at).toBeGreaterThan(0);
  bytes[at + 10]! ^= 1;
}
