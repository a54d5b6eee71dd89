import { beforeEach, describe, expect, it } from '@jest/globals';
import { AlarmWatch } from './alarms.js';

const GIB = 2 ** 30;

describe('alarms', () => {
  const heard: string[] = [];
  const bell = { raiseAlarm: (reason: string) => heard.push(reason), clearAlarm: () => heard.push('clear') };
  let memoryBytes: number;
  let diskFreeBytes: number | undefined;
  let isLogLow: boolean;
  let watch: AlarmWatch;

  beforeEach(() => {
    heard.length = 0;
    memoryBytes = GIB;
    diskFreeBytes = GIB;
    isLogLow = false;
    const resources = {
      isLogLow: () => isLogLow,
      memoryBytes: () => memoryBytes,
      diskFreeBytes: async () => {
        if (diskFreeBytes === undefined) throw new Error('the folder is gone');
        return diskFreeBytes;
      },
    };
    watch = new AlarmWatch(resources, { memoryBytesMax: 2 * GIB, diskFreeBytesMin: 50_000_000 }, bell, () => {});
  });

  it('stays silent while memory and disk suffice', async () => {
    await watch.look();
    expect(heard).toEqual([]);
  });

  it('rings once for each change and clears when all is well', async () => {
    memoryBytes = 3 * GIB;
    await watch.look();
    await watch.look();
    diskFreeBytes = 1_000;
    await watch.look();
    memoryBytes = GIB;
    await watch.look();
    diskFreeBytes = GIB;
    await watch.look();
    expect(heard).toEqual(['low on memory', 'low on memory & low on disk', 'low on disk', 'clear']);
  });

  it('rings while the log has not the room it wants, however much is free', async () => {
    isLogLow = true;
    await watch.look();
    isLogLow = false;
    await watch.look();
    expect(heard).toEqual(['low on disk', 'clear']);
  });

  it('rings by new watermarks at once', async () => {
    await watch.look();
    watch.setWatermarks({ memoryBytesMax: GIB / 2, diskFreeBytesMin: 0 });
    await new Promise((resolve) => setImmediate(resolve));
    watch.setWatermarks({ memoryBytesMax: 2 * GIB, diskFreeBytesMin: 0 });
    await new Promise((resolve) => setImmediate(resolve));
    expect(heard).toEqual(['low on memory', 'clear']);
  });

  it('takes a folder that cannot be asked as a full disk', async () => {
    diskFreeBytes = undefined;
    await watch.look();
    expect(heard).toEqual(['low on disk']);
  });
});
