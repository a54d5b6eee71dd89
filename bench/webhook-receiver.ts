// A process of its own that answers every webhook 200 at once, and notes when it was first told of each `instance`. Asked by its parent over IPC:
//   'reset' forgets all     'count' answers how many it was told of     'arrivals' answers when, ms of the epoch, by instance
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

export type ReceiverQuestion = 'reset' | 'count' | 'arrivals';
export type ReceiverAnswer = { port: number } | { count: number } | { arrivals: Record<string, number> };

const INSTANCE = /"instance":"([^"]+)"/g;
const toldAt = new Map<string, number>();

const server = createServer((request, response) => {
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => {
    const now = performance.timeOrigin + performance.now();
    response.writeHead(200, { 'content-length': 0 }).end();
    const text = Buffer.concat(chunks).toString('latin1');
    for (const [, instance] of text.matchAll(INSTANCE)) if (!toldAt.has(instance!)) toldAt.set(instance!, now);
  });
});
server.listen(0, '127.0.0.1', () => say({ port: (server.address() as AddressInfo).port }));

process.on('message', (question: ReceiverQuestion) => {
  if (question === 'reset') toldAt.clear();
  say(question === 'arrivals' ? { arrivals: Object.fromEntries(toldAt) } : { count: toldAt.size });
});
process.on('disconnect', () => process.exit());

function say(answer: ReceiverAnswer): void {
  process.send!(answer);
}
