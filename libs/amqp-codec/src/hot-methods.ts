import { CodecError } from './errors.js';
import { FRAME_END, FRAME_METHOD, FRAME_OVERHEAD, writeFrameHead } from './frames.js';
import { writeBytes, writeUint32, writeUint64 } from './in-place.js';
import { methodKey } from './methods.js';
import { decodeText, encodeTextInto, textBytes } from './text.js';

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

/**
 * Remembers the last short string seen at one place of the protocol. Publishers repeat exchange and routing key: the same
 * string object comes back, without decoding and with its hash already computed.
 */
export class ShortStringMemo {
  #bytes = Buffer.alloc(256);
  #length = 0;
  value = '';

  /** Reads the short string at `at`; returns the offset behind it. */
  read(bytes: Buffer, at: number, end: number): number {
    const length = at < end ? bytes[at]! : 0;
    const start = at + 1;
    const stop = start + length;
    if (stop > end) throw new CodecError('frame', 'cannot decode a short string that runs past the end of its method');
    if (length !== this.#length || !this.#matches(bytes, start, length)) {
      this.value = decodeText(bytes, start, stop);
      this.#length = length;
      bytes.copy(this.#bytes, 0, start, stop);
    }
    return stop;
  }

  #matches(bytes: Buffer, start: number, length: number): boolean {
    const known = this.#bytes;
    for (let index = 0; index < length; index++) if (known[index] !== bytes[start + index]) return false;
    return true;
  }
}

/** basic.publish, read again and again into the same place. */
export class PublishReader {
  readonly #exchange = new ShortStringMemo();
  readonly #routingKey = new ShortStringMemo();
  mandatory = false;
  immediate = false;

  get exchange(): string {
    return this.#exchange.value;
  }

  get routingKey(): string {
    return this.#routingKey.value;
  }

  /** `start` is where the payload (class id) begins. */
  read(bytes: Buffer, start: number, end: number): void {
    const afterExchange = this.#exchange.read(bytes, start + 6, end);
    const at = this.#routingKey.read(bytes, afterExchange, end);
    if (at + 1 !== end) throw new CodecError('frame', 'cannot decode basic.publish: wrong length');
    const bits = bytes[at]!;
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

/** A text with its wire form computed once: consumer tag, or the exchange and key a queue's messages share. */
export class ShortStringBytes {
  #text = '';
  bytes: Buffer = Buffer.from([0]);

  /** Length octet and bytes of `text`; the buffer is the same one while the text stays the same. */
  of(text: string): Buffer {
    if (text === this.#text) return this.bytes;
    const length = textBytes(text);
    const bytes = Buffer.allocUnsafe(length + 1);
    bytes[0] = length;
    encodeTextInto(bytes, 1, text);
    this.#text = text;
    this.bytes = bytes;
    return bytes;
  }
}

/** Bytes of a basic.deliver frame; the texts in their wire form (length octet first). */
export function deliverFrameBytes(consumerTag: Buffer, exchange: Buffer, routingKey: Buffer): number {
  return FRAME_OVERHEAD + 4 + 8 + 1 + consumerTag.length + exchange.length + routingKey.length;
}

/** Writes a whole basic.deliver frame; returns the offset behind it. */
export function writeDeliver(
  target: Buffer,
  at: number,
  channel: number,
  consumerTag: Buffer,
  deliveryTag: number,
  redelivered: boolean,
  exchange: Buffer,
  routingKey: Buffer,
): number {
  const size = 13 + consumerTag.length + exchange.length + routingKey.length;
  let offset = writeFrameHead(target, at, FRAME_METHOD, channel, size);
  writeUint32(target, offset, KEY_DELIVER);
  offset = writeBytes(target, offset + 4, consumerTag);
  writeUint64(target, offset, deliveryTag);
  target[offset + 8] = redelivered ? 1 : 0;
  offset = writeBytes(target, offset + 9, exchange);
  offset = writeBytes(target, offset, routingKey);
  target[offset] = FRAME_END;
  return offset + 1;
}
