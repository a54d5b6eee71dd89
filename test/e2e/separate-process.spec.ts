import { readdir } from 'node:fs/promises';
import { describe, expect, it } from '@jest/globals';
import { type App, NotReady, newFolder, removeFolder, startService } from '#testing';

/** As on a machine where nobody has set anything. */
const NOTHING_SET = { TOCSIN_INGEST_TOKEN: '', TOCSIN_ADMIN_PASSWORD: '', DATABASE_URL: '' };

describe('an app as a process of its own', () => {
  it.each<App>(['api', 'dispatcher', 'worker'])(
    '%s without DATABASE_URL says so in one sentence, and leaves nothing behind',
    async (app) => {
      const folder = await newFolder();
      const failure = await startService({ app, folder, environment: NOTHING_SET }).catch((error: unknown) => error);
      expect(failure).toBeInstanceOf(NotReady);
      expect(failure).toMatchObject({
        exit: 1,
        output: expect.stringMatching(new RegExp(`^the ${app} as a process of its own needs PostgreSQL: .+$`)),
      });
      expect(await readdir(folder)).toEqual([]);
      await removeFolder(folder);
    },
  );
});
