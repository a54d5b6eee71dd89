/**
 * The bytes of a segment file `0000000001.log`. Everything is little-endian; every record starts at a multiple of 8.
 *
 *   0      segment header                                    64 bytes, the rest up to 4096 is zero
 *   4096   the same header again, in another disk page       so that one bad page cannot hide a whole segment
 *   8192   records: first a snapshot of all definitions, twice with a page between, then whatever was appended
 *   ...    footer record and trailer record                  once the segment is sealed; the trailer ends the file
 *
 * Segment header
 *   0  magic "TOCSINLG" | 8  u32 format version | 12 u32 segment number | 16 log identity, 8 random bytes of this log
 *   24 f64 highest sequence given out before this segment | 32 u32 definitions in the snapshot, each counted once | 36 u32 CRC of bytes 0..36
 *
 * Record
 *   0  u32 length, from here to the end of the body, padding to 8 not counted
 *   4  u32 CRC of bytes 8..length, started with (seed of the segment XOR offset of the record)
 *   8  u8 version | 9 u8 kind | 10 u16 flags
 *   12 u32 check: a mix of length, the word at 8, offset and seed. Finds a record again without reading its body
 *   16 body
 *
 * The seed comes from the log's identity and the segment's number. A record therefore holds at its own place only: neither
 * an older file's leftovers nor a payload made to look like records can pass for one.
 *
 * Bodies, offsets counted from the record's start
 *   message, moved   16 f64 sequence | 24 u32 placements | 28 u32 segment it was copied from, 0 for a first copy
 *                    32 per placement: u32 queue, u32 flags, f64 expiresAt | payload to the end
 *   acks             16 u32 queue | 20 u32 count | 24 f64 sequence x count | u32 segment the message lies in x count
 *   marks            16 u32 queue | 20 u32 count | 24 f64 sequence x count
 *   definition       16 u32 bytes of key | 20 u32 bytes of value, 0xffffffff for a removal | 24 key | value
 *                    record flag 1: part of the segment's opening snapshot. Each stands twice: a queue's messages are worth no more
 *                    than the definition that says whose they are
 *   dropped          16 u32 queue | 20 zero | 24 f64 position: every placement of the queue before it is dead
 *   synced           16 u32 offset in this file below which all was synced when this was written | 20 zero, to the end. Offset 0 and
 *                    a long tail keep the copies of the snapshot in different disk pages
 *   footer           see footer.ts
 *   trailer          16 u32 offset of the footer | 20 u32 segment number | 24 log identity
 */
import { crc32 } from 'node:zlib';

export const FORMAT_VERSION = 1;
export const RECORD_VERSION = 1;
export const HEADER_BYTES = 64;
export const HEADER_COPY_AT = 4096;
export const RECORDS_AT = 8192;
export const RECORD_HEADER_BYTES = 16;
export const MESSAGE_FIXED_BYTES = 32;
export const PLACEMENT_BYTES = 16;
export const LIST_FIXED_BYTES = 24;
export const DROPPED_BYTES = 32;
export const SYNCED_BYTES = 24;
/** Between the two copies of the snapshot. */
export const SNAPSHOT_GAP_BYTES = 4096;
export const TRAILER_BYTES = 32;
export const REMOVED = 0xffffffff;
/** Largest record; larger than any message a client may send (RabbitMQ's own limit is 512 MiB). */
export const RECORD_BYTES_MAX = 768 * 1024 * 1024;

export const KIND = {
  message: 1,
  moved: 2,
  acks: 3,
  marks: 4,
  definition: 5,
  dropped: 6,
  synced: 7,
  footer: 8,
  trailer: 9,
} as const;
export const KIND_MAX = 9;

/** Record flag of a definition that belongs to the segment's opening snapshot. */
export const IN_SNAPSHOT = 1;

const MAGIC = Buffer.from('TOCSINLG', 'latin1');
// Offsets are multiples of 8 below 2^32, so 29 bits hold one, and 53 - 29 bits of segment numbers last for a petabyte of writing.
const SEGMENT_SPAN = 2 ** 29;

export const align8 = (bytes: number): number => Math.ceil(bytes / 8) * 8;
export const positionOf = (segment: number, offset: number): number => segment * SEGMENT_SPAN + offset / 8;
export const segmentOf = (position: number): number => Math.floor(position / SEGMENT_SPAN);
export const offsetOf = (position: number): number => (position % SEGMENT_SPAN) * 8;

export const segmentFileName = (number: number): string => `${String(number).padStart(10, '0')}.log`;
export function segmentNumber(fileName: string): number | undefined {
  return /^\d{10}\.log$/.test(fileName) ? Number.parseInt(fileName, 10) : undefined;
}

export function seedOf(identity: Buffer, segment: number): number {
  const number = Buffer.alloc(4);
  number.writeUInt32LE(segment);
  return crc32(number, crc32(identity));
}

export const recordCrc = (bytesFrom8: Uint8Array, seed: number, offset: number): number =>
  crc32(bytesFrom8, (seed ^ offset) >>> 0);

/** `kindWord` is the u32 at 8: version, kind and flags. */
export function recordCheck(length: number, kindWord: number, offset: number, seed: number): number {
  let mix = Math.imul(seed ^ length, 0x9e3779b1);
  mix = Math.imul(mix ^ (mix >>> 15) ^ offset, 0x85ebca6b);
  mix = Math.imul(mix ^ (mix >>> 13) ^ kindWord, 0xc2b2ae35);
  return (mix ^ (mix >>> 16)) >>> 0;
}

export const kindWord = (kind: number, flags: number): number => RECORD_VERSION | (kind << 8) | (flags << 16);

/** Writes length, CRC, version, kind, flags and check around a finished body at `at`, and clears the padding behind it. */
export function sealRecord(
  bytes: Buffer,
  words: Uint32Array,
  at: number,
  length: number,
  kind: number,
  flags: number,
  offset: number,
  seed: number,
): void {
  const word = at >>> 2;
  const kindAndFlags = kindWord(kind, flags);
  words[word] = length;
  words[word + 2] = kindAndFlags;
  words[word + 3] = recordCheck(length, kindAndFlags, offset, seed);
  words[word + 1] = recordCrc(new Uint8Array(bytes.buffer, bytes.byteOffset + at + 8, length - 8), seed, offset);
  for (let end = at + length; (end & 7) !== 0; end++) bytes[end] = 0;
}

export interface SegmentHeader {
  segment: number;
  identity: Buffer;
  /** Highest sequence given out before this segment. */
  lastSequence: number;
  snapshotCount: number;
}

export function encodeSegmentHeader(header: SegmentHeader): Buffer {
  const bytes = Buffer.alloc(HEADER_BYTES);
  MAGIC.copy(bytes, 0);
  bytes.writeUInt32LE(FORMAT_VERSION, 8);
  bytes.writeUInt32LE(header.segment, 12);
  header.identity.copy(bytes, 16);
  bytes.writeDoubleLE(header.lastSequence, 24);
  bytes.writeUInt32LE(header.snapshotCount, 32);
  bytes.writeUInt32LE(crc32(bytes.subarray(0, 36)), 36);
  return bytes;
}

export function decodeSegmentHeader(bytes: Buffer): SegmentHeader | undefined {
  if (bytes.length < HEADER_BYTES || !bytes.subarray(0, 8).equals(MAGIC)) return undefined;
  if (bytes.readUInt32LE(36) !== crc32(bytes.subarray(0, 36))) return undefined;
  const version = bytes.readUInt32LE(8);
  if (version !== FORMAT_VERSION) {
    throw new Error(
      `the log was written in format ${version}, this program reads format ${FORMAT_VERSION}; start the version that wrote it`,
    );
  }
  return {
    segment: bytes.readUInt32LE(12),
    identity: Buffer.from(bytes.subarray(16, 24)),
    lastSequence: bytes.readDoubleLE(24),
    snapshotCount: bytes.readUInt32LE(32),
  };
}
