import type { Field, Table } from './fields.js';

/** What `tableOf` accepts as a value. */
export type PlainValue =
  | string
  | boolean
  | number
  | bigint
  | null
  | Date
  | Uint8Array
  | readonly PlainValue[]
  | { readonly [key: string]: PlainValue | undefined };

export type PlainTable = { readonly [key: string]: PlainValue | undefined };

const INT32_MAX = 2 ** 31 - 1;
const INT32_MIN = -(2 ** 31);

/**
 * A table from a plain object: string S, boolean t, integer I or (beyond 32 bits) l, other number d, bigint l, Date T,
 * bytes x, array A, object F, null V. Keys whose value is undefined are left out.
 */
export function tableOf(plain: PlainTable): Table {
  const entries: [string, Field][] = [];
  for (const [key, value] of Object.entries(plain)) if (value !== undefined) entries.push([key, fieldOf(value)]);
  return entries;
}

function fieldOf(value: PlainValue): Field {
  if (value === null) return { tag: 'V' };
  if (typeof value === 'string') return { tag: 'S', value };
  if (typeof value === 'boolean') return { tag: 't', value };
  if (typeof value === 'bigint') return { tag: 'l', value };
  if (typeof value === 'number') return numberField(value);
  if (value instanceof Date) return { tag: 'T', value: BigInt(Math.floor(value.getTime() / 1000)) };
  if (value instanceof Uint8Array) return { tag: 'x', value: Buffer.from(value) };
  if (isList(value)) return { tag: 'A', value: value.map(fieldOf) };
  return { tag: 'F', value: tableOf(value) };
}

function numberField(value: number): Field {
  if (!Number.isSafeInteger(value) || Object.is(value, -0)) return { tag: 'd', value };
  return value >= INT32_MIN && value <= INT32_MAX ? { tag: 'I', value } : { tag: 'l', value: BigInt(value) };
}

function isList(value: PlainValue): value is readonly PlainValue[] {
  return Array.isArray(value);
}

/**
 * The reverse, for people and JSON: 64-bit integers become numbers where a number holds them, decimals their value, T its
 * seconds. Of duplicate keys the first wins, as in `findField`.
 */
export function plainTable(table: Table): Record<string, PlainValue> {
  const plain = new Map<string, PlainValue>();
  for (const [key, field] of table) if (!plain.has(key)) plain.set(key, plainField(field));
  return Object.fromEntries(plain);
}

export function plainField(field: Field): PlainValue {
  switch (field.tag) {
    case 'V':
      return null;
    case 'l':
    case 'L':
    case 'T': {
      const number = Number(field.value);
      return Number.isSafeInteger(number) ? number : field.value;
    }
    case 'D':
      return field.value / 10 ** field.scale;
    case 'A':
      return field.value.map(plainField);
    case 'F':
      return plainTable(field.value);
    default:
      return field.value;
  }
}
