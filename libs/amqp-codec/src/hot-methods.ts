import { AddressReader, NOWHERE } from './address.js';
import { CodecError } from './errors.js';
import { FRAME_END, FRAME_METHOD, FRAME_OVERHEAD, writeFrameHead } from './frames.js';
import { writeBytes, writeUint32, writeUint64 } from './in-place.js';
import { methodKey } from './methods.js';

/*
 * The methods that travel once per message, read and written in place: no object and no buffer per call. Their layouts
 * are those of METHODS; hot-methods.spec.ts holds the two against each other.
 */

export const KEY_PUBLISH = methodKey('basic.publish');
export const KEY_DELIVER = methodKey('basic.deliver');
export const KEY_ACK = methodKey('basic.ack');
export const KEY_NACK = methodKey('basic.nack');
export const KEY_REJECT = methodKey('basic.reject');

/** Class and method of a method payload, to compare with the KEY_ constants. */
export function peekMethodKey(bytes: Buffer, start: number, end: number): number {
  if (end - start < 4)
    throw new CodecError('frame', 'cannot decode a method frame shorter than its class and method numbers');
  return bytes.readUInt32BE(start);
}

/** basic.publish, read again and again into the same place. */
export class PublishReader {
  readonly #addresses = new AddressReader();
  address = NOWHERE;
  mandatory = false;
  immediate = false;

  /** `start` is where the payload (class id) begins. */
  read(bytes: Buffer, start: number, end: number): void {
    // Behind class, method and a reserved number; the last octet holds the bits.
    this.address = this.#addresses.read(bytes, start + 6, end - 1);
    const bits = bytes[end - 1]!;
    this.mandatory = (bits & 1) !== 0;
    this.immediate = (bits & 2) !== 0;
  }
}

/** basic.ack, basic.nack and basic.reject share a layout: tag and one octet of bits. */
export class SettlementReader {
  deliveryTag = 0;
  bits = 0;

  read(bytes: Buffer, start: number, end: number): void {
    if (end - start !== 13)
      throw new CodecError('frame', 'cannot decode a settlement (ack, nack, reject): wrong length');
    this.deliveryTag = bytes.readUInt32BE(start + 4) * 2 ** 32 + bytes.readUInt32BE(start + 8);
    this.bits = bytes[start + 12]!;
  }
}

/** Bytes of an ack or nack frame. */
export const SETTLEMENT_FRAME_BYTES = 13 + FRAME_OVERHEAD;

/** Writes a whole basic.ack or basic.nack frame (`key`); `bits` as on the wire. Returns the offset behind it. */
export function writeSettlement(
  target: Buffer,
  at: number,
  channel: number,
  key: number,
  deliveryTag: number,
  bits: number,
): number {
  const payload = writeFrameHead(target, at, FRAME_METHOD, channel, 13);
  writeUint32(target, payload, key);
  writeUint64(target, payload + 4, deliveryTag);
  target[payload + 12] = bits;
  target[payload + 13] = FRAME_END;
  return payload + 14;
}

/** Bytes of a basic.deliver frame; the texts in their wire form: the tag with its length octet, the address as in `Address.bytes`. */
export function deliverFrameBytes(consumerTag: Buffer, address: Buffer): number {
  return FRAME_OVERHEAD + 4 + 8 + 1 + consumerTag.length + address.length;
}

/** Writes a whole basic.deliver frame; returns the offset behind it. */
export function writeDeliver(
  target: Buffer,
  at: number,
  channel: number,
  consumerTag: Buffer,
  deliveryTag: number,
  redelivered: boolean,
  address: Buffer,
): number {
  const size = 13 + consumerTag.length + address.length;
  let offset = writeFrameHead(target, at, FRAME_METHOD, channel, size);
  writeUint32(target, offset, KEY_DELIVER);
  offset = writeBytes(target, offset + 4, consumerTag);
  writeUint64(target, offset, deliveryTag);
  target[offset + 8] = redelivered ? 1 : 0;
  offset = writeBytes(target, offset + 9, address);
  target[offset] = FRAME_END;
  return offset + 1;
}
