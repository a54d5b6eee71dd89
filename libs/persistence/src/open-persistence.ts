import type { DispatcherStore, ReviewStore, WorkerStore } from '#dispatch';
import { createDispatcherStore } from './dispatcher-store.js';
import { openPostgresql } from './postgresql.js';
import { createReviewStore } from './review-store.js';
import { openSqlite } from './sqlite.js';
import { TimelineWriter } from './timeline.js';
import { createWorkerStore } from './worker-store.js';

export interface Connection {
  /** `postgresql://...`; undefined: SQLite in the data folder. */
  databaseUrl?: string | undefined;
  dataDirectory: string;
}

/** The ports of #dispatch over one database. */
export interface Persistence {
  dispatcher: DispatcherStore;
  worker: WorkerStore;
  review: ReviewStore;
  /** Rejects while the database does not answer. */
  ping(): Promise<void>;
  /** Rejects while the database does not answer or takes no writes: read-only, or its disk is full. */
  pingWrites(): Promise<void>;
  /** Waits for what is under way. */
  close(): Promise<void>;
}

/** Connects and applies the missing migrations. Rejects with one sentence when it may not: file in use, edited migration, newer database. */
export async function openPersistence({ databaseUrl, dataDirectory }: Connection): Promise<Persistence> {
  const database = databaseUrl === undefined ? await openSqlite(dataDirectory) : await openPostgresql(databaseUrl);
  const timeline = new TimelineWriter();
  return {
    dispatcher: createDispatcherStore(database, timeline),
    worker: createWorkerStore(database, timeline),
    review: createReviewStore(database, timeline),
    ping: () => database.ping(),
    pingWrites: () => database.pingWrites(),
    close: () => database.close(),
  };
}
