import { invalidRequest } from '../problem/problem.js';

/** Items of one array posted to our own API. */
export const ITEMS_MAX = 1_000;

/** The items of a body that is one object or an array of them. */
export function itemsOf(body: unknown): unknown[] {
  const items = Array.isArray(body) ? body : [body];
  if (items.length === 0) throw invalidRequest([{ index: 0, field: '', message: 'is missing: the array is empty' }]);
  if (items.length > ITEMS_MAX) {
    throw invalidRequest([
      {
        index: ITEMS_MAX,
        field: '',
        message: `is one too many: an array has at most ${ITEMS_MAX} items, not ${items.length}`,
      },
    ]);
  }
  return items;
}
