import type { FastifyInstance } from 'fastify';
import { badRequest } from './answers.js';

/** RabbitMQ takes 20 MB; no call here needs more than a name, some patterns and tags. */
const BODY_BYTES_MAX = 1024 * 1024;

/** Every body is JSON whatever its content type says: curl -d calls it a form. An empty one is an object without fields. */
export function readBodiesAsJson(server: FastifyInstance): void {
  server.removeAllContentTypeParsers();
  server.addContentTypeParser('*', { parseAs: 'string', bodyLimit: BODY_BYTES_MAX }, (_request, body, done) => {
    done(null, body);
  });
}

export type RequestBody = Readonly<Record<string, unknown>>;

/** Throws 400 `not_json`. */
export function objectIn(body: unknown): RequestBody {
  if (body === undefined || body === null || body === '') return {};
  const value = parse(String(body));
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw badRequest('not_json');
  return value as RequestBody;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // It is told to the client, which knows what it sent.
    throw badRequest('not_json');
  }
}

/** Throws 400 when a field is missing or no string. */
export function textIn(body: RequestBody, field: string): string {
  if (body[field] === undefined) throw badRequest(`[{key_missing,${field}}]`);
  return textOrNothing(body, field)!;
}

export function textOrNothing(body: RequestBody, field: string): string | undefined {
  const value = body[field];
  if (value === undefined || typeof value === 'string') return value;
  throw badRequest(`${field} must be a string, not ${JSON.stringify(value)}`);
}

/** A list of strings, or one string with commas. */
export function tagsIn(value: unknown): string[] {
  const tags = typeof value === 'string' ? value.split(',') : value;
  if (!Array.isArray(tags) || tags.some((tag) => typeof tag !== 'string')) {
    throw badRequest(`tags must be strings, not ${JSON.stringify(value)}`);
  }
  return tags.map((tag: string) => tag.trim()).filter((tag) => tag !== '');
}
