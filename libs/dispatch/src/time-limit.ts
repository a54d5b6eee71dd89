/**
 * Aborts when `parent` does or when `ms` have passed, whichever comes first. To be released when its work is done: `AbortSignal.timeout` and
 * `AbortSignal.any` would keep a timer and what it holds for every send of the last seconds.
 */
export class TimeLimit {
  private readonly controller = new AbortController();
  private readonly timer: NodeJS.Timeout;
  private isUp = false;

  constructor(
    private readonly parent: AbortSignal,
    ms: number,
  ) {
    this.timer = setTimeout(() => {
      this.isUp = true;
      this.controller.abort(new DOMException('the time is up', 'TimeoutError'));
    }, ms);
    this.timer.unref();
    if (parent.aborted) this.follow();
    else parent.addEventListener('abort', this.follow);
  }

  get signal(): AbortSignal {
    return this.controller.signal;
  }

  /** The time was up, and the parent had not aborted before. */
  get hasPassed(): boolean {
    return this.isUp;
  }

  /** From here on nothing aborts it. */
  release(): void {
    clearTimeout(this.timer);
    this.parent.removeEventListener('abort', this.follow);
  }

  private readonly follow = (): void => {
    this.release();
    this.controller.abort(this.parent.reason);
  };
}
