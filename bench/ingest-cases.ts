import type { IngestLoad } from './ingest-load.js';
import { median, quantile } from './statistics.js';

/** What one round on one server came to. */
export interface IngestRound {
  /** Requests answered 2xx. */
  postsPerSecond: number;
  /** Alerts a second from the first post until the last was merged and stored by its dispatcher. */
  mergedPerSecond: number;
  /** From post to provider, ms. */
  latencies: number[];
  /** Bytes in memory at its end, of all processes. */
  resident: number;
}

export interface IngestCase {
  name: string;
  /** Without what names the run and the server. */
  load: Omit<IngestLoad, 'run' | 'authorization'>;
  /** Each round has alerts that the server does not know. */
  areNew: boolean;
  /** Waits until the receiver was told of every alert. */
  waitsForProvider: boolean;
  /** One round on servers that did nothing before. */
  isFresh?: boolean;
  rows: readonly IngestRow[];
}

export interface IngestRow {
  what: string;
  value(round: IngestRound): number;
  format(value: number): string;
  target: string;
  isMet(ours: number, theirs: number | undefined): boolean | undefined;
}

const SCALE = Number(process.env['TOCSIN_BENCH_SCALE'] ?? 1);
if (!(SCALE > 0))
  throw new Error(`TOCSIN_BENCH_SCALE must be a number above 0, not '${process.env['TOCSIN_BENCH_SCALE']}'`);

const P50_MS_MAX = 10;
const NEW_PER_SECOND_MIN = 2_000;
const BATCH = 100;
/** A known alert says when it began. A new one that said so would be told alone and at once by Alertmanager, once that is longer ago than group_wait. */
const STARTED_AGO_MS = 60_000;

const perSecond = (unit: string) => (value: number) => `${Math.round(value).toLocaleString('en')} ${unit}/s`;
const milliseconds = (value: number) => `${value.toFixed(1)} ms`;
const atLeastTheirs = (ours: number, theirs: number | undefined) => (theirs === undefined ? undefined : ours >= theirs);
const atPart = (part: number) => (round: IngestRound) => quantile(round.latencies, part);

export const CASES: readonly IngestCase[] = [
  {
    name: 'singles',
    load: {
      alerts: 1_000,
      perRequest: 1,
      requests: scaled(30_000),
      sockets: 64,
      group: 'batch',
      startedAgoMs: STARTED_AGO_MS,
    },
    areNew: false,
    waitsForProvider: false,
    rows: [
      {
        what: 'single posts accepted',
        value: ({ postsPerSecond }) => postsPerSecond,
        format: perSecond('posts'),
        target: "Alertmanager's",
        isMet: atLeastTheirs,
      },
    ],
  },
  {
    name: 'batches',
    load: {
      alerts: 100 * BATCH,
      perRequest: BATCH,
      requests: scaled(3_000),
      sockets: 8,
      group: 'batch',
      startedAgoMs: STARTED_AGO_MS,
    },
    areNew: false,
    waitsForProvider: false,
    rows: [
      {
        what: 'posts of 100 accepted',
        value: ({ postsPerSecond }) => postsPerSecond,
        format: perSecond('posts'),
        target: "Alertmanager's",
        isMet: atLeastTheirs,
      },
      {
        what: 'refreshes merged, without lag',
        value: ({ mergedPerSecond }) => mergedPerSecond,
        format: perSecond('alerts'),
        target: "Alertmanager's",
        isMet: atLeastTheirs,
      },
    ],
  },
  {
    name: 'new',
    load: { alerts: scaled(200) * BATCH, perRequest: BATCH, requests: scaled(200), sockets: 8, group: 'batch' },
    areNew: true,
    waitsForProvider: true,
    rows: [
      {
        what: 'new alerts merged and stored, without lag',
        value: ({ mergedPerSecond }) => mergedPerSecond,
        format: perSecond('alerts'),
        target: `${NEW_PER_SECOND_MIN.toLocaleString('en')}/s`,
        isMet: (ours) => ours >= NEW_PER_SECOND_MIN,
      },
    ],
  },
  {
    name: 'latency',
    load: { alerts: scaled(5_000), perRequest: 1, requests: scaled(5_000), sockets: 64, pace: 500, group: 'alone' },
    areNew: true,
    waitsForProvider: true,
    rows: [
      {
        what: 'post to provider at 500/s, p50',
        value: atPart(0.5),
        format: milliseconds,
        target: `${P50_MS_MAX} ms`,
        isMet: (ours) => ours <= P50_MS_MAX,
      },
      {
        what: 'post to provider at 500/s, p99',
        value: atPart(0.99),
        format: milliseconds,
        target: '',
        isMet: () => undefined,
      },
    ],
  },
  {
    name: 'memory',
    load: { alerts: scaled(320) * BATCH, perRequest: BATCH, requests: scaled(320), sockets: 8, group: 'batch' },
    areNew: true,
    isFresh: true,
    waitsForProvider: true,
    rows: [
      {
        what: `memory at ${(scaled(320) * BATCH).toLocaleString('en')} active alerts`,
        value: ({ resident }) => resident,
        format: (bytes) => `${Math.round(bytes / 2 ** 20)} MiB`,
        target: '',
        isMet: () => undefined,
      },
    ],
  },
];

/** One line of the table: medians of the rounds, the ratio ours / theirs. */
export function lineOf(
  row: IngestRow,
  ours: readonly IngestRound[],
  theirs: readonly IngestRound[] | undefined,
): string {
  const mine = median(ours.map(row.value));
  const other = theirs && median(theirs.map(row.value));
  const isMet = row.isMet(mine, other);
  const verdict = isMet === undefined ? '' : isMet ? 'met' : '**missed**';
  const peer = other === undefined ? ['', ''] : [row.format(other), (mine / other).toFixed(2)];
  return `| ${[row.what, row.format(mine), ...peer, row.target, verdict].join(' | ')} |`;
}

function scaled(count: number): number {
  return Math.max(1, Math.round(count * SCALE));
}
