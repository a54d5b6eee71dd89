import { randomFillSync } from 'node:crypto';
import { join } from 'node:path';
import { type FileLayer, isDiskFull, syncData, writeAt } from './file-layer.js';

/** Its name in the log's directory; no segment's. */
export const RESERVE_FILE = 'reserve';
/** How long until a reserve that found no room is tried again. */
const REFILL_MS = 1_000;
/** One write of it: what is appended meanwhile waits for no more than this. */
const PIECE_BYTES = 1024 * 1024;

/**
 * Disk space that is given up when the disk is full, so that acknowledgements can still be written and consumers drain the queues,
 * which gives more back. The file holds random bytes, since a file system may store zeros in no space at all.
 *
 *   filling ──▶ whole ──spend──▶ spent ──written again, and room for all of it──▶ filling
 *
 * `isLow` from the moment it is missed until it is whole again: then what is appended should be as little as possible.
 */
export class DiskReserve {
  private state: 'filling' | 'whole' | 'spent' | 'ended' = 'spent';
  private low = false;
  /** The log has written nothing since the disk was full. */
  private isStuck = false;
  private timer: NodeJS.Timeout | undefined;
  private working: Promise<void> = Promise.resolve();
  private readonly path: string;

  constructor(
    private readonly files: FileLayer,
    private readonly directory: string,
    private readonly bytes: number,
    private readonly onLow: (isLow: boolean) => void,
  ) {
    this.path = join(directory, RESERVE_FILE);
  }

  get isLow(): boolean {
    return this.low;
  }

  /** Makes it in the background, or finds it as an earlier run left it. */
  start(): void {
    this.refill();
  }

  /** The disk is full. Resolves once what was held is given up, with whether there was anything. */
  async spend(): Promise<boolean> {
    this.isStuck = true;
    if (this.state !== 'ended') this.state = 'spent';
    clearTimeout(this.timer);
    this.setLow(true);
    await this.working;
    return this.remove();
  }

  /** A write went through again. */
  noteWritten(): void {
    if (!this.isStuck) return;
    this.isStuck = false;
    this.refill();
  }

  async stop(): Promise<void> {
    this.state = 'ended';
    clearTimeout(this.timer);
    await this.working;
  }

  private refill(): void {
    if (this.state !== 'spent' || this.isStuck) return;
    this.state = 'filling';
    this.working = this.working.then(() => this.fill());
  }

  private async fill(): Promise<void> {
    const isWhole = await this.make().catch(() => false); // whatever stands in its way: low until it can be made
    if (this.state !== 'filling') return;
    this.state = isWhole ? 'whole' : 'spent';
    this.setLow(!isWhole);
    if (isWhole) return;
    await this.remove();
    this.timer = setTimeout(() => this.refill(), REFILL_MS);
    this.timer.unref();
  }

  private async make(): Promise<boolean> {
    if (this.bytes === 0) return true;
    if ((await this.sizeThere()) === this.bytes) return true;
    // With a margin, so that making it does not fill the disk under the log's feet.
    if ((await this.files.freeBytes(this.directory)) < this.bytes * 1.5) return false;

    const file = await this.files.open(this.path, 'create');
    try {
      const piece = randomFillSync(Buffer.allocUnsafe(Math.min(PIECE_BYTES, this.bytes)));
      for (let at = 0; at < this.bytes && this.state === 'filling'; at += piece.length) {
        await writeAt(this.files, file, [piece.subarray(0, Math.min(piece.length, this.bytes - at))], at);
        await syncData(this.files, file);
      }
      return this.state === 'filling';
    } finally {
      await this.files.close(file);
    }
  }

  private async sizeThere(): Promise<number> {
    const names = await this.files.list(this.directory);
    if (!names.includes(RESERVE_FILE)) return 0;
    const file = await this.files.open(this.path, 'existing');
    try {
      return await this.files.size(file);
    } finally {
      await this.files.close(file);
    }
  }

  /** Emptied first where a full file system has no room to change a directory. */
  private async remove(): Promise<boolean> {
    if ((await this.sizeThere().catch(() => 0)) === 0) return false;
    try {
      await this.files.unlink(this.path);
    } catch (error) {
      if (!isDiskFull(error)) return false;
      return this.empty();
    }
    return true;
  }

  private async empty(): Promise<boolean> {
    try {
      const file = await this.files.open(this.path, 'existing');
      await this.files.truncate(file, 0).finally(() => this.files.close(file));
      return true;
    } catch {
      return false; // no way to give anything up: the write is tried again when somebody else made room
    }
  }

  private setLow(isLow: boolean): void {
    if (this.low === isLow) return;
    this.low = isLow;
    this.onLow(isLow);
  }
}
