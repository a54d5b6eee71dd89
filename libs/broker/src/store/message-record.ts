import { decodeText, encodeTextInto, textBytes } from '#amqp-codec';
import { Message, MessageWithClientDeaths } from '../message.js';

// The payload of a message record. Numbers are big-endian.
//
//   0   u8   format, 1; 2 when x-death among the properties is the client's
//   1   u32  bytes of the properties
//   5   u16  bytes of the exchange's name
//   7   u16  bytes of the routing key
//   9   u16  number of blind keys
//  11        exchange, routing key, then each blind key as u16 length and bytes
//            properties as received: flag word and list
//            body, up to the end of the payload

const FORMAT = 1;
const FORMAT_CLIENT_DEATHS = 2;
const FIXED_BYTES = 11;

let scratch = Buffer.allocUnsafeSlow(1024);
/** What stands in `scratch`, and of which message: publishers repeat exchange, key and the size of their properties. */
let head = scratch.subarray(0, 0);
let headOf = { exchange: '', routingKey: '', propertiesBytes: -1, vouchesForDeaths: false };

/** Head, properties and body, not joined. The head is overwritten by the next call: hand the chunks on at once. */
export function encodeMessage(message: Message): readonly Buffer[] {
  const { exchange, routingKey, properties, body, blindKeys, vouchesForDeaths } = message;
  const isRepeated =
    headOf.propertiesBytes === properties.length &&
    headOf.routingKey === routingKey &&
    headOf.exchange === exchange &&
    headOf.vouchesForDeaths === vouchesForDeaths &&
    blindKeys.length === 0;
  if (!isRepeated) encodeHead(message);
  return body.length === 0 ? [head, properties] : [head, properties, body];
}

function encodeHead({ exchange, routingKey, properties, blindKeys, vouchesForDeaths }: Message): void {
  const exchangeBytes = textBytes(exchange);
  const routingKeyBytes = textBytes(routingKey);
  let headBytes = FIXED_BYTES + exchangeBytes + routingKeyBytes;
  for (const key of blindKeys) headBytes += 2 + textBytes(key);
  if (headBytes > scratch.length) scratch = Buffer.allocUnsafeSlow(headBytes * 2);

  scratch.writeUInt8(vouchesForDeaths ? FORMAT : FORMAT_CLIENT_DEATHS, 0);
  scratch.writeUInt32BE(properties.length, 1);
  scratch.writeUInt16BE(exchangeBytes, 5);
  scratch.writeUInt16BE(routingKeyBytes, 7);
  scratch.writeUInt16BE(blindKeys.length, 9);
  let at = encodeTextInto(scratch, FIXED_BYTES, exchange);
  at = encodeTextInto(scratch, at, routingKey);
  for (const key of blindKeys) {
    scratch.writeUInt16BE(textBytes(key), at);
    at = encodeTextInto(scratch, at + 2, key);
  }
  head = scratch.subarray(0, at);
  // One with blind keys is never taken for another.
  headOf = { exchange, routingKey, propertiesBytes: blindKeys.length === 0 ? properties.length : -1, vouchesForDeaths };
}

/** Neighbours in the log mostly have the same exchange and key: the same string comes back, without decoding. */
class RepeatedText {
  #bytes = Buffer.alloc(0);
  #text = '';

  decode(payload: Buffer, start: number, end: number): string {
    if (payload.compare(this.#bytes, 0, this.#bytes.length, start, end) !== 0) {
      this.#text = decodeText(payload, start, end);
      this.#bytes = Buffer.from(payload.subarray(start, end));
    }
    return this.#text;
  }
}

const exchanges = new RepeatedText();
const routingKeys = new RepeatedText();

/** The message as slices of `payload`. Throws RangeError when the payload is none of ours; a checksum has vouched for the bytes. */
export function decodeMessage(payload: Buffer): Message {
  const format = payload.readUInt8(0);
  if (format !== FORMAT && format !== FORMAT_CLIENT_DEATHS)
    throw new RangeError(`message record of unknown format ${format}`);
  const propertiesBytes = payload.readUInt32BE(1);
  const exchangeEnd = FIXED_BYTES + payload.readUInt16BE(5);
  const routingKeyEnd = exchangeEnd + payload.readUInt16BE(7);
  const exchange = exchanges.decode(payload, FIXED_BYTES, exchangeEnd);
  const routingKey = routingKeys.decode(payload, exchangeEnd, routingKeyEnd);

  const blindKeys: string[] = [];
  let at = routingKeyEnd;
  for (let left = payload.readUInt16BE(9); left > 0; left--) {
    const end = at + 2 + payload.readUInt16BE(at);
    blindKeys.push(decodeText(payload, at + 2, end));
    at = end;
  }
  const bodyStart = at + propertiesBytes;
  if (bodyStart > payload.length) throw new RangeError('message record shorter than its head says');
  const [properties, body] = [payload.subarray(at, bodyStart), payload.subarray(bodyStart)];
  const message = new Message(exchange, routingKey, properties, body, blindKeys);
  return format === FORMAT ? message : new MessageWithClientDeaths(message);
}
