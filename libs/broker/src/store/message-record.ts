import { type Address, AddressReader, decodeText, encodeAddress, encodeTextInto, textBytes } from '#amqp-codec';
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
let head = scratch.subarray(0, 0);
/** What stands in `head`, without blind keys: publishers repeat address and size of their properties. */
let headOf: { address: Buffer; propertiesBytes: number; format: number } | undefined;

/** Head, properties and body, not joined. The head is overwritten by the next call: hand the chunks on at once. */
export function encodeMessage(message: Message): readonly Buffer[] {
  const { addressBytes, properties, body, blindKeys, vouchesForDeaths } = message;
  const format = vouchesForDeaths ? FORMAT : FORMAT_CLIENT_DEATHS;
  const isRepeated =
    headOf !== undefined &&
    headOf.address === addressBytes &&
    headOf.propertiesBytes === properties.length &&
    headOf.format === format &&
    blindKeys.length === 0;
  if (!isRepeated) {
    if (blindKeys.length === 0) encodeHead(addressBytes, properties.length, format);
    else encodeHeadWithBlindKeys(message, format);
  }
  return body.length === 0 ? [head, properties] : [head, properties, body];
}

function encodeHead(address: Buffer, propertiesBytes: number, format: number): void {
  const exchangeBytes = address[0]!;
  const routingKeyAt = exchangeBytes + 2;
  const routingKeyBytes = address.length - routingKeyAt;
  const headBytes = FIXED_BYTES + exchangeBytes + routingKeyBytes;
  if (headBytes > scratch.length) scratch = Buffer.allocUnsafeSlow(headBytes * 2);
  if (headBytes !== head.length || head.buffer !== scratch.buffer) head = scratch.subarray(0, headBytes);
  head[0] = format;
  writeUint32(head, 1, propertiesBytes);
  writeUint16(head, 5, exchangeBytes);
  writeUint16(head, 7, routingKeyBytes);
  writeUint16(head, 9, 0);
  let at = FIXED_BYTES;
  for (let from = 1; from <= exchangeBytes; from++) head[at++] = address[from]!;
  for (let from = routingKeyAt; from < address.length; from++) head[at++] = address[from]!;
  headOf = { address, propertiesBytes, format };
}

/** Rare: keys of a BCC header. */
function encodeHeadWithBlindKeys({ addressBytes, properties, blindKeys }: Message, format: number): void {
  encodeHead(addressBytes, properties.length, format);
  writeUint16(head, 9, blindKeys.length);
  const keys = blindKeys.map((key) => {
    const bytes = Buffer.alloc(2 + textBytes(key));
    writeUint16(bytes, 0, bytes.length - 2);
    encodeTextInto(bytes, 2, key);
    return bytes;
  });
  head = Buffer.concat([head, ...keys]);
  headOf = undefined;
}

function writeUint16(target: Buffer, at: number, value: number): void {
  target[at] = value >>> 8;
  target[at + 1] = value;
}

function writeUint32(target: Buffer, at: number, value: number): void {
  writeUint16(target, at, value >>> 16);
  writeUint16(target, at + 2, value);
}

/** Neighbours in the log mostly have the same address: it comes back without decoding. */
class RecordAddresses {
  readonly #reader = new AddressReader();
  readonly #bytes = Buffer.alloc(2 * 256);

  /** From exchange and routing key as they stand in a record, without their length octets. */
  read(payload: Buffer, start: number, exchangeEnd: number, end: number): Address {
    const exchangeBytes = exchangeEnd - start;
    const routingKeyBytes = end - exchangeEnd;
    // Only a dead letter's key can be longer than a client's.
    if (exchangeBytes > 255 || routingKeyBytes > 255) return longAddress(payload, start, exchangeEnd, end);
    const bytes = this.#bytes;
    let at = 0;
    bytes[at++] = exchangeBytes;
    for (let from = start; from < exchangeEnd; from++) bytes[at++] = payload[from]!;
    bytes[at++] = routingKeyBytes;
    for (let from = exchangeEnd; from < end; from++) bytes[at++] = payload[from]!;
    return this.#reader.read(bytes, 0, at);
  }
}

const addresses = new RecordAddresses();

function longAddress(payload: Buffer, start: number, exchangeEnd: number, end: number): Address {
  const exchange = decodeText(payload, start, exchangeEnd);
  const routingKey = decodeText(payload, exchangeEnd, end);
  return { exchange, routingKey, bytes: encodeAddress(exchange, routingKey) };
}

/** The message as slices of `payload`. Throws RangeError when the payload is none of ours; a checksum has vouched for the bytes. */
export function decodeMessage(payload: Buffer): Message {
  const format = payload.readUInt8(0);
  if (format !== FORMAT && format !== FORMAT_CLIENT_DEATHS)
    throw new RangeError(`message record of unknown format ${format}`);
  const propertiesBytes = payload.readUInt32BE(1);
  const exchangeEnd = FIXED_BYTES + payload.readUInt16BE(5);
  const routingKeyEnd = exchangeEnd + payload.readUInt16BE(7);
  if (routingKeyEnd > payload.length) throw new RangeError('message record shorter than its head says');
  const { exchange, routingKey, bytes } = addresses.read(payload, FIXED_BYTES, exchangeEnd, routingKeyEnd);

  let blindKeys: string[] | undefined;
  let at = routingKeyEnd;
  for (let left = payload.readUInt16BE(9); left > 0; left--) {
    const end = at + 2 + payload.readUInt16BE(at);
    blindKeys ??= [];
    blindKeys.push(decodeText(payload, at + 2, end));
    at = end;
  }
  const bodyStart = at + propertiesBytes;
  if (bodyStart > payload.length) throw new RangeError('message record shorter than its head says');
  const [properties, body] = [payload.subarray(at, bodyStart), payload.subarray(bodyStart)];
  const message = new Message(exchange, routingKey, properties, body, blindKeys, bytes);
  return format === FORMAT ? message : new MessageWithClientDeaths(message);
}
