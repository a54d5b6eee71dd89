import type { Latency, Load, Measured } from './load.js';
import { median } from './statistics.js';

/** What all rounds of one case measured. */
export interface Rounds {
  ours: Measured[];
  /** Undefined where RabbitMQ is not installed. */
  theirs: Measured[] | undefined;
  /** Our own figures for `Case.beside`. */
  beside: Measured[];
  disk: Latency;
}

/** A line of the table. `isMet` is undefined where there was nothing to compare with. */
export interface Row {
  what: string;
  ours: string;
  theirs: string;
  ratio: string;
  target: string;
  isMet: boolean | undefined;
}

export interface Case {
  name: string;
  load: Load;
  /** Another load of ours alone, run in the same rounds. */
  beside?: Load;
  rows(rounds: Rounds): Row[];
}

const STREAM: Load = {
  kind: 'stream',
  bodyBytes: 1_024,
  isPersistent: true,
  withConfirms: true,
  window: 1_000,
  prefetch: 300,
  ackEvery: 50,
  producers: 1,
  consumers: 1,
  queues: 1,
  isFanout: false,
  warmUpMs: 700,
  measureMs: 2_500,
  count: 0,
  perSecond: 0,
};

/** Beyond this p99 of the disk's own, a confirm's p99 has to be better than RabbitMQ's. */
const DISK_P99_FACTOR = 2;

const rateOf = ({ rate }: Measured) => rate!;

export const CASES: readonly Case[] = [
  {
    name: '1 KiB, window 1000, publish + consume',
    load: STREAM,
    rows: (rounds) => [rateRow('1 KiB, window 1000, publish + consume', rounds, rateOf, 4, 5)],
  },
  {
    name: '100 B, window 5000, publish + consume',
    load: { ...STREAM, bodyBytes: 100, window: 5_000 },
    rows: (rounds) => [rateRow('100 B, window 5000, publish + consume', rounds, rateOf, 5, 8)],
  },
  {
    name: '2 producers + 2 consumers, 1 KiB',
    load: { ...STREAM, producers: 2, consumers: 2 },
    rows: (rounds) => [rateRow('2 producers + 2 consumers, 1 KiB', rounds, rateOf, 4)],
  },
  {
    name: 'backlog of 150,000, 1 KiB: publish, drain',
    load: { ...STREAM, kind: 'backlog', count: 150_000 },
    rows: (rounds) => [
      rateRow('publish only, into a growing backlog, 1 KiB', rounds, ({ publishRate }) => publishRate!, 5),
      rateRow('drain of that backlog', rounds, ({ drainRate }) => drainRate!, 3),
    ],
  },
  {
    name: 'window 1, 1 KiB: confirm latency',
    load: { ...STREAM, kind: 'lone', window: 1, consumers: 0, count: 2_000 },
    rows: (rounds) => latencyRows('window 1: confirm', rounds, ({ confirm }) => confirm!),
  },
  {
    name: 'paced, 1,000 msg/s, 1 KiB: latency',
    load: { ...STREAM, kind: 'paced', perSecond: 1_000, ackEvery: 1, warmUpMs: 500, measureMs: 3_500 },
    rows: (rounds) => [
      ...latencyRows('1,000 msg/s: confirm', rounds, ({ confirm }) => confirm!),
      ...latencyRows('1,000 msg/s: end to end', rounds, ({ endToEnd }) => endToEnd!),
    ],
  },
  {
    name: '100 queues, 100 producers and consumers, window 100 each, 1 KiB',
    load: { ...STREAM, producers: 100, consumers: 100, queues: 100, window: 100 },
    beside: STREAM,
    rows: (rounds) => [
      rateRow('100 queues, 100 producers and consumers, window 100 each, 1 KiB', rounds, rateOf, 3),
      ownRow('... beside our own single queue', rounds, 0.7),
    ],
  },
  {
    name: 'fanout to 10 queues, 1 KiB',
    load: { ...STREAM, queues: 10, consumers: 10, isFanout: true },
    rows: (rounds) => [rateRow('fanout to 10 queues, 1 KiB (each message delivered 10 times)', rounds, rateOf, 3)],
  },
  {
    name: 'transient, no confirms, 1 KiB',
    load: { ...STREAM, isPersistent: false, withConfirms: false, window: 10_000 },
    rows: (rounds) => [rateRow('transient messages, no confirms, 1 KiB', rounds, rateOf, 2)],
  },
];

function rateRow(
  what: string,
  { ours, theirs }: Rounds,
  of: (measured: Measured) => number,
  atLeast: number,
  aimAt?: number,
): Row {
  const mine = median(ours.map(of));
  const target = `at least ${atLeast}x${aimAt === undefined ? '' : `, aim at ${aimAt}x`}`;
  if (theirs === undefined) return unrivalled(what, perSecond(mine), target);
  const other = median(theirs.map(of));
  const ratio = mine / other;
  return {
    what,
    ours: perSecond(mine),
    theirs: perSecond(other),
    ratio: ratio.toFixed(2),
    target,
    isMet: ratio >= atLeast,
  };
}

/** The case beside another one of ours. */
function ownRow(what: string, { ours, beside }: Rounds, atLeast: number): Row {
  const mine = median(ours.map(rateOf));
  const single = median(beside.map(rateOf));
  const ratio = mine / single;
  return {
    what,
    ours: perSecond(mine),
    theirs: `(ours: ${perSecond(single)})`,
    ratio: ratio.toFixed(2),
    target: `at least ${atLeast}x`,
    isMet: ratio >= atLeast,
  };
}

function latencyRows(what: string, { ours, theirs, disk }: Rounds, of: (measured: Measured) => Latency): Row[] {
  const at = (rounds: readonly Measured[], part: keyof Latency) => median(rounds.map((round) => of(round)[part]));
  const limit = DISK_P99_FACTOR * disk.p99;
  const targets = {
    p50: { text: 'lower', isMet: (mine: number, other: number) => mine < other },
    p99: {
      text: `lower, or at most ${DISK_P99_FACTOR}x the disk's p99 (${milliseconds(disk.p99)})`,
      isMet: (mine: number, other: number) => mine < other || mine <= limit,
    },
  };
  return (['p50', 'p99'] as const).map((part) => {
    const mine = at(ours, part);
    const target = targets[part];
    if (theirs === undefined) return unrivalled(`${what} ${part}`, milliseconds(mine), target.text);
    const other = at(theirs, part);
    return {
      what: `${what} ${part}`,
      ours: milliseconds(mine),
      theirs: milliseconds(other),
      ratio: (mine / other).toFixed(2),
      target: target.text,
      isMet: target.isMet(mine, other),
    };
  });
}

function unrivalled(what: string, ours: string, target: string): Row {
  return { what, ours, theirs: '', ratio: '', target, isMet: undefined };
}

function perSecond(rate: number): string {
  return rate >= 10_000 ? `${Math.round(rate / 1_000)}k msg/s` : `${(rate / 1_000).toFixed(1)}k msg/s`;
}

export function milliseconds(value: number): string {
  return `${value.toFixed(2)} ms`;
}
