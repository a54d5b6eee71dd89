/** SIGTERM must end in exit 0 within 10 s, also when something closes too slowly. */
const EXIT_MS_MAX = 9_700;

/**
 * Starts a process and sees it to its end: one sentence on stderr and exit code 1 when it cannot start, exit code 0 after
 * SIGTERM or SIGINT, a second signal changes nothing. `start` returns what undoes it, in the reverse order of the start.
 */
export function runProcess(start: (life: ProcessLife) => Promise<() => Promise<void>>): void {
  const life = new ProcessLife();
  start(life).then(
    (stop) => life.started(stop),
    (error: Error) => life.failed(error),
  );
}

export class ProcessLife {
  private stop: (() => Promise<void>) | undefined;
  private isEnding = false;
  private endsWith: number | undefined;

  /** The one line on stdout that says a process can be used: `tocsin ready api http=http://127.0.0.1:8080`. */
  announceReady(app: string | undefined, urls: Record<string, string>): void {
    const words = Object.entries(urls).map(([name, url]) => `${name}=${url}`);
    process.stdout.write(`${['tocsin ready', ...(app === undefined ? [] : [app]), ...words].join(' ')}\n`);
  }

  /** Ends the process for a reason no retry will mend. */
  end(exitCode: number, sentence?: string): void {
    if (sentence !== undefined) process.stderr.write(`${sentence}\n`);
    if (this.stop === undefined) this.endsWith = exitCode;
    else void this.stopAndExit(exitCode);
  }

  /** @internal */
  started(stop: () => Promise<void>): void {
    this.stop = stop;
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => void this.stopAndExit(0));
    if (this.endsWith !== undefined) void this.stopAndExit(this.endsWith);
  }

  /** @internal */
  failed(error: Error): void {
    process.stderr.write(`${error.message}\n`);
    process.exit(1);
  }

  private async stopAndExit(exitCode: number): Promise<void> {
    if (this.isEnding) return;
    this.isEnding = true;
    setTimeout(() => process.exit(exitCode), EXIT_MS_MAX).unref();
    try {
      await this.stop?.();
    } catch (error) {
      process.stderr.write(`stopping: ${(error as Error).message}\n`);
    }
    process.exit(exitCode);
  }
}
