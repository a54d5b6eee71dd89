import type { MessagingLogger } from '#messaging';

const PING_TIMEOUT_MS = 2_000;
const PROBE_DELAY_MS_MIN = 250;
const PROBE_DELAY_MS_MAX = 5_000;

export interface DatabaseWatchOptions {
  /** Rejects when the database does not answer, or answers and takes no writes: then no outcome can be stored, and it is as good as away. */
  ping(): Promise<unknown>;
  logger: MessagingLogger;
}

/**
 * Knows whether the database answers. A failed statement is explained by asking it; while it is away it is probed with
 * back-off, and who subscribed is told to stop taking work and, later, to take it again. Stopped by its owner.
 */
export class DatabaseWatch {
  private state: 'there' | 'away' | 'stopped' = 'there';
  private readonly listeners: { away(): void; back(): void }[] = [];
  private timer: NodeJS.Timeout | undefined;

  constructor(private readonly options: DatabaseWatchOptions) {}

  onChange(listener: { away(): void; back(): void }): void {
    this.listeners.push(listener);
  }

  /** `answers`: the failure lies in the statement. `away`: nobody there; the pause has begun. */
  async explain(error: unknown): Promise<'answers' | 'away'> {
    if (this.state !== 'away' && (await this.answers())) return 'answers';

    this.goAway(error);
    return 'away';
  }

  stop(): void {
    this.state = 'stopped';
    clearTimeout(this.timer);
  }

  private goAway(error: unknown): void {
    if (this.state !== 'there') return;

    this.state = 'away';
    this.options.logger.error({ error: (error as Error).message }, 'the database does not answer; nothing is taken');
    for (const listener of this.listeners) listener.away();
    this.probeAfter(PROBE_DELAY_MS_MIN);
  }

  private probeAfter(delayMs: number): void {
    this.timer = setTimeout(async () => {
      const answers = await this.answers();
      if (this.state !== 'away') return;
      if (!answers) return this.probeAfter(Math.min(delayMs * 2, PROBE_DELAY_MS_MAX));

      this.state = 'there';
      this.options.logger.info({}, 'the database answers again');
      for (const listener of this.listeners) listener.back();
    }, delayMs);
  }

  private async answers(): Promise<boolean> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<boolean>((resolve) => {
      timer = setTimeout(() => resolve(false), PING_TIMEOUT_MS);
    });
    const answer = this.options.ping().then(
      () => true,
      () => false,
    );
    return Promise.race([answer, late]).finally(() => clearTimeout(timer));
  }
}
