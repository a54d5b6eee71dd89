import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { afterEach, describe, expect, it } from '@jest/globals';
import { type Exchange, type Post, post } from './post.js';

const servers: Server[] = [];

afterEach(async () => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
});

describe('post: connections', () => {
  it('serves one request after the other on a kept connection', async () => {
    const provider = await aProvider();
    for (const text of ['one', 'two', 'three']) expect(await provider.post(text)).toMatchObject({ status: 200 });
    expect(provider.bodies).toEqual(['one', 'two', 'three']);
    expect(provider.sockets).toHaveLength(1);
  });

  it('opens one for each request unless told to keep it', async () => {
    const provider = await aProvider();
    for (const text of ['one', 'two']) await provider.post(text, { keepsConnection: false });
    expect(provider.sockets).toHaveLength(2);
  });

  it('says that nothing is known when a kept connection is reset under a request, and uses another for the next', async () => {
    const provider = await aProvider();
    await provider.post('one');
    provider.onNext((request) => request.socket.resetAndDestroy());
    expect(await provider.post('two')).toMatchObject({ ended: 'no-answer' });
    expect(await provider.post('three')).toMatchObject({ status: 200 });
    expect(provider.bodies).toEqual(['one', 'two', 'three']);
    expect(provider.sockets).toHaveLength(2);
  });

  it('keeps none that the provider asks to close', async () => {
    const provider = await aProvider();
    provider.onNext((_, response) => response.writeHead(200, { connection: 'close' }).end());
    await provider.post('one');
    expect(await provider.post('two')).toMatchObject({ status: 200 });
    expect(provider.sockets).toHaveLength(2);
  });

  it('lets a kept connection go after a second without a request', async () => {
    const provider = await aProvider();
    await provider.post('one');
    await new Promise((resolve) => provider.sockets[0]?.once('close', resolve));
    expect(await provider.post('two')).toMatchObject({ status: 200 });
    expect(provider.sockets).toHaveLength(2);
  });

  it('never takes a kept connection of those that may reach private addresses', async () => {
    const provider = await aProvider();
    await provider.post('one');
    expect(await provider.post('two', { allowPrivateAddresses: false })).toMatchObject({ why: 'forbidden' });
    expect(await provider.post('three', { allowPrivateAddresses: false, host: 'localhost' })).toMatchObject({
      why: 'forbidden',
    });
    expect(provider.bodies).toEqual(['one']);
  });
});

type Answer = (request: IncomingMessage, response: ServerResponse) => void;

/** Answers 200 at once, or as `onNext` says. */
async function aProvider() {
  const bodies: string[] = [];
  const sockets: Socket[] = [];
  let next: Answer | undefined;
  const server = createServer(async (request, response) => {
    let body = '';
    for await (const chunk of request) body += chunk;
    bodies.push(body);
    const answer = next ?? ((_, plain) => plain.writeHead(200).end('taken'));
    next = undefined;
    answer(request, response);
  });
  server.on('connection', (socket) => sockets.push(socket));
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;

  const postText = (text: string, { host = '127.0.0.1', ...part }: Partial<Post> & { host?: string } = {}) =>
    post({
      ...{ url: `http://${host}:${port}/hook`, headers: {}, body: Buffer.from(text), timeoutMs: 20_000 },
      ...{ signal: new AbortController().signal, allowPrivateAddresses: true, keepsConnection: true, ...part },
    }) as Promise<Exchange>;
  const onNext = (answer: Answer) => {
    next = answer;
  };
  return { bodies, sockets, post: postText, onNext };
}
