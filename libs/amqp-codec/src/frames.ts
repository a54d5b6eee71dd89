/** Frame: type(1) channel(2) size(4) payload(size) 0xCE. 0-9-1 section 4.2.3. */
export const FRAME_METHOD = 1;
export const FRAME_HEADER = 2;
export const FRAME_BODY = 3;
export const FRAME_HEARTBEAT = 8;
export const FRAME_END = 0xce;
/** Bytes around a payload. */
export const FRAME_OVERHEAD = 8;
export const FRAME_HEAD_BYTES = 7;

/** Class id, weight and body size: what stands before the property flags in a content header. */
export const CONTENT_HEADER_PREFIX_BYTES = 12;

export const HEARTBEAT_FRAME: Buffer = Buffer.from([FRAME_HEARTBEAT, 0, 0, 0, 0, 0, 0, FRAME_END]);

/** `AMQP` 0 0 9 1: what a client opens with, and our answer to any other opening. */
export const PROTOCOL_HEADER: Buffer = Buffer.from([0x41, 0x4d, 0x51, 0x50, 0, 0, 9, 1]);

/** Writes type, channel and size; returns the offset of the payload. */
export function writeFrameHead(target: Buffer, at: number, type: number, channel: number, size: number): number {
  target[at] = type;
  target[at + 1] = channel >>> 8;
  target[at + 2] = channel;
  target[at + 3] = size >>> 24;
  target[at + 4] = size >>> 16;
  target[at + 5] = size >>> 8;
  target[at + 6] = size;
  return at + FRAME_HEAD_BYTES;
}
