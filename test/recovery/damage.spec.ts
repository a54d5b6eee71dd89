import { cp, open, readdir, readFile, stat, truncate } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { expect, it } from '@jest/globals';
import { type ConfirmChannel, type ConsumeMessage, connect } from 'amqplib';
import { newFolder, removeFolder, type Service, startService, waitFor } from '#testing';
import { killRounds, Random } from './random.js';

const CASES = killRounds(16);
const QUEUES = ['one', 'two', 'copy.1', 'copy.2'] as const;
/** Each start begins a new segment, so there are as many sealed ones, and one that is not. */
const SESSIONS = 4;
const MESSAGES_PER_SESSION = 120;
/** In the first session: enough to fill a segment, which then stays where it is. */
const LARGE_MESSAGES = 75;
const LARGE_BODY_BYTES = 1_000_000;
/** What precedes a body in its record: header, placements, properties. */
const RECORD_HEAD_BYTES_MAX = 256;
/** Headers, definitions and the first records. */
const BEGINNING_BYTES = 12_000;
const DRAIN_MS_MAX = 60_000;
const QUIET_MS_MAX = 30_000;
/** A record that says that all before it is on disk, as docs/durability.md draws it: its length, and its kind in the tenth byte. */
const SYNCED_RECORD_BYTES = 24;
const SYNCED_KIND = 7;

it(
  'starts with damaged segment files, loses no more than was hit, and says what',
  async () => {
    const random = new Random();
    console.log(`TOCSIN_SEED=${random.seed}`);
    const stock = await stockUp(random);
    const figures = { cases: CASES, lost: 0, rescued: 0, returned: 0, silent: 0 };
    const broken: string[] = [];
    for (let index = 0; index < CASES; index++) {
      const folder = await newFolder();
      await cp(join(stock.folder, 'data'), join(folder, 'data'), { recursive: true });
      const damage = await hit(join(folder, 'data', 'broker'), random);
      const seen = await drainAfterStart(folder);
      const problems = judge(stock, damage, seen, figures);
      if (problems.length > 0) broken.push(`${JSON.stringify(damage.what)}: ${problems.join('; ')}\n${seen.said}`);
      await removeFolder(folder);
    }
    console.log(JSON.stringify(figures));
    await removeFolder(stock.folder);
    expect(broken).toEqual([]);
  },
  120_000 + CASES * 20_000,
);

interface Stock {
  folder: string;
  /** `queue/id` of what must be there, and of what was acknowledged. */
  live: Set<string>;
  acked: Set<string>;
}

/** A stopped broker with several segments: in each live messages, acknowledged ones, and acknowledgements of earlier segments. */
async function stockUp(random: Random): Promise<Stock> {
  const folder = await newFolder();
  const stock: Stock = { folder, live: new Set(), acked: new Set() };
  for (let session = 0; session < SESSIONS; session++) {
    const broker = await startService({ app: 'broker', folder });
    const model = await connect(broker.amqp);
    const channel = await model.createConfirmChannel();
    await declareAll(channel);
    for (let index = 0; index < MESSAGES_PER_SESSION; index++) {
      const id = `message-${session}-${String(index).padStart(4, '0')}`;
      const queue = random.pick(['one', 'two', 'copies']);
      const isLarge = session === 0 && index < LARGE_MESSAGES;
      const body = bodyOf(id, isLarge ? LARGE_BODY_BYTES : random.between(30, random.chance(0.1) ? 90_000 : 3_000));
      const exchange = queue === 'copies' ? 'damage.copies' : '';
      channel.publish(exchange, exchange === '' ? queue : '', body, { persistent: true, messageId: id });
      for (const each of queue === 'copies' ? ['copy.1', 'copy.2'] : [queue]) stock.live.add(`${each}/${id}`);
      if (index % 20 === 0) await channel.waitForConfirms();
    }
    for (const queue of QUEUES) await ackSome(channel, queue, 12, stock);
    // Behind all acknowledgements: when it is confirmed they are on disk.
    const last = `message-${session}-9999`;
    channel.sendToQueue('one', bodyOf(last, 100), { persistent: true, messageId: last });
    stock.live.add(`one/${last}`);
    await channel.waitForConfirms();
    // The client writes the close of a connection past what its channels still have to say.
    await channel.close();
    await model.close();
    if (random.chance(0.5)) await broker.stop();
    else {
      await untilEndIsMarked(join(folder, 'data', 'broker'));
      await broker.kill();
    }
  }
  return stock;
}

/** A kill leaves the end of the log as it is; after a moment of quiet it says that it is complete. */
async function untilEndIsMarked(directory: string): Promise<void> {
  const isMarked = async () => {
    const end = await endOfLog(directory);
    return end.readUInt32LE() === SYNCED_RECORD_BYTES && end[9] === SYNCED_KIND;
  };
  await waitFor(isMarked, { timeoutMs: QUIET_MS_MAX, what: 'the log to say that it is complete' });
}

/** The last bytes of its newest file that holds any. */
async function endOfLog(directory: string): Promise<Buffer> {
  const names = (await readdir(directory)).filter((name) => name.endsWith('.log')).sort();
  for (const name of names.reverse()) {
    const bytes = await readFile(join(directory, name));
    if (bytes.length > 0) return bytes.subarray(-SYNCED_RECORD_BYTES);
  }
  throw new Error(`no file of the log in ${directory} holds anything`);
}

async function ackSome(channel: ConfirmChannel, queue: string, count: number, stock: Stock): Promise<void> {
  for (let index = 0; index < count; index++) {
    const message = await channel.get(queue);
    if (message === false) return;
    const name = `${queue}/${message.properties.messageId}`;
    channel.ack(message);
    stock.live.delete(name);
    stock.acked.add(name);
  }
}

interface Damage {
  what: Record<string, unknown>;
  file: string;
  /** Bytes of the file that are not what they were. */
  from: number;
  to: number;
  /** Messages whose record it touched. */
  touched: Set<string>;
  /** Nothing but the body of one message was hit. */
  isInsideBody: boolean;
  /** Of the newest file, which then looks as if power had been lost before the last sync. */
  isEnd: boolean;
}

async function hit(directory: string, random: Random): Promise<Damage> {
  const names = (await readdir(directory)).filter((name) => name.endsWith('.log')).sort();
  const sizes = await Promise.all(names.map(async (name) => (await stat(join(directory, name))).size));
  const file = join(directory, random.pick(names.filter((_, index) => sizes[index]! > 0)));
  const before = await readFile(file);
  const { from, to, how } = await ruin(file, before.length, random);
  const records = recordsIn(before);
  const touched = records.filter((record) => from < record.to && to > record.from - RECORD_HEAD_BYTES_MAX);
  const isInsideBody = touched.some((record) => from >= record.from && to <= record.to);
  const what = { how, file: basename(file), from, to, of: before.length, touched: touched.map(({ id }) => id) };
  const isEnd = to === before.length && basename(file) === names.findLast((_, index) => sizes[index]! > 0);
  return { what, file: basename(file), from, to, touched: new Set(touched.map(({ id }) => id)), isInsideBody, isEnd };
}

async function ruin(file: string, size: number, random: Random): Promise<{ from: number; to: number; how: string }> {
  const how = random.pick(['flip', 'flip', 'flip', 'zero', 'zero', 'noise', 'truncate', 'zero-tail', 'first-page']);
  // Also where headers and definitions lie, which take little of a file and mean much.
  const at = random.between(0, Math.min(size, random.chance(0.3) ? BEGINNING_BYTES : size) - 1);
  switch (how) {
    case 'flip':
      await overwrite(file, at, 1, (byte) => byte ^ (1 << random.between(0, 7)));
      return { from: at, to: at + 1, how };
    case 'zero':
    case 'noise': {
      const to = Math.min(size, at + random.between(1, 6_000));
      await overwrite(file, at, to - at, how === 'zero' ? () => 0 : () => random.between(0, 255));
      return { from: at, to, how };
    }
    case 'first-page':
      await overwrite(file, 0, Math.min(size, 4_096), () => 0);
      return { from: 0, to: Math.min(size, 4_096), how };
    case 'zero-tail':
      await overwrite(file, at, size - at, () => 0);
      return { from: at, to: size, how };
    default:
      await truncate(file, at);
      return { from: at, to: size, how };
  }
}

async function overwrite(file: string, at: number, length: number, change: (byte: number) => number): Promise<void> {
  const handle = await open(file, 'r+');
  const bytes = Buffer.alloc(length);
  await handle.read(bytes, 0, length, at);
  await handle.write(bytes.map(change), 0, length, at);
  await handle.close();
}

interface Body {
  id: string;
  from: number;
  to: number;
}

/** Bodies found by their text, without a word of what the log says of itself. */
function recordsIn(bytes: Buffer): Body[] {
  const text = bytes.toString('latin1');
  return [...text.matchAll(/<(message-\d-\d{4}) (\d+)>/g)].map((match) => ({
    id: match[1]!,
    from: match.index,
    to: match.index + Number(match[2]),
  }));
}

interface Seen {
  delivered: Set<string>;
  /** Ids of what is kept for a person, because the definition of its queue was hit. */
  rescued: Set<string>;
  changed: string[];
  said: string;
  /** `file at byte offset` of each finding in the recovery report, and the sum of the counters of findings. */
  reported: Set<string>;
  counted: number;
}

async function drainAfterStart(folder: string): Promise<Seen> {
  const broker: Service = await startService({ app: 'broker', folder });
  const seen: Seen = {
    delivered: new Set(),
    rescued: new Set(),
    changed: [],
    said: '',
    reported: new Set(),
    counted: 0,
  };
  const model = await connect(broker.amqp);
  const channel = await model.createConfirmChannel();
  // What any client does at its start.
  await declareAll(channel);
  const drained = QUEUES.map(
    (queue) =>
      new Promise<void>((resolve, reject) => {
        const tooLate = () => reject(new Error(`queue '${queue}' was not drained:\n${broker.output()}`));
        const timer = setTimeout(tooLate, DRAIN_MS_MAX);
        const onMessage = (message: ConsumeMessage | null) => {
          if (message === null) return;
          channel.ack(message);
          const id = String(message.properties.messageId);
          if (id === 'last') {
            clearTimeout(timer);
            resolve();
            return;
          }
          seen.delivered.add(`${queue}/${id}`);
          if (!message.content.equals(bodyOf(id, message.content.length))) seen.changed.push(`${queue}/${id}`);
        };
        channel.consume(queue, onMessage).catch(reject);
        channel.sendToQueue(queue, Buffer.from('last'), { messageId: 'last' });
      }),
  );
  await Promise.all(drained);
  for (const queue of await rescueQueues(broker)) {
    for (let message = await channel.get(queue); message !== false; message = await channel.get(queue)) {
      seen.rescued.add(String(message.properties.messageId));
    }
  }
  await channel.close();
  await model.close();
  await readReport(broker, seen);
  const exit = await broker.stop();
  seen.said = broker.output();
  if (exit !== 0) throw new Error(`the broker ended with ${exit}:\n${seen.said}`);
  return seen;
}

interface Report {
  findings: { file: string; offset: number; action: string }[];
}

async function readReport(broker: Service, seen: Seen): Promise<void> {
  const { findings } = await askManagement<Report>(broker, 'recovery');
  for (const { file, offset } of findings) seen.reported.add(`${file} at byte ${offset}`);
  const metrics = await (await fetch(`${broker.management}/metrics`)).text();
  for (const [, count] of metrics.matchAll(/^tocsin_recovery_findings_total\{.*\} (\d+)$/gm))
    seen.counted += Number(count);
}

async function askManagement<Answer>(broker: Service, page: string): Promise<Answer> {
  const guest = `Basic ${Buffer.from('guest:guest').toString('base64')}`;
  const response = await fetch(`${broker.management}/api/${page}`, { headers: { authorization: guest } });
  return (await response.json()) as Answer;
}

async function rescueQueues(broker: Service): Promise<string[]> {
  const queues = await askManagement<{ name: string }[]>(broker, 'queues');
  return queues.map(({ name }) => name).filter((name) => name.startsWith('damaged.'));
}

interface Figures {
  lost: number;
  rescued: number;
  returned: number;
  silent: number;
}

function judge(stock: Stock, damage: Damage, seen: Seen, figures: Figures): string[] {
  const problems: string[] = [];
  const idOf = (name: string) => name.slice(name.indexOf('/') + 1);
  const lost = [...stock.live].filter((name) => !seen.delivered.has(name) && !seen.rescued.has(idOf(name)));
  const unhit = lost.filter((name) => !damage.touched.has(idOf(name)));
  if (unhit.length > 0) problems.push(`${unhit.length} lost that were not hit: ${unhit.slice(0, 5).join(' ')}`);
  const returned = [...stock.acked].filter((name) => seen.delivered.has(name));
  if (returned.length > 0 && damage.isInsideBody) {
    problems.push(`${returned.length} acknowledged ones returned although only a body was hit`);
  }
  if (seen.changed.length > 0) problems.push(`delivered with a changed body: ${seen.changed.join(' ')}`);
  const isSaid = seen.said.includes(damage.file) || seen.said.includes('damaged');
  if (lost.length + returned.length > 0 && !isSaid && !damage.isEnd) problems.push('the log says nothing of the loss');
  const said = [...seen.said.matchAll(/(\d{10}\.log at byte \d+): /g)].map(([, place]) => place!);
  const unreported = said.filter((place) => !seen.reported.has(place));
  if (unreported.length > 0) problems.push(`logged, but not in the recovery report: ${unreported.join(', ')}`);
  if (said.length !== seen.counted)
    problems.push(`${said.length} findings logged, ${seen.counted} counted in /metrics`);
  figures.lost += lost.length;
  figures.rescued += seen.rescued.size;
  figures.returned += returned.length;
  if (!isSaid) figures.silent += 1;
  return problems;
}

async function declareAll(channel: ConfirmChannel): Promise<void> {
  await channel.assertExchange('damage.copies', 'fanout', { durable: true });
  for (const queue of QUEUES) await channel.assertQueue(queue, { durable: true });
  for (const queue of ['copy.1', 'copy.2']) await channel.bindQueue(queue, 'damage.copies', '');
}

/** Begins with its id and size, and the rest follows from the id. */
function bodyOf(id: string, size: number): Buffer {
  const head = `<${id} ${size}>`;
  return Buffer.concat([Buffer.from(head), Buffer.alloc(Math.max(0, size - head.length), id)]).subarray(0, size);
}
