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

/** Shared by messages that were read back and have equal ones: mostly a delivery mode and no more. */
let lastProperties: Buffer = Buffer.alloc(0);
const SHARED_PROPERTIES_BYTES_MAX = 64;

function propertiesAt(bytes: Buffer, start: number, end: number): Buffer {
  const size = end - start;
  if (size > SHARED_PROPERTIES_BYTES_MAX) return bytes.subarray(start, end);
  let at = 0;
  if (size === lastProperties.length) while (at < size && bytes[start + at] === lastProperties[at]) at++;
  if (at < size || size !== lastProperties.length) {
    lastProperties = Buffer.allocUnsafeSlow(size);
    bytes.copy(lastProperties, 0, start, end);
  }
  return lastProperties;
}

/**
 * The message in the payload from `start` to `end`; its body is a slice of it. Throws RangeError when the payload is none of ours; a
 * checksum has vouched for the bytes.
 */
export function decodeMessage(bytes: Buffer, start = 0, end = bytes.length): Message {
  if (end - start < FIXED_BYTES) throw cutShort();
  const format = bytes[start]!;
  if (format !== FORMAT && format !== FORMAT_CLIENT_DEATHS)
    throw new RangeError(`message record of unknown format ${format}`);
  const exchangeAt = start + FIXED_BYTES;
  const exchangeEnd = exchangeAt + uint16At(bytes, start + 5);
  const routingKeyEnd = exchangeEnd + uint16At(bytes, start + 7);
  if (routingKeyEnd > end) throw cutShort();
  const { exchange, routingKey, bytes: addressBytes } = addresses.read(bytes, exchangeAt, exchangeEnd, routingKeyEnd);

  let blindKeys: string[] | undefined;
  let at = routingKeyEnd;
  for (let left = uint16At(bytes, start + 9); left > 0; left--) {
    const keyEnd = at + 2 + (at + 2 <= end ? uint16At(bytes, at) : 0);
    if (keyEnd > end) throw cutShort();
    blindKeys ??= [];
    blindKeys.push(decodeText(bytes, at + 2, keyEnd));
    at = keyEnd;
  }
  const bodyStart = at + uint16At(bytes, start + 1) * 2 ** 16 + uint16At(bytes, start + 3);
  if (bodyStart > end) throw cutShort();
  const properties = propertiesAt(bytes, at, bodyStart);
  const message = new Message(
    exchange,
    routingKey,
    properties,
    bytes.subarray(bodyStart, end),
    blindKeys,
    addressBytes,
  );
  return format === FORMAT ? message : new MessageWithClientDeaths(message);
}

function uint16At(bytes: Buffer, at: number): number {
  return (bytes[at]! << 8) | bytes[at + 1]!;
}

function cutShort(): RangeError {
  return new RangeError('message record shorter than its head says');
}
