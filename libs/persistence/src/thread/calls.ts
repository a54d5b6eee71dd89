import type { DispatcherStore, ReviewStore, WorkerStore } from '#dispatch';
import type { Persistence } from '../open-persistence.js';

// What travels between a thread that uses the database and the thread that owns it: structured clones, many to a message.

/** Every call that may cross, by what it belongs to. */
export const CALLS = {
  dispatcher: {
    takeEpoch: true,
    load: true,
    commit: true,
    unpublished: true,
    markPublished: true,
    waitingTargets: true,
    forgetBefore: true,
  },
  worker: { claim: true, settle: true },
  review: {
    findNotification: true,
    alertTimeline: true,
    alerts: true,
    addDeadLetters: true,
    deadLetters: true,
    findDeadLetter: true,
    beginReplay: true,
    endReplay: true,
    unfinishedReplays: true,
    discard: true,
  },
  database: { ping: true, pingWrites: true },
} as const satisfies {
  dispatcher: Record<keyof DispatcherStore, true>;
  worker: Record<keyof WorkerStore, true>;
  review: Record<keyof ReviewStore, true>;
  database: Record<DatabaseCall, true>;
};

export type DatabaseCall = Exclude<keyof Persistence, 'dispatcher' | 'worker' | 'review' | 'close'>;
export type Owner = keyof typeof CALLS;

export interface Call {
  number: number;
  owner: Owner;
  name: string;
  parameters: unknown[];
}

export type Answer = { number: number; value: unknown } | { number: number; error: TravellingError };

/** An error as it crosses: of what a clone would lose, the name and the code. */
export interface TravellingError {
  name: string;
  message: string;
  stack: string | undefined;
  code: unknown;
}

/** What the thread says once, when it has opened the file or could not. */
export type Opened = { opened: true } | { opened: false; error: TravellingError };

/** From the owner of the thread. */
export const CLOSE = 'close';

export function travelling(error: unknown): TravellingError {
  const { name, message, stack, code } = error as Error & { code?: unknown };
  return { name, message, stack, code: typeof code === 'string' ? code : undefined };
}

export function arrived({ name, message, stack, code }: TravellingError): Error {
  const error = Object.assign(new Error(message), { name, ...(code !== undefined && { code }) });
  if (stack !== undefined) error.stack = stack;
  return error;
}
