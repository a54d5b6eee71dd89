import type { Settlement, WorkerStore } from '#dispatch';
import type { DatabaseWatch } from '../database-watch.js';

/** How long settlements wait for company, and how many one transaction takes. */
const GATHER_MS = 1;
const BATCH_MAX = 200;
/** Tries of a settlement that the database refuses while it answers. */
const REFUSALS_MAX = 3;
const RETRY_PAUSE_MS = 250;
/**
 * How long an outcome waits for a database that is away. Handing the delivery back at once would tell the person again as
 * soon as it answers; beyond this the delivery goes back, the claim has no outcome, and the repeat is marked.
 */
export const SETTLE_PATIENCE_MS = 30_000;

/** `away`: the database did not answer in time. `refused`: it answers, but will not take this settlement. */
export class NotSettledError extends Error {
  override readonly name = 'NotSettledError';

  constructor(
    readonly why: 'away' | 'refused',
    options: ErrorOptions,
  ) {
    super(`the outcome could not be stored: ${(options.cause as Error).message}`, options);
  }
}

interface Waiting {
  settlement: Settlement;
  since: number;
  refusals: number;
  resolve(): void;
  reject(error: NotSettledError): void;
}

/** Writes outcomes in batches, one transaction each, one at a time. Its queue is bounded by the attempts in flight. */
export class Settlements {
  private queue: Waiting[] = [];
  private isWriting = false;
  private deadline = Number.POSITIVE_INFINITY;

  constructor(
    private readonly store: Pick<WorkerStore, 'settle'>,
    private readonly database: DatabaseWatch,
  ) {}

  /** Resolves when the outcome is committed. Rejects with `NotSettledError`. */
  settle(settlement: Settlement): Promise<void> {
    return new Promise((resolve, reject) => {
      this.queue.push({ settlement, since: Date.now(), refusals: 0, resolve, reject });
      if (!this.isWriting) void this.write();
    });
  }

  /** Shutting down: patience ends at `instant`. */
  hurry(instant: number): void {
    this.deadline = instant;
  }

  private async write(): Promise<void> {
    this.isWriting = true;
    await pause(GATHER_MS);
    while (this.queue.length > 0) await this.writeBatch(this.queue.splice(0, BATCH_MAX));
    this.isWriting = false;
  }

  private async writeBatch(batch: Waiting[]): Promise<void> {
    try {
      await this.store.settle(batch.map(({ settlement }) => settlement));
      for (const waiting of batch) waiting.resolve();
    } catch (error) {
      const isThere = (await this.database.explain(error)) === 'answers';
      if (!isThere) return this.waitForDatabase(batch, error);
      // One of them may be at fault: the others must not suffer for it.
      if (batch.length > 1) for (const waiting of batch) await this.writeBatch([waiting]);
      else await this.refused(batch[0] as Waiting, error);
    }
  }

  private async waitForDatabase(batch: Waiting[], cause: unknown): Promise<void> {
    const now = Date.now();
    const isOver = ({ since }: Waiting) => now >= this.deadline || now - since >= SETTLE_PATIENCE_MS;
    for (const waiting of batch.filter(isOver)) waiting.reject(new NotSettledError('away', { cause }));
    this.queue.unshift(...batch.filter((waiting) => !isOver(waiting)));
    if (this.queue.length > 0) await pause(RETRY_PAUSE_MS);
  }

  private async refused(waiting: Waiting, cause: unknown): Promise<void> {
    waiting.refusals += 1;
    if (waiting.refusals >= REFUSALS_MAX) return waiting.reject(new NotSettledError('refused', { cause }));

    await pause(RETRY_PAUSE_MS);
    this.queue.push(waiting);
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
