import { createServer, type Server } from 'node:net';

/** Ports that no system gives out by itself: 0 and connections from here take theirs from 32768 on (Linux), or 49152. */
const FIRST_PORT = 15_000;
const PORTS = 15_000;
/** Each process begins at a place of its own, so that test runners side by side do not pick the same. */
const PORTS_OF_A_PROCESS = 200;

let picked = (process.pid * PORTS_OF_A_PROCESS) % PORTS;

/**
 * A TCP port on 127.0.0.1 that is free and stays so until somebody asks for this very one: it may be released and listened at
 * again later. Each call answers another.
 */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < PORTS; tries++) {
    const port = FIRST_PORT + picked;
    picked = (picked + 1) % PORTS;
    if (await isFree(port)) return port;
  }
  throw new Error(`no port from ${FIRST_PORT} to ${FIRST_PORT + PORTS - 1} is free`);
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  try {
    await listen(server, port);
  } catch {
    return false; // taken, or not ours to open
  }
  await new Promise<void>((resolve) => server.close(() => resolve()));
  return true;
}

/** Listens on 127.0.0.1 and rejects when the port is taken. */
export function listen(server: Pick<Server, 'listen' | 'once' | 'off'>, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', () => {
      server.off('error', reject);
      resolve();
    });
  });
}
