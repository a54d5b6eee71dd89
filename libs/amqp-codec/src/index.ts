export { Address, AddressReader, encodeAddress } from './address.js';
export { ByteMemo } from './byte-memo.js';
export {
  contentFramesBytes,
  peekBodySize,
  peekContentClass,
  peekContentWeight,
  writeContent,
  writeContentHeader,
} from './content.js';
export { CodecError, type CodecErrorKind } from './errors.js';
export {
  decodeTable,
  decodeTableEntries,
  encodeTable,
  FIELD_DEPTH_MAX,
  type Field,
  type FieldTag,
  findField,
  integerOf,
  sameField,
  sameTable,
  type Table,
} from './fields.js';
export { FrameParser, type OnFrame } from './frame-parser.js';
export {
  CONTENT_HEADER_PREFIX_BYTES,
  FRAME_BODY,
  FRAME_END,
  FRAME_HEAD_BYTES,
  FRAME_HEADER,
  FRAME_HEARTBEAT,
  FRAME_METHOD,
  FRAME_OVERHEAD,
  HEARTBEAT_FRAME,
  PROTOCOL_HEADER,
  writeFrameHead,
} from './frames.js';
export {
  deliverFrameBytes,
  KEY_ACK,
  KEY_DELIVER,
  KEY_NACK,
  KEY_PUBLISH,
  KEY_REJECT,
  PublishReader,
  peekMethodKey,
  SETTLEMENT_FRAME_BYTES,
  SettlementReader,
  writeDeliver,
  writeSettlement,
} from './hot-methods.js';
export { decodeMethod, encodeMethod } from './method-codec.js';
export { METHODS, type Method, type MethodArguments, type MethodName, methodKey, shapeOf } from './methods.js';
export { type PlainTable, type PlainValue, plainField, plainTable, tableOf } from './plain-table.js';
export {
  checkProperties,
  decodeProperties,
  encodeProperties,
  hasProperty,
  type Properties,
  type PropertyName,
  peekDeliveryMode,
  peekFlags,
  peekHeadersAt,
  peekProperty,
} from './properties.js';
export { decodeText, encodeTextInto, textBytes } from './text.js';
