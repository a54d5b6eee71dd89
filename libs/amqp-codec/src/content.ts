import { CodecError } from './errors.js';
import {
  CONTENT_HEADER_PREFIX_BYTES,
  FRAME_BODY,
  FRAME_END,
  FRAME_HEADER,
  FRAME_OVERHEAD,
  writeFrameHead,
} from './frames.js';
import { writeBytes, writeUint32, writeUint64 } from './in-place.js';

const CLASS_BASIC = 60;

/** Class id of a content header. */
export function peekContentClass(bytes: Buffer, start: number, end: number): number {
  if (end - start < CONTENT_HEADER_PREFIX_BYTES + 2) {
    throw new CodecError('syntax', `a content header of ${end - start} bytes is too short`);
  }
  return bytes.readUInt16BE(start);
}

/** Always 0 in a legal header. */
export function peekContentWeight(bytes: Buffer, start: number): number {
  return bytes.readUInt16BE(start + 2);
}

/** Body size announced by a content header. */
export function peekBodySize(bytes: Buffer, start: number): number {
  return bytes.readUInt32BE(start + 4) * 2 ** 32 + bytes.readUInt32BE(start + 8);
}

/** Bytes of the header frame and the body frames of one content. `frameMax` 0 means one body frame of any size. */
export function contentFramesBytes(propertiesBytes: number, bodyBytes: number, frameMax: number): number {
  const header = FRAME_OVERHEAD + CONTENT_HEADER_PREFIX_BYTES + propertiesBytes;
  return header + bodyBytes + FRAME_OVERHEAD * bodyFrameCount(bodyBytes, frameMax);
}

/** Writes the header frame and the body frames; the body is cut at frame_max - 8. Returns the offset behind them. */
export function writeContent(
  target: Buffer,
  at: number,
  channel: number,
  properties: Buffer,
  body: Buffer,
  frameMax: number,
): number {
  const bodyBytes = body.length;
  const afterHeader = writeContentHeader(target, at, channel, properties, bodyBytes);
  const cut = frameMax === 0 ? bodyBytes : frameMax - FRAME_OVERHEAD;
  if (bodyBytes <= cut) {
    return bodyBytes === 0 ? afterHeader : writeBodyFrame(target, afterHeader, channel, body, 0, bodyBytes);
  }
  let offset = afterHeader;
  for (let start = 0; start < bodyBytes; start += cut) {
    offset = writeBodyFrame(target, offset, channel, body, start, Math.min(start + cut, bodyBytes));
  }
  return offset;
}

/** Writes the header frame alone. */
export function writeContentHeader(
  target: Buffer,
  at: number,
  channel: number,
  properties: Buffer,
  bodyBytes: number,
): number {
  const payload = writeFrameHead(target, at, FRAME_HEADER, channel, CONTENT_HEADER_PREFIX_BYTES + properties.length);
  writeUint32(target, payload, CLASS_BASIC * 2 ** 16);
  writeUint64(target, payload + 4, bodyBytes);
  const end = writeBytes(target, payload + CONTENT_HEADER_PREFIX_BYTES, properties);
  target[end] = FRAME_END;
  return end + 1;
}

function bodyFrameCount(bodyBytes: number, frameMax: number): number {
  if (bodyBytes === 0) return 0;
  return frameMax === 0 ? 1 : Math.ceil(bodyBytes / (frameMax - FRAME_OVERHEAD));
}

function writeBodyFrame(target: Buffer, at: number, channel: number, body: Buffer, start: number, end: number): number {
  const payload = writeFrameHead(target, at, FRAME_BODY, channel, end - start);
  body.copy(target, payload, start, end);
  const stop = payload + end - start;
  target[stop] = FRAME_END;
  return stop + 1;
}
