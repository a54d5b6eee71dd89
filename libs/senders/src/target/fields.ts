import { z } from 'zod';

// Fields that several targets share.

/** ITU-T E.164: a plus sign, then up to 15 digits. */
export const phoneNumber = z
  .string()
  .regex(/^\+[1-9]\d{6,14}$/, 'must be a number in E.164 form, such as +8613800000000');

/** Text that fits in a header, a URL or a name: no control characters. */
export function plainText(charactersMax: number) {
  return z
    .string()
    .min(1, 'must not be empty')
    .max(charactersMax, `must have at most ${charactersMax} characters`)
    .regex(/^\P{Cc}*$/u, 'must not contain control characters');
}

/** One value or a list; read as a list. */
export function oneOrMany<T>(item: z.ZodType<T>, itemsMax: number) {
  return z.preprocess((value) => (Array.isArray(value) ? value : [value]), z.array(item).min(1).max(itemsMax));
}
