/** SIGTERM must end in exit 0 within 10 s, also when something closes too slowly. */
const EXIT_MS_MAX = 9_700;

/**
 * A process from its start to its end. It ends with one sentence on stderr and exit code 1 when `start` rejects, with 0 after
 * SIGTERM or SIGINT, also during the start (a second signal changes nothing); each time what was started is stopped, last
 * started first. A process that another one stops by its own word leaves signals alone (`heedsSignals: false`).
 */
export function runProcess(
  start: (life: ProcessLife) => Promise<void>,
  { heedsSignals = true }: { heedsSignals?: boolean } = {},
): void {
  const life = new ProcessLife();
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => heedsSignals && life.end(0));
  start(life).catch((error: Error) => life.end(1, error.message));
}

export class ProcessLife {
  private readonly steps: (() => Promise<void>)[] = [];
  private isEnding = false;

  /** What undoes the step of the start that was just done. */
  onStop(step: () => Promise<void>): void {
    this.steps.push(step);
  }

  /** The one line on stdout that says a process can be used: `tocsin ready api http=http://127.0.0.1:8080`. */
  announceReady(app: string | undefined, urls: Record<string, string>): void {
    const words = Object.entries(urls).map(([name, url]) => `${name}=${url}`);
    process.stdout.write(`${['tocsin ready', ...(app === undefined ? [] : [app]), ...words].join(' ')}\n`);
  }

  /** Stops everything and exits; `sentence` says why when it is not what was asked for. */
  end(exitCode: number, sentence?: string): void {
    if (sentence !== undefined) process.stderr.write(`${sentence}\n`);
    if (this.isEnding) return;
    this.isEnding = true;
    setTimeout(() => process.exit(exitCode), EXIT_MS_MAX).unref();
    void this.stop().then(() => process.exit(exitCode));
  }

  private async stop(): Promise<void> {
    for (const step of this.steps.splice(0).reverse()) {
      // One that cannot be stopped must not keep the others from it.
      await step().catch((error: Error) => process.stderr.write(`while stopping: ${error.message}\n`));
    }
  }
}
