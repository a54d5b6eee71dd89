import { describe, expect, it } from '@jest/globals';
import { ANSWERS_MAX, MATCH_MS_MAX, PATTERN_CHARACTERS_MAX, Pattern } from './pattern.js';

describe('a permission pattern', () => {
  it.each([
    ['', 'a', false],
    ['', '', true],
    ['.*', '', true],
    ['.*', 'a\nb', true],
    ['b', 'abc', true],
    ['^b', 'abc', false],
    ['^(amq\\.gen.*|amq\\.default)$', 'amq.gen-x', true],
    ['^(amq\\.gen.*|amq\\.default)$', 'amq_default', false],
    ['(?i)^ORDERS', 'orders.1', true],
    ['\\Aa\\z', 'a', true],
    ['\\Aa\\Z', 'ab', false],
    ['^(?!secret)', 'secret.1', false],
    ['^(?!secret)', 'public', true],
    ['^[\\]a]$', ']', true],
    ['^a{2,3}$', 'aaa', true],
  ])('%j on %j: %s', (pattern, name, answer) => {
    expect(new Pattern(pattern).allows(name)).toBe(answer);
  });

  it.each(['(', '[', 'a++', '(?>a)', '\\Qa', '\\h', '[[:alpha:]]', '[]a]', '[\\Q]', '(?x)a', '(?P<n>a)'])(
    'is refused where JavaScript does not read it as PCRE does: %s',
    (pattern) => {
      expect(() => new Pattern(pattern)).toThrow();
    },
  );

  it('has a length that is bounded', () => {
    expect(() => new Pattern('a'.repeat(PATTERN_CHARACTERS_MAX + 1))).toThrow('at most 1000 characters, not 1001');
  });

  it.each(['^(a+)+$', '^(a|a)*$', '^(a|ab)(c|bcd)(d*)*$', '(x+x+)+y'])(
    'that would backtrack without end is given up and allows nothing: %s',
    (pattern) => {
      const reports: string[] = [];
      const hostile = new Pattern(pattern, (text) => reports.push(text));
      const before = process.hrtime.bigint();
      // Not every one is slow on every name; what matters is that none takes its time.
      for (const letter of ['a', 'x', 'c', 'd', 'acd']) hostile.allows(`${letter.repeat(80)}!`);
      const milliseconds = Number(process.hrtime.bigint() - before) / 1e6;
      expect(milliseconds).toBeLessThan(50 * MATCH_MS_MAX);
      expect(reports.length).toBeLessThanOrEqual(1);
      if (reports.length === 1) expect(hostile.allows('a')).toBe(false);
    },
  );

  it('of nested repetitions says in one sentence that it was given up', () => {
    const reports: string[] = [];
    const hostile = new Pattern('^(a+)+$', (text) => reports.push(text));
    expect(hostile.allows('aaa')).toBe(true);
    expect(hostile.allows(`${'a'.repeat(200)}!`)).toBe(false);
    expect(hostile.allows('aa')).toBe(false);
    expect(reports).toEqual([
      "permission pattern '^(a+)+$' took more than 100 ms twice and allows nothing from now on; write it without nested repetitions",
    ]);
  });

  it('remembers a bounded number of answers', () => {
    const pattern = new Pattern('^a.*z$');
    for (let number = 0; number < 2 * ANSWERS_MAX; number++) expect(pattern.allows(`a${number}z`)).toBe(true);
    expect(pattern.allows('a1z')).toBe(true);
  });
});
