// Writes until it is killed: `node kill-child.mjs <data folder>`. A line on stdout says what was acknowledged before.
import { register } from 'node:module';

register('../../testing/src/typescript-hooks.mjs', import.meta.url);
const { openPersistence } = await import('./open-persistence.ts');
const { aClaim, aNotification, anOutboxMessage, changes, NOW } = await import('./builders.contract.ts');

const { dispatcher, worker } = await openPersistence({ dataDirectory: process.argv[2] });
const epoch = await dispatcher.takeEpoch('child', NOW);
for (let number = 0; ; number += 1) {
  const id = `${process.pid}-${number}`;
  await dispatcher.commit(epoch, changes({ notifications: [aNotification(id)], outbox: [anOutboxMessage(`${id}/1`)] }));
  process.stdout.write(`committed ${id}\n`);
  await worker.claim([aClaim(id, { perTargetInFlight: Number.MAX_SAFE_INTEGER })], NOW);
  process.stdout.write(`claimed ${id}\n`);
}
