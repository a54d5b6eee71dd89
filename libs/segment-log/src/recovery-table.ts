/**
 * What a start does with what it finds: two tables, one line per case, first match wins. `any` stands for all values.
 *
 * A file counts as `earlier` when a later file of the log has a header or a record: the log syncs a segment to its end before it
 * writes a byte of the next, so nothing in it may be missing. The `last` one is always scanned, never trusted by its footer: its
 * newest bytes may not have been synced, and lost power keeps such bytes in any order.
 */
export type Place = 'earlier' | 'last';
/** `empty`: no byte. `foreign`: another log's, or another segment's under this name. `bad`: neither copy of it holds. */
export type HeaderState = 'ok' | 'bad' | 'empty' | 'foreign';
/** `missing`: no trailer at the end. `bad`: the trailer stands, the footer does not hold. */
export type FooterState = 'ok' | 'missing' | 'bad';
/** Whether the log's identity is known, from this file or any other; without it no record can be checked. */
export type IdentityState = 'known' | 'unknown';

export interface SegmentCase {
  place: Place;
  header: HeaderState;
  footer: FooterState;
  identity: IdentityState;
}

export type SegmentAction =
  | 'read-footer'
  /** Scan, keep every record that holds, write a new footer behind the file's end. */
  | 'scan-and-mend'
  /** Scan, cut the tail as the second table says, seal. */
  | 'scan-and-cut'
  /** Remove it: it holds nothing. */
  | 'remove'
  /** Rename it to `*.damaged` and leave it for a person. */
  | 'set-aside';

type Any<T> = T | 'any';
interface SegmentRow {
  letter: RecoveryLetter;
  place: Any<Place>;
  header: Any<HeaderState>;
  footer: Any<FooterState>;
  identity: Any<IdentityState>;
  action: SegmentAction;
  /** Worth a line in the report. */
  isFinding: boolean;
  says: string;
}

// biome-ignore format: a table reads by its columns
export const SEGMENT_TABLE: readonly SegmentRow[] = [
  { letter: 'A', place: 'any',     header: 'foreign', footer: 'any',     identity: 'any',     action: 'set-aside',     isFinding: true,  says: 'belongs to another log or segment; set aside' },
  { letter: 'B', place: 'last',    header: 'empty',   footer: 'any',     identity: 'any',     action: 'remove',        isFinding: false, says: 'prepared and never used' },
  { letter: 'C', place: 'earlier', header: 'empty',   footer: 'any',     identity: 'any',     action: 'remove',        isFinding: true,  says: 'is empty though later segments exist; its content is lost' },
  { letter: 'D', place: 'any',     header: 'bad',     footer: 'any',     identity: 'unknown', action: 'set-aside',     isFinding: true,  says: 'no header or trailer of the log is left to check its records with; set aside' },
  { letter: 'E', place: 'last',    header: 'any',     footer: 'any',     identity: 'any',     action: 'scan-and-cut',  isFinding: false, says: 'open segment' },
  { letter: 'F', place: 'earlier', header: 'ok',      footer: 'ok',      identity: 'any',     action: 'read-footer',   isFinding: false, says: 'sealed segment' },
  { letter: 'G', place: 'earlier', header: 'bad',     footer: 'ok',      identity: 'any',     action: 'read-footer',   isFinding: true,  says: 'header damaged, footer whole; nothing lost' },
  { letter: 'H', place: 'earlier', header: 'any',     footer: 'missing', identity: 'any',     action: 'scan-and-mend', isFinding: true,  says: 'footer missing; rebuilt from the records' },
  { letter: 'I', place: 'earlier', header: 'any',     footer: 'bad',     identity: 'any',     action: 'scan-and-mend', isFinding: true,  says: 'footer damaged; rebuilt from the records' },
];

/** A stretch of a scanned segment that is no valid record. */
export interface RegionCase {
  place: Place;
  bytes: 'zero' | 'other';
  next: 'records' | 'end';
  /** `yes`: it lies wholly below an offset that is known to have been synced. */
  synced: 'yes' | 'no';
}

export type RegionAction =
  /** Leave it out and go on behind it: these records are lost. */
  | 'skip'
  /** The segment ends before it: nothing from here on was confirmed, and later records may rest on lost ones. */
  | 'cut';

interface RegionRow {
  letter: RecoveryLetter;
  place: Any<Place>;
  bytes: Any<RegionCase['bytes']>;
  next: Any<RegionCase['next']>;
  synced: Any<RegionCase['synced']>;
  action: RegionAction;
  isFinding: boolean;
  says: string;
}

// biome-ignore format: a table reads by its columns
export const REGION_TABLE: readonly RegionRow[] = [
  { letter: 'J', place: 'earlier', bytes: 'any',   next: 'records', synced: 'any', action: 'skip', isFinding: true,  says: 'damaged record' },
  { letter: 'K', place: 'earlier', bytes: 'any',   next: 'end',     synced: 'any', action: 'skip', isFinding: true,  says: 'damaged or cut off at the end of a sealed segment' },
  { letter: 'L', place: 'last',    bytes: 'any',   next: 'any',     synced: 'yes', action: 'skip', isFinding: true,  says: 'damaged record' },
  { letter: 'M', place: 'last',    bytes: 'zero',  next: 'end',     synced: 'no',  action: 'cut',  isFinding: true,  says: 'zero tail, cut; nothing in it was confirmed as synced' },
  { letter: 'N', place: 'last',    bytes: 'other', next: 'end',     synced: 'no',  action: 'cut',  isFinding: true,  says: 'torn tail, cut; nothing in it was confirmed as synced' },
  { letter: 'O', place: 'last',    bytes: 'any',   next: 'records', synced: 'no',  action: 'cut',  isFinding: true,  says: 'hole in what was not synced, cut with all behind it' },
];

/** `R` and `S` are given while the log runs: a message that cannot be read; a segment that cannot be removed or rewritten. */
export type RecoveryLetter =
  | 'A'
  | 'B'
  | 'C'
  | 'D'
  | 'E'
  | 'F'
  | 'G'
  | 'H'
  | 'I'
  | 'J'
  | 'K'
  | 'L'
  | 'M'
  | 'N'
  | 'O'
  | 'R'
  | 'S';

/** What was done about a finding. `give-up`: its owner settles the message. `keep`: the file stays as it is. */
export type RecoveryAction = SegmentAction | RegionAction | 'give-up' | 'keep';

export function recoveryAction(letter: RecoveryLetter): RecoveryAction {
  if (letter === 'R') return 'give-up';
  if (letter === 'S') return 'keep';
  return [...SEGMENT_TABLE, ...REGION_TABLE].find((row) => row.letter === letter)!.action;
}

export function segmentRow(found: SegmentCase): SegmentRow {
  return findRow(SEGMENT_TABLE, found, ['place', 'header', 'footer', 'identity']);
}

export function regionRow(found: RegionCase): RegionRow {
  return findRow(REGION_TABLE, found, ['place', 'bytes', 'next', 'synced']);
}

function findRow<Key extends string, Row extends Record<Key, string>>(
  table: readonly Row[],
  found: Record<Key, string>,
  keys: readonly Key[],
): Row {
  const row = table.find((candidate) => keys.every((key) => candidate[key] === 'any' || candidate[key] === found[key]));
  if (row === undefined) throw new Error(`no recovery row for ${JSON.stringify(found)}`);
  return row;
}
