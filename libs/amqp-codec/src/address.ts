import { ByteMemo, holdsAt } from './byte-memo.js';
import { CodecError } from './errors.js';
import { decodeText, encodeTextInto, textBytes } from './text.js';

let lastExchange = '';
let lastExchangeBytes = Buffer.alloc(0);

/** Where a message was published to, with the bytes in which that travels: exchange and routing key, two short strings one behind the other. */
export class Address {
  readonly exchange: string;
  readonly routingKey: string;

  constructor(readonly bytes: Buffer) {
    const exchangeEnd = 1 + bytes[0]!;
    this.exchange = sameExchange(bytes, exchangeEnd);
    this.routingKey = decodeText(bytes, exchangeEnd + 1, bytes.length);
  }
}

/** The bytes of an address. */
export function encodeAddress(exchange: string, routingKey: string): Buffer {
  const exchangeBytes = textBytes(exchange);
  const routingKeyBytes = textBytes(routingKey);
  const bytes = Buffer.allocUnsafe(exchangeBytes + routingKeyBytes + 2);
  bytes[0] = exchangeBytes;
  const at = encodeTextInto(bytes, 1, exchange);
  bytes[at] = routingKeyBytes;
  encodeTextInto(bytes, at + 1, routingKey);
  return bytes;
}

/**
 * Reads addresses where they lie. Publishers repeat them: the same object comes back, without decoding anything and with the hashes of
 * its texts already computed.
 */
export class AddressReader {
  #last = NOWHERE;

  /** The address from `start` to `end`. Throws CodecError `frame` when that is not two short strings. */
  read(bytes: Buffer, start: number, end: number): Address {
    if (!holdsAt(this.#last.bytes, bytes, start, end)) this.#last = readAddress(bytes, start, end);
    return this.#last;
  }
}

export const NOWHERE = new Address(Buffer.from([0, 0]));
/** One for all connections: they publish to the same places. */
const known = new ByteMemo((bytes) => new Address(bytes));

function readAddress(bytes: Buffer, start: number, end: number): Address {
  const exchangeEnd = endOfShortString(bytes, start, end);
  if (endOfShortString(bytes, exchangeEnd, end) !== end) {
    throw new CodecError('frame', 'cannot decode basic.publish: wrong length');
  }
  return known.find(bytes, start, end) ?? new Address(Buffer.from(bytes.subarray(start, end)));
}

function endOfShortString(bytes: Buffer, at: number, end: number): number {
  const stop = at + 1 + (at < end ? bytes[at]! : 0);
  if (stop > end) throw new CodecError('frame', 'cannot decode a short string that runs past the end of its method');
  return stop;
}

/** The same string object for the same exchange: names are then compared and looked up without a look at their letters. */
function sameExchange(bytes: Buffer, end: number): string {
  if (!holdsAt(lastExchangeBytes, bytes, 1, end)) {
    lastExchange = decodeText(bytes, 1, end);
    lastExchangeBytes = Buffer.from(bytes.subarray(1, end));
  }
  return lastExchange;
}
