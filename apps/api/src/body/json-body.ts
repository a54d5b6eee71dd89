import type { FastifyInstance } from 'fastify';
import { Problem } from '../problem/problem.js';

declare module 'fastify' {
  interface FastifyRequest {
    /** The body as it came; `undefined` on requests without one. */
    rawBody: Buffer | undefined;
  }
}

/** Of one HTTP body; more is refused with 413. */
export const BODY_BYTES_MAX = 8 * 1024 * 1024;

const utf8 = new TextDecoder('utf-8', { fatal: true });

/** Takes JSON only; every other content type is refused with 415 by Fastify. */
export function useJsonBodies(server: FastifyInstance): void {
  server.decorateRequest('rawBody', undefined);
  server.removeAllContentTypeParsers();
  server.addContentTypeParser(
    'application/json',
    { parseAs: 'buffer', bodyLimit: BODY_BYTES_MAX },
    (request, body, done) => {
      request.rawBody = body as Buffer;
      try {
        done(null, parseJson(body as Buffer));
      } catch (error) {
        done(error as Error);
      }
    },
  );
}

/** @throws Problem `malformed-json` with line and column of the first character that does not fit */
export function parseJson(body: Buffer): unknown {
  const text = decode(body);
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new Problem('malformed-json', { detail: describe(text, (cause as Error).message) }, { cause });
  }
}

function decode(body: Buffer): string {
  try {
    return utf8.decode(body);
  } catch (cause) {
    throw new Problem('malformed-json', { detail: 'the body is not UTF-8' }, { cause });
  }
}

/** V8 says `Unexpected token 'x', ..."context"... is not valid JSON` or `Expected ',' in JSON at position 5 (line 1 column 6)`. */
function describe(text: string, message: string): string {
  if (text.trim() === '') return 'the body is empty';
  const position = /at position (\d+)/.exec(message);
  const offset = position ? Number(position[1]) : offsetOfToken(text, message);
  const before = text.slice(0, offset);
  const line = before.split('\n').length;
  const column = offset - before.lastIndexOf('\n');
  return `the body is not JSON at line ${line}, column ${column}: ${message.replace(/ in JSON at position .*$/, '').replace(/, \.{0,3}".*$/s, '')}`;
}

/** For a token without a position: V8 quotes the text around it; the unfinished text ends at its end. */
function offsetOfToken(text: string, message: string): number {
  const quoted = /^Unexpected token '(.+?)', (\.\.\.)?"(.*?)"(\.\.\.)? is not valid JSON$/s.exec(message);
  if (!quoted) return text.length;
  const [, token, , context] = quoted;
  const start = text.indexOf(context!);
  const offset = text.indexOf(token!, Math.max(0, start));
  return Math.max(offset, 0);
}
