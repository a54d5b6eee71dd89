/** Throws, rejects or takes too long: not healthy. */
export type HealthCheck = (signal: AbortSignal) => void | Promise<void>;

export interface HealthReport {
  isHealthy: boolean;
  checks: { name: string; isHealthy: boolean; detail?: string; durationMs: number }[];
}

interface NamedCheck {
  name: string;
  check: HealthCheck;
  timeLimitMs: number;
}

const TIME_LIMIT_MS = 2_000;

/** Named checks of one process. Alive (`/healthz`): it can still do its work without a restart. Ready (`/readyz`): it can take work now. */
export class Health {
  private readonly alive: NamedCheck[] = [];
  private readonly ready: NamedCheck[] = [];

  addAlive(name: string, check: HealthCheck, timeLimitMs = TIME_LIMIT_MS): void {
    this.alive.push({ name, check, timeLimitMs });
  }

  addReady(name: string, check: HealthCheck, timeLimitMs = TIME_LIMIT_MS): void {
    this.ready.push({ name, check, timeLimitMs });
  }

  checkAlive(): Promise<HealthReport> {
    return run(this.alive);
  }

  /** Ready includes alive. */
  checkReady(): Promise<HealthReport> {
    return run([...this.alive, ...this.ready]);
  }
}

async function run(checks: readonly NamedCheck[]): Promise<HealthReport> {
  const results = await Promise.all(checks.map(runOne));
  return { isHealthy: results.every(({ isHealthy }) => isHealthy), checks: results };
}

async function runOne({ name, check, timeLimitMs }: NamedCheck): Promise<HealthReport['checks'][number]> {
  const startedAt = performance.now();
  const elapsed = () => Math.round(performance.now() - startedAt);
  const limit = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const timedOut = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${timeLimitMs} ms`)), timeLimitMs);
  });
  try {
    await Promise.race([Promise.resolve(check(limit.signal)), timedOut]);
    return { name, isHealthy: true, durationMs: elapsed() };
  } catch (error) {
    return {
      name,
      isHealthy: false,
      detail: error instanceof Error ? error.message : String(error),
      durationMs: elapsed(),
    };
  } finally {
    clearTimeout(timer);
    limit.abort();
  }
}
