import { describe, expect, it } from '@jest/globals';
import { REGION_TABLE, regionRow, SEGMENT_TABLE, segmentRow } from './recovery-table.js';

const places = ['earlier', 'last'] as const;
const segmentCases = places.flatMap((place) =>
  (['ok', 'bad', 'empty', 'foreign'] as const).flatMap((header) =>
    (['ok', 'missing', 'bad'] as const).flatMap((footer) =>
      (['known', 'unknown'] as const).map((identity) => ({ place, header, footer, identity })),
    ),
  ),
);
const regionCases = places.flatMap((place) =>
  (['zero', 'other'] as const).flatMap((bytes) =>
    (['records', 'end'] as const).flatMap((next) =>
      (['yes', 'no'] as const).map((synced) => ({ place, bytes, next, synced })),
    ),
  ),
);

describe('the recovery table', () => {
  it('decides every combination of a segment file', () => {
    const decided = segmentCases.map((found) => {
      const { letter, action } = segmentRow(found);
      return `${found.place} ${found.header} ${found.footer} ${found.identity}: ${letter} ${action}`;
    });
    expect(decided).toEqual([
      'earlier ok ok known: F read-footer',
      'earlier ok ok unknown: F read-footer',
      'earlier ok missing known: H scan-and-mend',
      'earlier ok missing unknown: H scan-and-mend',
      'earlier ok bad known: I scan-and-mend',
      'earlier ok bad unknown: I scan-and-mend',
      'earlier bad ok known: G read-footer',
      'earlier bad ok unknown: D set-aside',
      'earlier bad missing known: H scan-and-mend',
      'earlier bad missing unknown: D set-aside',
      'earlier bad bad known: I scan-and-mend',
      'earlier bad bad unknown: D set-aside',
      ...['ok', 'missing', 'bad'].flatMap((footer) => [
        `earlier empty ${footer} known: C remove`,
        `earlier empty ${footer} unknown: C remove`,
      ]),
      ...['ok', 'missing', 'bad'].flatMap((footer) => [
        `earlier foreign ${footer} known: A set-aside`,
        `earlier foreign ${footer} unknown: A set-aside`,
      ]),
      ...['ok', 'missing', 'bad'].flatMap((footer) => [
        `last ok ${footer} known: E scan-and-cut`,
        `last ok ${footer} unknown: E scan-and-cut`,
      ]),
      ...['ok', 'missing', 'bad'].flatMap((footer) => [
        `last bad ${footer} known: E scan-and-cut`,
        `last bad ${footer} unknown: D set-aside`,
      ]),
      ...['ok', 'missing', 'bad'].flatMap((footer) => [
        `last empty ${footer} known: B remove`,
        `last empty ${footer} unknown: B remove`,
      ]),
      ...['ok', 'missing', 'bad'].flatMap((footer) => [
        `last foreign ${footer} known: A set-aside`,
        `last foreign ${footer} unknown: A set-aside`,
      ]),
    ]);
  });

  it('decides every combination of bytes that are no record', () => {
    const decided = regionCases.map((found) => {
      const { letter, action } = regionRow(found);
      return `${found.place} ${found.bytes} ${found.next} ${found.synced}: ${letter} ${action}`;
    });
    expect(decided).toEqual([
      'earlier zero records yes: J skip',
      'earlier zero records no: J skip',
      'earlier zero end yes: K skip',
      'earlier zero end no: K skip',
      'earlier other records yes: J skip',
      'earlier other records no: J skip',
      'earlier other end yes: K skip',
      'earlier other end no: K skip',
      'last zero records yes: L skip',
      'last zero records no: O cut',
      'last zero end yes: L skip',
      'last zero end no: M cut',
      'last other records yes: L skip',
      'last other records no: O cut',
      'last other end yes: L skip',
      'last other end no: N cut',
    ]);
  });

  it('has no line that never decides, and no letter twice', () => {
    const letters = [...SEGMENT_TABLE, ...REGION_TABLE].map(({ letter }) => letter);
    expect(new Set(letters).size).toBe(letters.length);
    const used = new Set([
      ...segmentCases.map((found) => segmentRow(found).letter),
      ...regionCases.map((found) => regionRow(found).letter),
    ]);
    expect([...used].sort()).toEqual([...letters].sort());
  });
});
