import type { ClaimAnswer, Settlement, WorkerStore } from '#dispatch';
import { claimAll, type TimedRequest } from './claim.js';
import { type Database, isDatabaseAway } from './database.js';
import { settleAll } from './settle.js';
import type { Sql } from './sql.js';
import type { TimelineWriter } from './timeline.js';

/** Claims and settlements of one transaction. */
const ITEMS_MAX = 500;

/** Claims and settles; calls that come while a transaction runs share the next one. */
export function createWorkerStore(database: Database, timeline: TimelineWriter): WorkerStore {
  const commits = new SharedCommits(database, timeline);
  return {
    claim: (requests, now) => commits.claim(requests.map((request) => ({ request, now }))),
    settle: (settlements) => commits.settle(settlements),
  };
}

interface Call {
  claims: readonly TimedRequest[];
  settlements: readonly Settlement[];
  onCommitted: (answers: ClaimAnswer[]) => void;
  onFailed: (error: unknown) => void;
}

/** One sync of the disk serves every call that waits for it. As many calls wait as the workers hold deliveries. */
class SharedCommits {
  private waiting: Call[] = [];
  private isRunning = false;

  constructor(
    private readonly database: Database,
    private readonly timeline: TimelineWriter,
  ) {}

  claim(claims: readonly TimedRequest[]): Promise<ClaimAnswer[]> {
    return this.call(claims, []);
  }

  async settle(settlements: readonly Settlement[]): Promise<void> {
    await this.call([], settlements);
  }

  private call(claims: readonly TimedRequest[], settlements: readonly Settlement[]): Promise<ClaimAnswer[]> {
    return new Promise((onCommitted, onFailed) => {
      this.waiting.push({ claims, settlements, onCommitted, onFailed });
      if (!this.isRunning) void this.run();
    });
  }

  private async run(): Promise<void> {
    this.isRunning = true;
    // What is called in the same breath comes along.
    await undefined;
    while (this.waiting.length > 0) await this.commit(this.take());
    this.isRunning = false;
  }

  private take(): Call[] {
    let items = 0;
    const tooMany = this.waiting.findIndex(({ claims, settlements }, index) => {
      items += claims.length + settlements.length;
      return index > 0 && items > ITEMS_MAX;
    });
    return this.waiting.splice(0, tooMany === -1 ? this.waiting.length : tooMany);
  }

  private async commit(calls: readonly Call[]): Promise<void> {
    try {
      const answers = await this.database.batch((sql) => this.write(sql, calls));
      let from = 0;
      for (const { claims, onCommitted } of calls) {
        onCommitted(answers.slice(from, from + claims.length));
        from += claims.length;
      }
    } catch (error) {
      // The fault of one call is not that of the others.
      const isShared = calls.length === 1 || isDatabaseAway(error);
      for (const call of calls) {
        if (isShared) call.onFailed(error);
        else await this.commit([call]);
      }
    }
  }

  /** Settlements first: they make room. */
  private async write(sql: Sql, calls: readonly Call[]): Promise<ClaimAnswer[]> {
    await settleAll(
      sql,
      this.timeline,
      calls.flatMap(({ settlements }) => settlements),
    );
    return claimAll(
      sql,
      this.timeline,
      calls.flatMap(({ claims }) => claims),
    );
  }
}
