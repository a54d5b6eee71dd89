import http, { type IncomingMessage, type RequestOptions } from 'node:http';
import https from 'node:https';
import { isIP } from 'node:net';
import { TimeLimit } from '#dispatch';
import { keptConnections } from './kept-connections.js';
import { isPublicAddress, lookupPublic, PrivateAddressError } from './private-addresses.js';

export interface Post {
  url: string;
  headers: Record<string, string>;
  body: Buffer;
  /** From the beginning to the end of the answer, name resolution included. */
  timeoutMs: number;
  signal: AbortSignal;
  allowPrivateAddresses: boolean;
  /** For providers where a repeat is allowed: a reset of a kept connection leaves unknown whether the request was taken. Default: a connection of its own. */
  keepsConnection?: boolean;
}

/** How a request ended. No text in it names the URL, whose path and query may be secret. */
export type Exchange =
  /** `isComplete` is false when the body broke off, took too long or was longer than `ANSWER_BYTES_MAX`. */
  | { ended: 'answered'; status: number; headers: Record<string, unknown>; body: string; isComplete: boolean }
  /** No byte of the request left: trying again cannot repeat anything. */
  | { ended: 'not-sent'; why: 'network' | 'timeout' | 'aborted' | 'forbidden'; code: string; message: string }
  /** The request was on its way; whether it was taken is unknown. */
  | { ended: 'no-answer'; code: string; message: string };

/** Posts once. Never follows a redirect, never uses a proxy of the environment, never throws. */
export async function post(request: Post): Promise<Exchange> {
  const limit = new TimeLimit(request.signal, request.timeoutMs);
  const progress: Progress = { isConnected: false };
  try {
    const url = new URL(request.url);
    refusePrivateLiteral(url, request.allowPrivateAddresses);
    const response = await send(url, request, limit.signal, progress);
    const answer = await readBody(response);
    return { ended: 'answered', status: response.statusCode ?? 0, headers: response.headers, ...answer };
  } catch (error) {
    const { code, message } = explain(error, request.signal, limit, request.timeoutMs);
    if (progress.isConnected) return { ended: 'no-answer', code, message };
    return { ended: 'not-sent', why: WHY[code] ?? 'network', code, message };
  } finally {
    limit.release();
  }
}

const ANSWER_BYTES_MAX = 64 * 1024;
const WHY: Record<string, 'timeout' | 'aborted' | 'forbidden'> = {
  EPRIVATEADDRESS: 'forbidden',
  ETIMEDOUT: 'timeout',
  EABORT: 'aborted',
};

interface Progress {
  /** From here on the request may have reached the provider. */
  isConnected: boolean;
}

/** Node's own client: hot path, and it follows no redirect and knows no proxy. */
function send(
  url: URL,
  { headers, body, allowPrivateAddresses, keepsConnection }: Post,
  signal: AbortSignal,
  progress: Progress,
) {
  const isSecure = url.protocol === 'https:';
  const options: RequestOptions = {
    method: 'POST',
    headers: { 'user-agent': 'Tocsin', accept: '*/*', ...headers, 'content-length': body.length },
    agent: keepsConnection ? keptConnections(isSecure, allowPrivateAddresses) : false,
    signal,
    ...(!allowPrivateAddresses && { lookup: lookupPublic }),
  };
  return new Promise<IncomingMessage>((resolve, reject) => {
    const sent = (isSecure ? https : http).request(url, options, resolve);
    sent.on('error', reject);
    sent.once('socket', (socket) => {
      // The other end may have closed it meanwhile, and then took nothing; but a reset does not say so.
      if (sent.reusedSocket) progress.isConnected = true;
      else
        socket.once(isSecure ? 'secureConnect' : 'connect', () => {
          progress.isConnected = true;
        });
    });
    sent.end(body);
  });
}

function refusePrivateLiteral(url: URL, allowPrivateAddresses: boolean): void {
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1');
  if (!allowPrivateAddresses && isIP(host) !== 0 && !isPublicAddress(host)) throw new PrivateAddressError(host);
}

async function readBody(stream: IncomingMessage): Promise<{ body: string; isComplete: boolean }> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const chunk of stream) {
      chunks.push(chunk as Buffer);
      bytes += (chunk as Buffer).length;
      if (bytes > ANSWER_BYTES_MAX) return { body: Buffer.concat(chunks).toString('utf8'), isComplete: false };
    }
    return { body: Buffer.concat(chunks).toString('utf8'), isComplete: true };
  } catch {
    // The status is known and may be all that is needed; the caller sees that the body is not.
    return { body: Buffer.concat(chunks).toString('utf8'), isComplete: false };
  }
}

function explain(error: unknown, aborted: AbortSignal, limit: TimeLimit, timeoutMs: number) {
  if (aborted.aborted) return { code: 'EABORT', message: 'aborted: the worker stops' };
  if (limit.hasPassed) return { code: 'ETIMEDOUT', message: `no answer within ${timeoutMs} ms` };

  // Only code and message leave this function: no text may name the URL.
  const cause = (error instanceof Error && error.cause) || error;
  if (!(cause instanceof Error)) return { code: 'ERROR', message: 'the request failed' };

  const code = 'code' in cause && typeof cause.code === 'string' ? cause.code : cause.name;
  // Several addresses refused: Node gathers them in an error without a message.
  return { code, message: cause.message || code };
}
