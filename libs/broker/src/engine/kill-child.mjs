// Publishes, acknowledges and rejects until it is killed: `node kill-child.mjs <directory> <firstNumber> <enough>`. After the `enough`-th message it
// tells its parent. A line on stdout says what was on disk before: `stored <n>` a message, `settled <n>` its acknowledgement; `settling <n>` that the
// acknowledgement is given and may be on disk. Every fifth message is rejected instead and goes to the queue `dead`.
// Its stdout must be a file: of a pipe that is full, the last lines are in memory and go with the kill.
import { register } from 'node:module';

register('../../../testing/src/typescript-hooks.mjs', import.meta.url);
const { openEngine } = await import('../engine.ts');
const { Message } = await import('../message.ts');
const { encodeProperties, tableOf } = await import('#amqp-codec');

const engine = await openEngine({ directory: process.argv[2], segmentBytes: 64 * 1024, messageMemoryBytes: 20_000 });
const host = engine.virtualHost('/');
const owner = {};
declare('dead', {});
declare('work', { 'x-dead-letter-exchange': '', 'x-dead-letter-routing-key': 'dead' });

const properties = encodeProperties({ deliveryMode: 2 });
/** Messages published and not yet settled, on purpose more than fit into memory. */
const BACKLOG = 100;
const waiting = [];
host.consume(
  'work',
  { tag: 'kill', noAck: false, exclusive: false, priority: 0, hasRoom: () => true, deliver, cancelledByServer() {} },
  owner,
);

const [firstNumber, enough] = process.argv.slice(3).map(Number);
for (let number = firstNumber; ; number++) {
  host.publish(new Message('', 'work', properties, Buffer.from(String(number).padEnd(1000))));
  await onDisk();
  process.stdout.write(`stored ${number}\n`);
  if (number === firstNumber + enough - 1) process.send('enough');
  if (waiting.length > BACKLOG) await settle(waiting.shift());
}

function deliver(queue, sequence, message) {
  waiting.push({ queue, sequence, number: Number(message.body.toString()) });
}

async function settle({ queue, sequence, number }) {
  if (number % 5 === 0) {
    queue.reject([sequence]);
    return;
  }
  process.stdout.write(`settling ${number}\n`);
  queue.acknowledge([sequence]);
  await onDisk();
  process.stdout.write(`settled ${number}\n`);
}

function declare(name, queueArguments) {
  host.declareQueue(
    { name, passive: false, durable: true, exclusive: false, autoDelete: false, arguments: tableOf(queueArguments) },
    owner,
  );
}

function onDisk() {
  const { durability } = engine;
  const target = durability.appended;
  return new Promise((resolve) => {
    const stop = durability.onDurable(() => {
      if (durability.durable < target) return;
      stop();
      resolve();
    });
    durability.requestSync();
  });
}
