import assert from 'node:assert/strict';
import type {
  SqlDriverAdapter,
  SqlMigrationAwareDriverAdapterFactory,
  Transaction,
} from '@prisma/driver-adapter-utils';
import { PreparedSql, type SqliteDriver } from './prepared-sql.js';
import { type PreparedTransactions, SharedTransactions } from './prepared-transactions.js';

/** Longest run of statements before sockets and timers get their turn: the driver is synchronous and awaiting it yields to microtasks only. */
const SLICE_MS = 5;

/** Prisma's way to the connection, and ours for the transactions that every notification passes through. */
export interface Gate {
  factory: SqlMigrationAwareDriverAdapterFactory;
  /** On the last connection that the factory made. */
  prepared: PreparedTransactions;
}

/**
 * Lets one statement or one transaction at a time reach the single SQLite connection. The adapter locks transactions only against
 * each other: a statement from outside would run inside an open one, and be lost with its rollback although it was acknowledged.
 */
export function gated(inner: SqlMigrationAwareDriverAdapterFactory, pragmas: string): Gate {
  let prepared: PreparedTransactions = () => Promise.reject(new Error('the database is not connected yet'));
  const factory: SqlMigrationAwareDriverAdapterFactory = {
    provider: inner.provider,
    adapterName: inner.adapterName,
    connect: async () => {
      const connection = await inner.connect();
      await connection.executeScript(pragmas);
      const breathe = timeSlice();
      const acquire = firstComeLock();
      prepared = gatedTransactions(driverOf(connection), breathe, acquire);
      return gatedConnection(connection, breathe, acquire);
    },
    connectToShadowDb: () => inner.connectToShadowDb(),
  };
  return { factory, prepared: (work) => prepared(work) };
}

/** The adapter keeps the driver to itself; only one connection can have the file open, so its own is the one to use. */
function driverOf(connection: SqlDriverAdapter): SqliteDriver {
  const { client } = connection as unknown as { client?: SqliteDriver };
  assert(typeof client?.prepare === 'function', 'the SQLite adapter has no driver where its pinned version has it');
  return client;
}

function gatedTransactions(driver: SqliteDriver, breathe: Breathe, acquire: Acquire): PreparedTransactions {
  const alone = async (work: () => Promise<void>) => {
    const release = await acquire();
    try {
      await breathe();
      await work();
    } finally {
      release();
    }
  };
  const transactions = new SharedTransactions(driver, new PreparedSql(driver, breathe), alone);
  return (work) => transactions.run(work);
}

function gatedConnection(connection: SqlDriverAdapter, breathe: Breathe, acquire: Acquire): SqlDriverAdapter {
  const alone = async <T>(work: () => Promise<T>): Promise<T> => {
    const release = await acquire();
    try {
      await breathe();
      return await work();
    } finally {
      release();
    }
  };
  return {
    provider: connection.provider,
    adapterName: connection.adapterName,
    getConnectionInfo: connection.getConnectionInfo?.bind(connection),
    dispose: () => alone(() => connection.dispose()),
    executeScript: (script) => alone(() => connection.executeScript(script)),
    queryRaw: (query) => alone(() => connection.queryRaw(query)),
    executeRaw: (query) => alone(() => connection.executeRaw(query)),
    startTransaction: async (isolationLevel) => {
      const release = await acquire();
      try {
        await breathe();
        const transaction = await connection.startTransaction(isolationLevel);
        return gatedTransaction(transaction, connection, breathe, release);
      } catch (error) {
        release();
        throw error;
      }
    },
  };
}

function gatedTransaction(
  transaction: Transaction,
  connection: SqlDriverAdapter,
  breathe: Breathe,
  release: () => void,
): Transaction {
  // Prisma sends COMMIT or ROLLBACK as a statement, then calls one of these. A COMMIT that failed leaves the transaction open on
  // the only connection; rolling back once more closes it, and is an error that means nothing where it is closed already.
  const finish = async (end: () => Promise<void>) => {
    try {
      await end();
      await connection.executeRaw({ sql: 'ROLLBACK', args: [], argTypes: [] }).catch(() => 0);
    } finally {
      release();
    }
  };
  return {
    provider: transaction.provider,
    adapterName: transaction.adapterName,
    options: transaction.options,
    queryRaw: async (query) => {
      await breathe();
      return transaction.queryRaw(query);
    },
    executeRaw: async (query) => {
      await breathe();
      return transaction.executeRaw(query);
    },
    createSavepoint: (name) => transaction.createSavepoint!(name),
    rollbackToSavepoint: (name) => transaction.rollbackToSavepoint!(name),
    releaseSavepoint: (name) => transaction.releaseSavepoint!(name),
    commit: () => finish(() => transaction.commit()),
    rollback: () => finish(() => transaction.rollback()),
  };
}

type Breathe = () => Promise<void>;
type Acquire = () => Promise<() => void>;

function timeSlice(): Breathe {
  let since = performance.now();
  return async () => {
    if (performance.now() - since < SLICE_MS) return;
    await new Promise((resolve) => setImmediate(resolve));
    since = performance.now();
  };
}

/** Answers a function that waits for its turn and answers the release of it. */
function firstComeLock(): Acquire {
  let tail: Promise<void> = Promise.resolve();
  return async () => {
    const before = tail;
    let release = () => {};
    tail = new Promise((resolve) => {
      release = resolve;
    });
    await before;
    return release;
  };
}
