import { statfs } from 'node:fs/promises';
import { totalmem } from 'node:os';
import type { BrokerConfiguration } from '#config';

const CHECK_MS = 2_000;

export interface Resources {
  memoryBytes(): number;
  diskFreeBytes(): Promise<number>;
  /** The log found the disk full and has not yet all the room it wants. */
  isLogLow(): boolean;
}

/** Where alarms begin: RabbitMQ's vm_memory_high_watermark and disk_free_limit. */
export interface Watermarks {
  memoryBytesMax: number;
  diskFreeBytesMin: number;
}

/** What publishers are told: "low on memory", "low on disk", or both joined by " & ", as RabbitMQ words it. */
export interface AlarmBell {
  raiseAlarm(reason: string): void;
  clearAlarm(): void;
}

export function resourcesOf(dataDirectory: string, isLogLow: () => boolean): Resources {
  return {
    isLogLow,
    memoryBytes: () => process.memoryUsage.rss(),
    async diskFreeBytes() {
      const { bavail, bsize } = await statfs(dataDirectory);
      return bavail * bsize;
    },
  };
}

/** @param shareMax of the machine's memory, unless the configuration says otherwise */
export function watermarksOf(
  { vmMemoryHighWatermark, diskFreeLimitBytes }: BrokerConfiguration,
  shareMax: number,
): Watermarks {
  const memory = vmMemoryHighWatermark ?? { share: shareMax };
  return {
    memoryBytesMax: 'bytes' in memory ? memory.bytes : totalmem() * memory.share,
    diskFreeBytesMin: diskFreeLimitBytes,
  };
}

/** Looks at memory and disk every two seconds, and when the log says so, and rings when one runs low; publishers go on when all is well again. */
export class AlarmWatch {
  private timer: NodeJS.Timeout | undefined;
  private reason = '';

  constructor(
    private readonly resources: Resources,
    private watermarks: Watermarks,
    private readonly bell: AlarmBell,
    private readonly report: (text: string) => void,
  ) {}

  /** The first look is taken when it resolves. */
  async start(): Promise<void> {
    this.timer = setInterval(() => void this.look(), CHECK_MS);
    this.timer.unref();
    await this.look();
  }

  stop(): void {
    clearInterval(this.timer);
  }

  /** Holds from the next look on, which is taken at once. */
  setWatermarks(watermarks: Watermarks): void {
    this.watermarks = watermarks;
    void this.look();
  }

  /** One look; the timer calls it, and the log. */
  async look(): Promise<void> {
    const reason = await this.reasonNow();
    if (reason === this.reason) return;
    this.reason = reason;
    if (reason === '') {
      this.report('memory and disk suffice again: publishers go on');
      this.bell.clearAlarm();
    } else {
      this.report(`${reason}: publishers must wait`);
      this.bell.raiseAlarm(reason);
    }
  }

  private async reasonNow(): Promise<string> {
    const { resources, watermarks } = this;
    const reasons: string[] = [];
    if (resources.memoryBytes() > watermarks.memoryBytesMax) reasons.push('low on memory');
    // A folder that cannot be asked holds no room to count on.
    const diskFreeBytes = await resources.diskFreeBytes().catch(() => 0);
    if (diskFreeBytes < watermarks.diskFreeBytesMin || resources.isLogLow()) reasons.push('low on disk');
    return reasons.join(' & ');
  }
}
