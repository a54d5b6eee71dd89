export { type FileLayer, nodeFiles } from './file-layer.js';
export type { RecoveryLetter } from './recovery-table.js';
export { SegmentLog, type SegmentLogOptions } from './segment-log.js';
export type * from './types.js';
