import { z } from 'zod';
import { parseDuration } from './duration.js';
import { suggestion } from './nearest.js';
import { parseSize } from './size.js';

// What several sections of tocsin.yaml are made of.

/** A map that refuses unknown keys and names the nearest known ones; the message has one line for each key. */
export function map<Shape extends z.core.$ZodLooseShape>(shape: Shape) {
  return z.strictObject(shape, {
    error: (issue) =>
      issue.code === 'unrecognized_keys'
        ? issue.keys.map((key) => `unknown key '${key}'${suggestion(key, Object.keys(shape))}`).join('\n')
        : undefined,
  });
}

/** A duration in milliseconds; a bare number would leave the unit to be guessed. */
export const duration = z.unknown().transform((value, context) => {
  const ms = typeof value === 'string' ? parseDuration(value) : undefined;
  if (ms !== undefined) return ms;
  const hint = typeof value === 'number' ? `, not ${value}: did you mean '${value}s'?` : '';
  context.addIssue({ code: 'custom', message: `must be a duration such as '30s', '5m' or '1h30m'${hint}` });
  return z.NEVER;
});

export const positiveDuration = duration.refine((ms) => ms > 0, { error: 'must be longer than 0s' });

export function url(...schemes: string[]) {
  return z.string().refine((text) => schemes.some((scheme) => text.startsWith(`${scheme}://`)) && URL.canParse(text), {
    error: `must be a URL that starts with ${schemes.map((scheme) => `${scheme}://`).join(' or ')}`,
  });
}

export const count = (max: number) => z.int().min(1).max(max);

/** A number of bytes, or a text with its unit. */
export const size = z.unknown().transform((value, context) => {
  const bytes = typeof value === 'string' ? parseSize(value) : value;
  if (typeof bytes === 'number' && Number.isSafeInteger(bytes) && bytes >= 0) return bytes;
  context.addIssue({ code: 'custom', message: "must be a number of bytes, or a size such as '50MB' or '128MiB'" });
  return z.NEVER;
});
