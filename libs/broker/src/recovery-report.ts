import type { Finding, RecoveryAction, RecoveryReport } from '#segment-log';

/** Findings kept; further ones are counted only. */
const FINDINGS_MAX = 1000;

/** Something wrong with the files, and what was done about it. */
export interface RecoveryFinding extends Finding {
  action: RecoveryAction;
  /** `start`: recovery met it. `running`: a later read or removal did. */
  found: 'start' | 'running';
}

export interface RecoverySummary {
  /** Of the log's recovery at the start. */
  durationMs: number;
  segments: number;
  messages: number;
  /** Bytes of records lost that had been, or may have been, on disk for certain. */
  bytesLost: number;
  /** Bytes cut from the end, of which nobody was promised anything. */
  bytesCut: number;
  findingsTotal: number;
  /** How many of each kind, by the letter of the recovery table; the sum may be less than the total when there were very many at the start. */
  counts: { letter: Finding['letter']; action: RecoveryAction; count: number }[];
  /** The first of them. */
  findings: readonly RecoveryFinding[];
}

/** What was found wrong since the start, and during it: for the log line, the metrics and the management API. */
export class RecoveryFindings {
  readonly #findings: RecoveryFinding[] = [];
  readonly #counts = new Map<Finding['letter'], { letter: Finding['letter']; action: RecoveryAction; count: number }>();
  #total: number;

  constructor(
    private readonly start: RecoveryReport,
    private readonly actionOf: (letter: Finding['letter']) => RecoveryAction,
  ) {
    for (const finding of start.findings) this.#add(finding, 'start');
    this.#total = start.findingsTotal;
  }

  note(finding: Finding): void {
    this.#add(finding, 'running');
    this.#total++;
  }

  get summary(): RecoverySummary {
    const { durationMs, segments, placements, bytesLost, bytesCut } = this.start;
    return {
      durationMs,
      segments,
      messages: placements,
      bytesLost,
      bytesCut,
      findingsTotal: this.#total,
      counts: [...this.#counts.values()],
      findings: this.#findings,
    };
  }

  #add(finding: Finding, found: RecoveryFinding['found']): void {
    const { letter } = finding;
    const action = this.actionOf(letter);
    const counted = this.#counts.get(letter);
    if (counted === undefined) this.#counts.set(letter, { letter, action, count: 1 });
    else counted.count++;
    if (this.#findings.length < FINDINGS_MAX) this.#findings.push({ ...finding, action, found });
  }
}
