import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export interface Figures {
  passed: number;
  failed: number;
  skipped: number;
}

/** A line of what `npm run test:conformance` prints. */
export interface SuiteFigures {
  name: string;
  ours: Figures;
  /** Dialogues among the passed ones in which we answer otherwise, as docs/compatibility.md says. */
  declared: number;
  rabbitmq: Figures;
}

export interface Report {
  /** Whether RabbitMQ was asked, or its figures are those of the record. */
  rabbitmq: 'asked' | 'recorded';
  suites: SuiteFigures[];
}

export function figuresOf(outcomes: readonly ('passed' | 'failed' | 'skipped')[]): Figures {
  const count = (wanted: string) => outcomes.filter((each) => each === wanted).length;
  return { passed: count('passed'), failed: count('failed'), skipped: count('skipped') };
}

const CLIENT_FIGURES = join(import.meta.dirname, 'record', 'clients.json');

/** RabbitMQ's figures with each third-party client, by suite. */
export function loadClientFigures(): { [suite: string]: Figures } {
  return JSON.parse(readFileSync(CLIENT_FIGURES, 'utf8')) as { [suite: string]: Figures };
}

export function saveClientFigures(figures: { [suite: string]: Figures }): void {
  writeFileSync(CLIENT_FIGURES, `${JSON.stringify(figures, null, 2)}\n`);
}
