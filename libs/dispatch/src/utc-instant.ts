const DASH = 0x2d;
const POINT = 0x2e;
const ZERO = 0x30;
const COLON = 0x3a;
const CAPITAL_T = 0x54;
const CAPITAL_Z = 0x5a;

/**
 * Milliseconds of `2026-01-02T15:04:05Z`, with any fraction of a second, as `Date.parse` has them at several times the cost; `undefined` for every
 * other form, and for dates that need a calendar: look at those with `Date.parse`. Each alert has two instants, each read twice.
 */
export function utcInstant(text: string): number | undefined {
  const end = text.length - 1;
  const isForm =
    text.charCodeAt(4) === DASH &&
    text.charCodeAt(7) === DASH &&
    text.charCodeAt(10) === CAPITAL_T &&
    text.charCodeAt(13) === COLON &&
    text.charCodeAt(16) === COLON &&
    text.charCodeAt(end) === CAPITAL_Z;
  if (!isForm) return undefined;

  const year = digitsAt(text, 0, 4);
  const month = digitsAt(text, 5, 7);
  const day = digitsAt(text, 8, 10);
  const hour = digitsAt(text, 11, 13);
  const minute = digitsAt(text, 14, 16);
  const second = digitsAt(text, 17, 19);
  const milliseconds = end === 19 ? 0 : fractionAt(text, 19, end);
  // Not a number is in no range. `Date.UTC` reads years below 100 as those of 1900.
  const isPlain =
    year >= 1000 && month >= 1 && month <= 12 && day >= 1 && day <= 28 && hour <= 23 && minute <= 59 && second <= 59;
  return isPlain && milliseconds >= 0 ? Date.UTC(year, month - 1, day, hour, minute, second, milliseconds) : undefined;
}

function digitsAt(text: string, start: number, end: number): number {
  let value = 0;
  for (let at = start; at < end; at += 1) {
    const digit = text.charCodeAt(at) - ZERO;
    if (!(digit >= 0 && digit <= 9)) return Number.NaN;
    value = value * 10 + digit;
  }
  return value;
}

/** A point and digits, of which three count. */
function fractionAt(text: string, start: number, end: number): number {
  if (text.charCodeAt(start) !== POINT || end - start < 2) return Number.NaN;
  const digits = Math.min(3, end - start - 1);
  const isWhole = !Number.isNaN(digitsAt(text, start + 1, end));
  return isWhole ? digitsAt(text, start + 1, start + 1 + digits) * 10 ** (3 - digits) : Number.NaN;
}
