export { type FileLayer, nodeFiles } from './file-layer.js';
export { type RecoveryAction, type RecoveryLetter, recoveryAction } from './recovery-table.js';
export { SegmentLog, type SegmentLogOptions } from './segment-log.js';
export type * from './types.js';
