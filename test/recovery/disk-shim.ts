import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { type FileHandle, open, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { waitFor } from '#testing';

const SOURCE = join(import.meta.dirname, 'disk-shim.c');
const CONTROL_BYTES = 128;
/** Where the counters begin: 32 bits each, in the order of `STEPS`. */
const HITS_AT = 16;
/** Seconds that the wall clock is ahead, 64 bits. */
const CLOCK_AT = 80;

/** In the order of the shim's `enum step`. */
export const STEPS = ['write', 'sync', 'create', 'unlink', 'rename', 'truncate'] as const;
export type DiskStep = (typeof STEPS)[number];

/** `short`: half of what is asked for is written, until a rest of a few bytes finds the disk full. */
export type DiskFault = 'ENOSPC' | 'EIO' | 'short';
const FAULT_NUMBERS: Record<DiskFault, number> = { ENOSPC: 28, EIO: 5, short: 11 };

const isLinux = process.platform === 'linux';

/** Whether there is what the shim is compiled with; if not, the line that a skipped test leaves is written. */
export function hasCompiler(): boolean {
  if (isLinux && (existsSync('/usr/bin/cc') || existsSync('/usr/bin/gcc'))) return true;
  const sentence = 'needs Linux and the Debian packages gcc and libc6-dev (/usr/bin/cc is missing)';
  if (process.env['TOCSIN_REQUIRE_ALL'] === '1') throw new Error(sentence);
  process.stderr.write(`skipped: ${sentence}\n`);
  return false;
}

/** The disk below one broker's log: told when to fail. Lives in `folder`, which the caller removes. */
export class DiskShim {
  private clockSeconds = 0;

  private constructor(
    private readonly library: string,
    private readonly control: string,
    private readonly handle: FileHandle,
    private readonly disk: string,
  ) {}

  /** @param folder the folder that a broker is started in */
  static async make(folder: string): Promise<DiskShim> {
    const library = join(folder, 'disk-shim.so');
    const compiler = existsSync('/usr/bin/cc') ? '/usr/bin/cc' : '/usr/bin/gcc';
    await promisify(execFile)(compiler, ['-shared', '-fPIC', '-O1', '-o', library, SOURCE, '-ldl', '-lpthread']);
    const control = join(folder, 'disk-shim.control');
    await writeFile(control, Buffer.alloc(CONTROL_BYTES));
    return new DiskShim(library, control, await open(control, 'r+'), join(folder, 'data', 'broker'));
  }

  /** For the process to be started. With a seed, kill -9 equals lost power. */
  environment(lostPowerSeed?: number): Record<string, string> {
    return {
      LD_PRELOAD: this.library,
      SHIM_FOLDER: this.disk,
      SHIM_CONTROL: this.control,
      ...(lostPowerSeed === undefined ? {} : { SHIM_SEED: String(lostPowerSeed) }),
    };
  }

  /** From now on each of these steps fails. */
  async fail(step: DiskStep, fault: DiskFault): Promise<void> {
    await this.handle.write(Buffer.of(FAULT_NUMBERS[fault]), 0, 1, STEPS.indexOf(step));
  }

  async failNoMore(): Promise<void> {
    await this.handle.write(Buffer.alloc(HITS_AT), 0, HITS_AT, 0);
  }

  /** How often this step was made to fail, over all starts. */
  async hits(step: DiskStep): Promise<number> {
    const bytes = Buffer.alloc(4);
    await this.handle.read(bytes, 0, 4, HITS_AT + 4 * STEPS.indexOf(step));
    return bytes.readUInt32LE();
  }

  /** Sets the wall clock so much forward, or back, from where it is. */
  async shiftClock(seconds: number): Promise<void> {
    this.clockSeconds += seconds;
    const bytes = Buffer.alloc(8);
    bytes.writeBigInt64LE(BigInt(this.clockSeconds));
    await this.handle.write(bytes, 0, 8, CLOCK_AT);
  }

  async untilHit(step: DiskStep, hits = 1): Promise<void> {
    await waitFor(async () => (await this.hits(step)) >= hits, { timeoutMs: 30_000, what: `a ${step} that fails` });
  }

  close(): Promise<void> {
    return this.handle.close();
  }
}
