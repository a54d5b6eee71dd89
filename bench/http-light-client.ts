import { createConnection, type Socket } from 'node:net';

const HEAD_END = Buffer.from('\r\n\r\n');
const STATUS_START = 'HTTP/1.1 '.length;

/**
 * An HTTP/1.1 client that costs next to nothing, so that a benchmark measures the server: kept sockets, one request at a time on each, bytes prepared
 * once, answers counted in place. Anything but a 2xx ends it with the answer's text.
 */
export class HttpLightClient {
  answered = 0;
  private sent = 0;
  private allowed = 0;
  private requests: readonly Buffer[] = [];
  private readonly idle: Connection[] = [];
  private finish: { resolve: () => void; reject: (error: Error) => void } | undefined;

  static async connect(port: number, sockets: number): Promise<HttpLightClient> {
    const client = new HttpLightClient();
    for (let count = 0; count < sockets; count++) {
      client.idle.push(await Connection.open(port, (connection) => client.take(connection)));
    }
    return client;
  }

  /** Sends `count` requests, the prepared ones in turn, as fast as answers come; resolves with the last answer. */
  async send(requests: readonly Buffer[], count: number): Promise<void> {
    const done = this.expect(requests, count);
    this.allow(count);
    await done;
  }

  /** Sends each prepared request once, `perSecond` of them; `onSent` is told when each was due to leave. */
  async sendPaced(requests: readonly Buffer[], perSecond: number, onSent: (index: number) => void): Promise<void> {
    const done = this.expect(requests, requests.length);
    const startedAt = performance.now();
    const timer = setInterval(() => {
      const due = Math.min(requests.length, Math.floor(((performance.now() - startedAt) * perSecond) / 1_000));
      for (let index = this.allowed; index < due; index++) onSent(index);
      this.allow(due);
    }, 1);
    await done.finally(() => clearInterval(timer));
  }

  close(): void {
    for (const connection of this.idle) connection.close();
  }

  private expect(requests: readonly Buffer[], count: number): Promise<void> {
    this.requests = requests;
    this.answered = 0;
    this.sent = 0;
    this.allowed = 0;
    return new Promise((resolve, reject) => {
      this.finish = {
        resolve: () => {
          if (this.answered === count) resolve();
        },
        reject,
      };
    });
  }

  private allow(upTo: number): void {
    this.allowed = upTo;
    while (this.sent < this.allowed && this.idle.length > 0) this.write(this.idle.pop()!);
  }

  private write(connection: Connection): void {
    connection.write(this.requests[this.sent % this.requests.length]!);
    this.sent += 1;
  }

  private take(connection: Connection): void {
    if (connection.refusal !== undefined) {
      this.finish?.reject(new Error(`the server answered: ${connection.refusal}`));
      return;
    }
    this.answered += 1;
    if (this.sent < this.allowed) this.write(connection);
    else this.idle.push(connection);
    this.finish?.resolve();
  }
}

/** One socket and the answer it waits for. */
class Connection {
  refusal: string | undefined;
  private rest: Buffer | undefined;

  private constructor(
    private readonly socket: Socket,
    private readonly onAnswered: (connection: Connection) => void,
  ) {
    socket.on('data', (chunk) => this.take(chunk));
    socket.on('error', (error) => this.end(error.message));
    socket.on('close', () => this.end('connection closed'));
  }

  static async open(port: number, onAnswered: (connection: Connection) => void): Promise<Connection> {
    const socket = createConnection({ port, host: '127.0.0.1', noDelay: true });
    await new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject));
    return new Connection(socket, onAnswered);
  }

  write(request: Buffer): void {
    this.socket.write(request);
  }

  close(): void {
    this.socket.removeAllListeners('close');
    this.socket.destroy();
  }

  private take(chunk: Buffer): void {
    const bytes = this.rest === undefined ? chunk : Buffer.concat([this.rest, chunk]);
    const headEnd = bytes.indexOf(HEAD_END);
    if (headEnd === -1 || bytes.length < headEnd + HEAD_END.length + lengthOf(bytes, headEnd)) {
      this.rest = bytes;
      return;
    }
    this.rest = undefined;
    if (bytes[STATUS_START] === 0x32) this.onAnswered(this);
    else this.end(bytes.toString('latin1'));
  }

  private end(why: string): void {
    this.refusal = why;
    this.onAnswered(this);
  }
}

function lengthOf(bytes: Buffer, headEnd: number): number {
  const head = bytes.toString('latin1', 0, headEnd);
  const at = head.search(/content-length:/i);
  if (at === -1) throw new Error(`an answer without a length: ${head}`);
  return Number.parseInt(head.slice(at + 'content-length:'.length), 10);
}
