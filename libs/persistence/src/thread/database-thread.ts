import { parentPort, workerData } from 'node:worker_threads';
import { openPersistence, type Persistence } from '../open-persistence.js';
import { type Answer, CALLS, type Call, CLOSE, type Opened, travelling } from './calls.js';
import { gathered } from './gathered.js';

// The thread that owns SQLite: opens the file, answers the calls of the thread that made it, and ends when it is told to close.

const port = parentPort!;
const tell = (message: Opened | Answer[]) => port.postMessage(message);

try {
  serve(await openPersistence(workerData));
  tell({ opened: true });
} catch (error) {
  tell({ opened: false, error: travelling(error) });
}

function serve(persistence: Persistence): void {
  const send = gathered<Answer>(tell);
  const underWay = new Set<Promise<void>>();
  port.on('message', (message: Call[] | typeof CLOSE) => {
    if (message === CLOSE) {
      void close();
      return;
    }
    for (const call of message) {
      const answered = answer(persistence, call).then(send);
      underWay.add(answered);
      void answered.then(() => underWay.delete(answered));
    }
  });

  async function close(): Promise<void> {
    await Promise.all(underWay);
    await persistence.close();
    // After the answers that are still gathered. Without the port nothing keeps this thread alive.
    setImmediate(() => port.close());
  }
}

async function answer(persistence: Persistence, call: Call): Promise<Answer> {
  const { number } = call;
  try {
    return { number, value: await carryOut(persistence, call) };
  } catch (error) {
    return { number, error: travelling(error) };
  }
}

function carryOut(persistence: Persistence, { owner, name, parameters }: Call): unknown {
  if (!Object.hasOwn(CALLS[owner], name)) throw new Error(`the database has no call '${owner}.${name}'`);
  const target = owner === 'database' ? persistence : persistence[owner];
  return Reflect.apply(Reflect.get(target, name), target, parameters);
}
