import http, { type ClientRequest, type IncomingMessage, type RequestOptions } from 'node:http';
import https from 'node:https';
import { isIP } from 'node:net';
import { addAbortSignal, type Readable } from 'node:stream';
import axios from 'axios';
import { isPublicAddress, lookupPublic, PrivateAddressError } from './private-addresses.js';

export interface Post {
  url: string;
  headers: Record<string, string>;
  body: Buffer;
  /** From the beginning to the end of the answer, name resolution included. */
  timeoutMs: number;
  signal: AbortSignal;
  allowPrivateAddresses: boolean;
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
  const deadline = AbortSignal.timeout(request.timeoutMs);
  const anyEnd = AbortSignal.any([request.signal, deadline]);
  const progress: Progress = { isConnected: false };
  try {
    const url = new URL(request.url);
    refusePrivateLiteral(url, request.allowPrivateAddresses);
    const response = await axios.post<Readable>(url.href, request.body, {
      headers: { 'user-agent': 'Tocsin', ...request.headers },
      signal: anyEnd,
      maxRedirects: 0,
      proxy: false,
      responseType: 'stream',
      validateStatus: () => true,
      transport: watched(url.protocol === 'https:' ? https : http, progress, request.allowPrivateAddresses),
    });
    const answer = await readBody(addAbortSignal(anyEnd, response.data));
    return { ended: 'answered', status: response.status, headers: { ...response.headers }, ...answer };
  } catch (error) {
    const { code, message } = explain(error, request.signal, deadline, request.timeoutMs);
    if (progress.isConnected) return { ended: 'no-answer', code, message };
    return { ended: 'not-sent', why: WHY[code] ?? 'network', code, message };
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

type Transport = { request(options: RequestOptions, onResponse: (response: IncomingMessage) => void): ClientRequest };

/**
 * One connection per request: on a kept one, a reset could not be told from a request that was taken, and the check of the
 * address would be that of an earlier request.
 */
function watched(transport: Transport, progress: Progress, allowPrivateAddresses: boolean): Transport {
  return {
    request(options, onResponse) {
      const lookup = allowPrivateAddresses ? {} : { lookup: lookupPublic };
      const sent = transport.request({ ...options, ...lookup, agent: false }, onResponse);
      sent.once('socket', (socket) => {
        const ready = 'encrypted' in socket ? 'secureConnect' : 'connect';
        socket.once(ready, () => {
          progress.isConnected = true;
        });
      });
      return sent;
    },
  };
}

function refusePrivateLiteral(url: URL, allowPrivateAddresses: boolean): void {
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1');
  if (!allowPrivateAddresses && isIP(host) !== 0 && !isPublicAddress(host)) throw new PrivateAddressError(host);
}

async function readBody(stream: Readable): Promise<{ body: string; isComplete: boolean }> {
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

function explain(error: unknown, aborted: AbortSignal, deadline: AbortSignal, timeoutMs: number) {
  if (aborted.aborted) return { code: 'EABORT', message: 'aborted: the worker stops' };
  if (deadline.aborted) return { code: 'ETIMEDOUT', message: `no answer within ${timeoutMs} ms` };

  // An axios error carries the whole request, secrets included: only code and message leave this function.
  const cause = (error instanceof Error && error.cause) || error;
  if (!(cause instanceof Error)) return { code: 'ERROR', message: 'the request failed' };

  const code = 'code' in cause && typeof cause.code === 'string' ? cause.code : cause.name;
  // Several addresses refused: Node gathers them in an error without a message.
  return { code, message: cause.message || code };
}
